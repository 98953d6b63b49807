#include "workload/pod.h"

#include <nlohmann/json.hpp>

namespace tidemark::workload {
namespace {

using nlohmann::json;

constexpr const char* kTemplateHashLabel = "pod-template-hash";  // apps/v1

const json* field(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text(const json& object, const char* key) {
  const json* value = field(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

void read_owners(const json& metadata, Pod& out) {
  const json* owners = field(metadata, "ownerReferences");
  if (owners == nullptr || !owners->is_array()) return;
  for (const json& owner : *owners) {
    const json* controller = field(owner, "controller");
    if (controller == nullptr || *controller != true) continue;
    out.controller = Owner{.api_version = text(owner, "apiVersion"),
                           .kind = text(owner, "kind"),
                           .name = text(owner, "name"),
                           .uid = text(owner, "uid")};
    return;
  }
}

void read_stamps_of(const json& metadata, Pod& out) {
  const json* annotations = field(metadata, "annotations");
  if (annotations == nullptr || !annotations->is_object()) return;
  StringMap strings;
  for (const auto& [key, value] : annotations->items()) {
    if (value.is_string() && is_stamp_key(key)) strings.emplace(key, value.get<std::string>());
  }
  for (const auto& [key, stamp] : read_stamps(strings)) {
    const std::string name = key.substr(key.find('/') + 1);
    out.stamps.emplace(key.starts_with(kVolumeStampPrefix) ? "volume/" + name : name, stamp);
  }
}

void read_readiness(const json& status, Pod& out) {
  const json* conditions = field(status, "conditions");
  if (conditions == nullptr || !conditions->is_array()) return;
  for (const json& condition : *conditions) {
    if (text(condition, "type") != "Ready" || text(condition, "status") != "False") continue;
    out.unready_since = text(condition, "lastTransitionTime");
  }
}

void read_containers(const json& status, const char* key, Pod& out) {
  const json* list = field(status, key);
  if (list == nullptr || !list->is_array()) return;
  for (const json& entry : *list) {
    PodContainer& container = out.containers.emplace_back();
    container.slot = text(entry, "name");
    container.digest = digest_of_image_id(text(entry, "imageID"));
    if (const json* restarts = field(entry, "restartCount");
        restarts != nullptr && restarts->is_number_integer()) {
      container.restarts = restarts->get<std::int64_t>();
    }
    if (const json* ready = field(entry, "ready"); ready != nullptr) {
      container.ready = *ready == true;
    }
    if (const json* state = field(entry, "state"); state != nullptr) {
      if (const json* waiting = field(*state, "waiting"); waiting != nullptr) {
        container.waiting = text(*waiting, "reason");
      }
    }
  }
}

}  // namespace

std::optional<image::Digest> digest_of_image_id(std::string_view image_id) {
  const std::size_t at = image_id.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;
  auto digest = image::Digest::parse(image_id.substr(at + 1));
  if (!digest) return std::nullopt;
  return std::move(*digest);
}

Result<Pod> parse_pod(std::string_view json_text) {
  const json object = json::parse(json_text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, "not a pod: no JSON object");
  static const json kNothing = json::object();
  const auto part = [&](const char* key) -> const json& {
    const json* found = field(object, key);
    return found != nullptr ? *found : kNothing;
  };
  const json& metadata = part("metadata");
  const json& status = part("status");
  Pod out;
  out.ns = text(metadata, "namespace");
  out.name = text(metadata, "name");
  out.node = text(part("spec"), "nodeName");
  const std::string phase = text(status, "phase");
  out.live =
      text(metadata, "deletionTimestamp").empty() && phase != "Succeeded" && phase != "Failed";
  if (const json* labels = field(metadata, "labels"); labels != nullptr) {
    out.template_hash = text(*labels, kTemplateHashLabel);
  }
  read_owners(metadata, out);
  read_stamps_of(metadata, out);
  read_readiness(status, out);
  read_containers(status, "initContainerStatuses", out);
  read_containers(status, "containerStatuses", out);
  return out;
}

std::optional<std::pair<std::string, std::string>> workload_of(const Pod& pod) {
  if (!pod.controller) return std::nullopt;
  const Owner& owner = *pod.controller;
  if (owner.kind != "ReplicaSet" || pod.template_hash.empty()) {
    return std::pair(owner.kind, owner.name);
  }
  // kubernetes pkg/controller/deployment/sync.go getNewReplicaSet: name + "-" + hash.
  const std::string tail = "-" + pod.template_hash;
  if (!owner.name.ends_with(tail)) return std::pair(owner.kind, owner.name);
  return std::pair(std::string("Deployment"),
                   owner.name.substr(0, owner.name.size() - tail.size()));
}

}  // namespace tidemark::workload
