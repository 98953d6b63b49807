#include "support/fake_kube_api.h"

#include <utility>

namespace tidemark::testing {
namespace {

using nlohmann::json;

Error api_error(ErrorKind kind, int status, std::string message) {
  return Error{.kind = kind, .message = std::move(message), .http_status = status};
}

Error not_found(std::string_view path) {
  return api_error(ErrorKind::kNotFound, 404, std::string(path) + " not found");
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= path.size()) {
    const auto end = std::min(path.find('/', at), path.size());
    parts.emplace_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// "/apis/apps/v1/namespaces/a/deployments/web" -> {".../namespaces/a/deployments", "web"}
std::pair<std::string, std::string> split_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

// The namespace segment of a path that has something below its namespace; else "".
std::string namespace_of(std::string_view path) {
  const auto parts = split(path);
  for (std::size_t i = 0; i + 2 < parts.size(); ++i) {
    if (parts[i] == "namespaces") return parts[i + 1];
  }
  return "";
}

// True where `path` is an object of `collection`, in any namespace if the collection names none.
bool belongs(std::string_view path, std::string_view collection) {
  std::string parent = split_name(path).first;
  if (parent == collection) return true;
  const std::string ns = namespace_of(path);
  if (ns.empty()) return false;
  const std::string segment = "/namespaces/" + ns;
  parent.erase(parent.find(segment), segment.size());
  return parent == collection;
}

// One JSON Patch operation the way gopkg.in/evanphx/json-patch.v4 does it for the API server, where
// that differs from RFC 6902 and nlohmann.
void apply_operation(json& document, const json& operation) {
  const std::string op = operation.at("op").get<std::string>();
  const json::json_pointer pointer(operation.at("path").get<std::string>());
  const bool missing = !document.contains(pointer);
  if (missing && !pointer.empty() && (op == "test" || op == "replace")) {
    const bool in_object = document.contains(pointer.parent_pointer()) &&
                           document.at(pointer.parent_pointer()).is_object();
    if (op == "test" && in_object && operation.at("value").is_null()) return;
    if (op == "replace" && in_object) {
      document[pointer] = operation.at("value");
      return;
    }
  }
  document = document.patch(json::array({operation}));
}

}  // namespace

void FakeKubeApi::before(Hook hook) {
  const std::lock_guard lock(mutex_);
  before_ = std::move(hook);
}

void FakeKubeApi::after(Hook hook) {
  const std::lock_guard lock(mutex_);
  after_ = std::move(hook);
}

void FakeKubeApi::put(std::string_view path, std::string_view text) {
  const std::lock_guard lock(mutex_);
  store(std::string(path), json::parse(text));
}

void FakeKubeApi::erase(std::string_view path) {
  const std::lock_guard lock(mutex_);
  objects_.erase(std::string(path));
  ++version_;
}

void FakeKubeApi::set_clock(const Clock* clock) {
  const std::lock_guard lock(mutex_);
  clock_ = clock;
}

std::optional<WallTime> FakeKubeApi::server_time() const {
  const std::lock_guard lock(mutex_);
  if (clock_ == nullptr) return std::nullopt;
  return clock_->wall_now();
}

json FakeKubeApi::object(std::string_view path) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(path);
  return found == objects_.end() ? json() : found->second;
}

void FakeKubeApi::push_event(std::string_view path, kube::WatchEvent type,
                             std::string_view object_json) {
  const std::lock_guard lock(mutex_);
  watches_[std::string(path)].push_back(
      {.event = type, .error = std::nullopt, .object = std::string(object_json)});
  changed_.notify_all();
}

void FakeKubeApi::end_watch(std::string_view path) {
  const std::lock_guard lock(mutex_);
  watches_[std::string(path)].push_back({});
  changed_.notify_all();
}

void FakeKubeApi::fail_watch(std::string_view path, Error error) {
  const std::lock_guard lock(mutex_);
  watches_[std::string(path)].push_back(
      {.event = std::nullopt, .error = std::move(error), .object = ""});
  changed_.notify_all();
}

std::vector<FakeKubeApi::Call> FakeKubeApi::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

std::vector<FakeKubeApi::Call> FakeKubeApi::calls(std::string_view verb) const {
  const std::lock_guard lock(mutex_);
  std::vector<Call> selected;
  for (const Call& call : calls_) {
    if (call.verb == verb) selected.push_back(call);
  }
  return selected;
}

void FakeKubeApi::forget_calls() {
  const std::lock_guard lock(mutex_);
  calls_.clear();
}

std::optional<Error> FakeKubeApi::start(const Call& call, const std::stop_token& stop) {
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
    hook = before_;
  }
  if (stop.stop_requested()) return Error{.kind = ErrorKind::kCanceled, .message = "stopped"};
  return hook ? hook(call) : std::nullopt;
}

std::optional<Error> FakeKubeApi::finish(const Call& call) {
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    hook = after_;
  }
  return hook ? hook(call) : std::nullopt;
}

std::string FakeKubeApi::store(const std::string& path, json object) {
  json& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  metadata["name"] = split_name(path).second;
  if (const std::string ns = namespace_of(path); !ns.empty()) metadata["namespace"] = ns;
  const auto found = objects_.find(path);
  if (found == objects_.end()) {
    if (!metadata.contains("uid")) metadata["uid"] = "uid-" + std::to_string(++generated_);
  } else {
    metadata["uid"] = found->second["metadata"]["uid"];
    metadata["resourceVersion"] = found->second["metadata"]["resourceVersion"];
    if (object == found->second) return object.dump();
  }
  metadata["resourceVersion"] = std::to_string(++version_);
  objects_[path] = object;
  return object.dump();
}

Result<std::string> FakeKubeApi::get(std::string_view path, Deadline /*deadline*/,
                                     std::stop_token stop) {
  const Call call{.verb = "get", .path = std::string(path)};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  const json found = object(path);
  if (found.is_null()) return fail(not_found(path));
  if (auto error = finish(call)) return fail(std::move(*error));
  return found.dump();
}

Result<kube::ListResult> FakeKubeApi::list(std::string_view path, const kube::ListOptions& options,
                                           const ItemSink& item, Deadline /*deadline*/,
                                           std::stop_token stop) {
  const Call call{.verb = "list",
                  .path = std::string(path),
                  .label_selector = options.label_selector,
                  .field_selector = options.field_selector};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  kube::ListResult result{.resource_version = "", .items = 0, .pages = 1};
  std::vector<std::string> items;
  {
    const std::lock_guard lock(mutex_);
    result.resource_version = std::to_string(version_);
    for (const auto& [object_path, stored] : objects_) {
      if (!belongs(object_path, path)) continue;
      json copy = stored;
      copy.erase("apiVersion");
      copy.erase("kind");
      items.push_back(copy.dump());
    }
  }
  for (const std::string& text : items) {
    if (auto status = item(text); !status) return fail(status.error());
    ++result.items;
  }
  if (auto error = finish(call)) return fail(std::move(*error));
  return result;
}

Result<std::string> FakeKubeApi::watch(std::string_view path, const kube::WatchOptions& options,
                                       const EventSink& event, std::stop_token stop) {
  const Call call{.verb = "watch",
                  .path = std::string(path),
                  .label_selector = options.label_selector,
                  .field_selector = options.field_selector,
                  .resource_version = options.resource_version};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  std::string last = options.resource_version;
  while (true) {
    WatchStep step;
    {
      std::unique_lock lock(mutex_);
      auto& steps = watches_[std::string(path)];
      if (!changed_.wait(lock, stop, [&steps] { return !steps.empty(); })) {
        return fail(ErrorKind::kCanceled, "stopped");
      }
      step = std::move(steps.front());
      steps.pop_front();
    }
    if (!step.event) {
      if (step.error) return fail(std::move(*step.error));
      return last;
    }
    const json object = json::parse(step.object);
    last = object.value("/metadata/resourceVersion"_json_pointer, last);
    if (!event(*step.event, step.object)) return last;
  }
}

Result<std::string> FakeKubeApi::create(std::string_view path, std::string_view body,
                                        Deadline /*deadline*/, std::stop_token stop) {
  const Call call{.verb = "create", .path = std::string(path), .body = std::string(body)};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  std::string answer;
  {
    const std::lock_guard lock(mutex_);
    json object = json::parse(body, nullptr, false);
    if (!object.is_object()) {
      return fail(api_error(ErrorKind::kInvalid, 400, "body is not a JSON object"));
    }
    std::string name = object.value("/metadata/name"_json_pointer, "");
    const std::string prefix = object.value("/metadata/generateName"_json_pointer, "");
    if (name.empty() && !prefix.empty()) name = prefix + std::to_string(++generated_);
    if (name.empty()) return fail(api_error(ErrorKind::kInvalid, 422, "name is required"));
    const std::string at = std::string(path) + "/" + name;
    if (objects_.contains(at)) {
      return fail(api_error(ErrorKind::kConflict, 409, at + " already exists"));
    }
    answer = store(at, std::move(object));
  }
  if (auto error = finish(call)) return fail(std::move(*error));
  return answer;
}

Result<std::string> FakeKubeApi::update(std::string_view path, std::string_view body,
                                        Deadline /*deadline*/, std::stop_token stop) {
  const Call call{.verb = "update", .path = std::string(path), .body = std::string(body)};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  std::string answer;
  {
    const std::lock_guard lock(mutex_);
    json object = json::parse(body, nullptr, false);
    if (!object.is_object()) {
      return fail(api_error(ErrorKind::kInvalid, 400, "body is not a JSON object"));
    }
    const auto found = objects_.find(path);
    if (found == objects_.end()) return fail(not_found(path));
    const std::string seen = object.value("/metadata/resourceVersion"_json_pointer, "");
    if (!seen.empty() && seen != found->second["metadata"]["resourceVersion"].get<std::string>()) {
      return fail(api_error(ErrorKind::kConflict, 409, "the object has been modified"));
    }
    answer = store(std::string(path), std::move(object));
  }
  if (auto error = finish(call)) return fail(std::move(*error));
  return answer;
}

Result<std::string> FakeKubeApi::patch(std::string_view path, std::string_view body,
                                       const kube::PatchOptions& options, Deadline /*deadline*/,
                                       std::stop_token stop) {
  const Call call{.verb = "patch",
                  .path = std::string(path),
                  .body = std::string(body),
                  .dry_run = options.dry_run};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  std::string answer;
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(path);
    if (found == objects_.end()) return fail(not_found(path));
    json object = found->second;
    const std::string before = object["metadata"]["resourceVersion"];
    const json patch = json::parse(body, nullptr, false);
    if (options.content_type == "application/merge-patch+json" && patch.is_object()) {
      object.merge_patch(patch);
    } else if (options.content_type == "application/json-patch+json" && patch.is_array()) {
      try {
        for (const json& operation : patch) apply_operation(object, operation);
      } catch (const json::exception&) {
        // The API server's very words: they name neither operation nor path.
        return fail(api_error(ErrorKind::kConflict, 422,
                              "the server rejected our request due to an error in our request"));
      }
    } else {
      return fail(api_error(ErrorKind::kInvalid, 400, "unsupported patch"));
    }
    if (object.value("/metadata/resourceVersion"_json_pointer, "") != before) {
      return fail(api_error(ErrorKind::kConflict, 409, "the object has been modified"));
    }
    answer = options.dry_run ? object.dump() : store(std::string(path), std::move(object));
  }
  if (auto error = finish(call)) return fail(std::move(*error));
  return answer;
}

Status FakeKubeApi::remove(std::string_view path, Deadline /*deadline*/, std::stop_token stop) {
  const Call call{.verb = "delete", .path = std::string(path)};
  if (auto error = start(call, stop)) return fail(std::move(*error));
  {
    const std::lock_guard lock(mutex_);
    if (objects_.erase(std::string(path)) == 0) return fail(not_found(path));
    ++version_;
  }
  if (auto error = finish(call)) return fail(std::move(*error));
  return {};
}

}  // namespace tidemark::testing
