// Every reader follows one pattern: it looks at what says that this is a push of a tag, returns
// where it is not, and hands registry, repository and tag to Reader::add(), the only way out.

#include "push/payload.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/base64.h"
#include "base/text.h"

namespace tidemark::push {
namespace {

using Json = nlohmann::json;

struct FormatName {
  Format format;
  std::string_view name;
};
constexpr std::array kNames = {
    FormatName{Format::kDistribution, "distribution"},
    FormatName{Format::kDockerHub, "dockerhub"},
    FormatName{Format::kGhcr, "ghcr"},
    FormatName{Format::kHarbor, "harbor"},
    FormatName{Format::kQuay, "quay"},
    FormatName{Format::kNexus, "nexus"},
    FormatName{Format::kArtifactory, "artifactory"},
    FormatName{Format::kGar, "gar"},
    FormatName{Format::kAcr, "acr"},
    FormatName{Format::kEcr, "ecr"},
    FormatName{Format::kCloudEvents, "cloudevents"},
    FormatName{Format::kGeneric, "generic"},
};
static_assert(kNames.size() == kFormats.size());

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kLegacyDockerHub = "index.docker.io";
constexpr std::string_view kGhcr = "ghcr.io";
constexpr std::string_view kHarborPushed = "harbor.artifact.pushed";

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

std::string_view before_slash(std::string_view text) { return text.substr(0, text.find('/')); }

// Could stand first in an image name. A bare "registry", as a compose file's host has it, could
// not: it would be read as a part of a repository of Docker Hub.
bool is_registry_name(std::string_view text) {
  return before_slash(text).find_first_of(".:") != std::string_view::npos ||
         before_slash(text) == "localhost";
}

// Levels of arrays and objects outside of strings, whether or not the text is JSON.
bool nests_deeper(std::string_view text, std::size_t most) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most) return true;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return false;
}

Result<Json> parse_json(std::string_view text) {
  if (text.size() > kMaxBodyBytes) return fail(ErrorKind::kTooLarge, "push: over 1 MiB");
  if (nests_deeper(text, kMaxNesting)) return fail(ErrorKind::kInvalid, "push: nested too deeply");
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return fail(ErrorKind::kInvalid, "push: not JSON");
  return json;
}

// The members of a payload with their types checked, and the references found so far. The first
// error stays and is the result.
class Reader {
 public:
  explicit Reader(const Options& options) : options_(options) {}

  bool failed() const { return error_.has_value(); }
  void fail_with(Error error) {
    if (!error_) error_ = std::move(error);
  }
  void invalid(std::string_view what) {
    fail_with({.kind = ErrorKind::kInvalid, .message = "push: " + std::string(what)});
  }

  // Members that may be missing or null: nullptr or "" then. A wrong type is an error.
  const Json* object(const Json& in, const char* name) {
    return member(in, name, Json::value_t::object);
  }
  const Json* array(const Json& in, const char* name) {
    return member(in, name, Json::value_t::array);
  }
  std::string_view text(const Json& in, const char* name) {
    const Json* found = member(in, name, Json::value_t::string);
    return found == nullptr ? std::string_view{} : text_of(*found);
  }

  // Members that make the format what it is.
  const Json& need_object(const Json& in, const char* name) {
    static const Json kNone = Json::object();
    const Json* found = object(in, name);
    if (found == nullptr) invalid("no object " + brief_quote(name));
    return found == nullptr ? kNone : *found;
  }
  std::string_view need_text(const Json& in, const char* name) {
    const std::string_view found = text(in, name);
    if (found.empty()) invalid("no text " + brief_quote(name));
    return found;
  }

  // Calls `read` with each element, which must be an object.
  template <typename Read>
  void each_object(const Json& array, Read read) {
    for (const Json& element : array) {
      if (!element.is_object()) invalid("an element is no object");
      if (failed()) return;
      read(element);
    }
  }
  // Calls `read` with each element, which must be text.
  template <typename Read>
  void each_text(const Json& array, Read read) {
    for (const Json& element : array) {
      if (!element.is_string()) invalid("an element is no text");
      if (failed()) return;
      read(text_of(element));
    }
  }

  // `named` is the registry that the payload names and may be ""; `implied` the vendor's only one,
  // "" for software that anybody runs. Without a tag, or with a digest in its place, nothing moves.
  void add(std::string_view named, std::string_view implied, std::string_view repository,
           std::string_view tag) {
    if (failed() || tag.empty() || is_digest(tag)) return;
    if (repository.empty()) return invalid("a tag without a repository");
    const std::string_view registry = choose(named, implied);
    if (!is_registry_name(registry)) {
      return invalid("no registry is named by the payload or configured");
    }
    const std::string name =
        std::string(registry).append("/").append(repository).append(":").append(tag);
    auto reference = image::Reference::parse(name);
    if (!reference) return fail_with(within("push", reference.error()));
    // A part with a separator in it would have moved into its neighbour.
    if (reference->tag() != tag || reference->digest() ||
        !reference->repository().ends_with(repository) ||
        reference->registry() != normalised(before_slash(registry))) {
      return invalid("not an image name: " + brief_quote(name));
    }
    keep(std::move(*reference));
  }

  // A whole name as pods write it. Without a tag it is "latest"; by digest nothing moves.
  void add_name(std::string_view name) {
    if (failed()) return;
    auto reference = image::Reference::parse(name);
    if (!reference) return fail_with(within("push", reference.error()));
    if (!reference->tag()) return;
    if (reference->digest()) reference = image::Reference::parse(reference->tagged());
    if (!reference) return fail_with(within("push", reference.error()));
    keep(std::move(*reference));
  }

  Result<std::vector<image::Reference>> finish() && {
    if (error_) return fail(std::move(*error_));
    return std::move(found_);
  }

 private:
  static std::string_view text_of(const Json& value) { return value.get_ref<const std::string&>(); }
  static bool is_digest(std::string_view tag) {
    return tag.starts_with("sha256:") || tag.starts_with("sha512:");
  }
  static std::string_view normalised(std::string_view registry) {
    return registry == kLegacyDockerHub ? kDockerHub : registry;
  }

  const Json* member(const Json& in, const char* name, Json::value_t type) {
    const auto found = in.find(name);
    if (found == in.end() || found->is_null()) return nullptr;
    if (found->type() == type) return &*found;
    invalid(brief_quote(name) + " is of the wrong type");
    return nullptr;
  }

  std::string_view choose(std::string_view named, std::string_view implied) const {
    if (!options_.registry.empty() && (options_.registry_wins || !is_registry_name(named))) {
      return options_.registry;
    }
    return is_registry_name(named) ? named : implied;
  }

  void keep(image::Reference reference) {
    if (!known_.insert(reference.str()).second) return;
    if (found_.size() == kMaxReferences) {
      return fail_with({.kind = ErrorKind::kTooLarge, .message = "push: over 1,000 references"});
    }
    found_.push_back(std::move(reference));
  }

  const Options& options_;
  std::vector<image::Reference> found_;
  std::unordered_set<std::string> known_;
  std::optional<Error> error_;
};

// One event of distribution; ACR's webhook is the same, one to a request. Only a manifest that was
// pushed by its tag has a tag, so the media type says nothing more.
void read_distribution_event(Reader& in, const Json& event) {
  if (in.need_text(event, "action") != "push") return;
  const Json& target = in.need_object(event, "target");
  const Json* request = in.object(event, "request");
  in.add(request == nullptr ? std::string_view{} : in.text(*request, "host"), {},
         in.need_text(target, "repository"), in.text(target, "tag"));
}

void read_distribution(Reader& in, const Json& body) {
  const Json* events = in.array(body, "events");
  if (events == nullptr) return in.invalid("no array \"events\"");
  in.each_object(*events, [&](const Json& event) { read_distribution_event(in, event); });
}

void read_docker_hub(Reader& in, const Json& body) {
  const Json& push_data = in.need_object(body, "push_data");
  const Json& repository = in.need_object(body, "repository");
  in.add({}, kDockerHub, in.need_text(repository, "repo_name"), in.text(push_data, "tag"));
}

// "package" and "registry_package" carry the same thing under their own name; "ping" and the other
// events of a hook carry neither.
void read_ghcr(Reader& in, const Json& body) {
  const Json* package = in.object(body, "registry_package");
  if (package == nullptr) package = in.object(body, "package");
  if (package == nullptr || !is_one_of(in.text(body, "action"), {"published", "updated"})) return;
  if (to_lower(in.text(*package, "package_type")) != "container") return;
  const Json* version = in.object(*package, "package_version");
  const Json* metadata = version == nullptr ? nullptr : in.object(*version, "container_metadata");
  const Json* tag = metadata == nullptr ? nullptr : in.object(*metadata, "tag");
  if (tag == nullptr) return;

  std::string_view owner = in.text(*package, "namespace");
  if (owner.empty()) owner = in.need_text(in.need_object(*package, "owner"), "login");
  // Names of users keep their case at GitHub and lose it in the registry.
  const std::string repository =
      to_lower(std::string(owner).append("/").append(in.need_text(*package, "name")));
  in.add(before_slash(in.text(*version, "package_url")), kGhcr, repository, in.text(*tag, "name"));
}

// What both forms of Harbor share. An artifact without a tag has its digest for a tag, or none.
void read_harbor_artifact(Reader& in, const Json& data) {
  const Json* resources = in.array(data, "resources");
  if (resources == nullptr) return in.invalid("no array \"resources\"");
  const std::string_view name = in.need_text(in.need_object(data, "repository"), "repo_full_name");
  in.each_object(*resources, [&](const Json& resource) {
    in.add(before_slash(in.text(resource, "resource_url")), {}, name, in.text(resource, "tag"));
  });
}

// A policy of Harbor has one of two payload formats: its own, or CloudEvents.
void read_harbor(Reader& in, const Json& body) {
  const std::string_view type = in.need_text(body, "type");
  if (type == "PUSH_ARTIFACT") read_harbor_artifact(in, in.need_object(body, "event_data"));
  if (type == kHarborPushed) read_harbor_artifact(in, in.need_object(body, "data"));
}

// Builds and scans of Quay have no updated_tags. They are an array; once they were an object
// from tag to image ID.
void read_quay(Reader& in, const Json& body) {
  const auto tags = body.find("updated_tags");
  if (tags == body.end() || tags->is_null()) return;
  const std::string_view url = in.need_text(body, "docker_url");
  const std::size_t slash = url.find('/');
  if (slash == std::string_view::npos) return in.invalid("\"docker_url\" has no repository");
  const auto add = [&](std::string_view tag) {
    in.add(url.substr(0, slash), {}, url.substr(slash + 1), tag);
  };
  if (tags->is_object()) {
    for (const auto& [tag, image] : tags->items()) add(tag);
  } else if (tags->is_array()) {
    in.each_text(*tags, add);
  } else {
    in.invalid("\"updated_tags\" is of the wrong type");
  }
}

// Where a repository has a port or a host of its own the name is host/image; where the path tells
// them apart it is host/repository/image. A payload does not say which, so both may have moved.
void add_both_routes(Reader& in, std::string_view repository, std::string_view image,
                     std::string_view tag) {
  in.add({}, {}, image, tag);
  if (!repository.empty()) {
    in.add({}, {}, std::string(repository).append("/").append(image), tag);
  }
}

// "v2/<name>/manifests/<tag>", of newer versions with a slash before it; blobs are assets too.
void read_nexus_asset(Reader& in, const Json& body, std::string_view path) {
  constexpr std::string_view kPrefix = "v2/";
  constexpr std::string_view kManifests = "/manifests/";
  if (path.starts_with('/')) path.remove_prefix(1);
  const std::size_t middle = path.rfind(kManifests);
  if (!path.starts_with(kPrefix) || middle == std::string_view::npos || middle < kPrefix.size()) {
    return;
  }
  add_both_routes(in, in.text(body, "repositoryName"),
                  path.substr(kPrefix.size(), middle - kPrefix.size()),
                  path.substr(middle + kManifests.size()));
}

void read_nexus(Reader& in, const Json& body) {
  if (!is_one_of(in.text(body, "action"), {"CREATED", "UPDATED"})) return;
  if (const Json* component = in.object(body, "component");
      component != nullptr && in.text(*component, "format") == "docker") {
    add_both_routes(in, in.text(body, "repositoryName"), in.need_text(*component, "name"),
                    in.text(*component, "version"));
  }
  if (const Json* asset = in.object(body, "asset");
      asset != nullptr && in.text(*asset, "format") == "docker") {
    read_nexus_asset(in, body, in.need_text(*asset, "name"));
  }
}

void read_artifactory(Reader& in, const Json& body) {
  if (in.need_text(body, "domain") != "docker") return;
  if (in.need_text(body, "event_type") != "pushed") return;
  const Json& data = in.need_object(body, "data");
  add_both_routes(in, in.text(data, "repo_key"), in.need_text(data, "image_name"),
                  in.text(data, "tag"));
}

// The tag is a whole name. That of an upload without a tag is missing.
void read_gar_message(Reader& in, const Json& message) {
  if (in.need_text(message, "action") != "INSERT") return;
  const std::string_view name = in.text(message, "tag");
  if (name.empty()) return;
  const std::size_t slash = name.find('/');
  const std::size_t colon = name.rfind(':');
  if (slash == std::string_view::npos || colon == std::string_view::npos || colon < slash) {
    return in.invalid("\"tag\" is not a whole name");
  }
  in.add(name.substr(0, slash), {}, name.substr(slash + 1, colon - slash - 1),
         name.substr(colon + 1));
}

// Wrapped by a push subscription, or as it is where the subscription unwraps payloads.
void read_gar(Reader& in, const Json& body) {
  const Json* envelope = in.object(body, "message");
  if (envelope == nullptr) return read_gar_message(in, body);
  const auto decoded = base64_decode(in.need_text(*envelope, "data"));
  if (!decoded) return in.invalid("\"data\" is not base64");
  const auto message = parse_json(*decoded);
  if (!message) return in.fail_with(message.error());
  if (!message->is_object()) return in.invalid("\"data\" is not an object");
  read_gar_message(in, *message);
}

void read_acr(Reader& in, const Json& body) { read_distribution_event(in, body); }

void read_ecr(Reader& in, const Json& body) {
  if (in.need_text(body, "detail-type") != "ECR Image Action") return;
  const Json& detail = in.need_object(body, "detail");
  if (in.text(detail, "action-type") != "PUSH" || in.text(detail, "result") != "SUCCESS") return;
  const std::string_view region = in.need_text(body, "region");
  const std::string host = std::string(in.need_text(body, "account"))
                               .append(".dkr.ecr.")
                               .append(region)
                               .append(".amazonaws.com")
                               .append(region.starts_with("cn-") ? ".cn" : "");
  in.add(host, {}, in.need_text(detail, "repository-name"), in.text(detail, "image-tag"));
}

void read_generic(Reader& in, const Json& body) {
  const std::string_view image = in.text(body, "image");
  const Json* images = in.array(body, "images");
  if (image.empty() && images == nullptr) return in.invalid("neither \"image\" nor \"images\"");
  if (!image.empty()) in.add_name(image);
  if (images != nullptr) in.each_text(*images, [&](std::string_view name) { in.add_name(name); });
}

// Data whose type is not known is recognised by a member that only one format has.
struct Sign {
  const char* member;
  Json::value_t type;
  void (*read)(Reader&, const Json&);
};
constexpr std::array kSigns = {
    Sign{"events", Json::value_t::array, read_distribution},
    Sign{"push_data", Json::value_t::object, read_docker_hub},
    Sign{"registry_package", Json::value_t::object, read_ghcr},
    Sign{"package", Json::value_t::object, read_ghcr},
    Sign{"event_data", Json::value_t::object, read_harbor},
    Sign{"updated_tags", Json::value_t::array, read_quay},
    Sign{"updated_tags", Json::value_t::object, read_quay},
    Sign{"component", Json::value_t::object, read_nexus},
    Sign{"asset", Json::value_t::object, read_nexus},
    Sign{"domain", Json::value_t::string, read_artifactory},
    Sign{"message", Json::value_t::object, read_gar},
    Sign{"target", Json::value_t::object, read_acr},
    Sign{"detail-type", Json::value_t::string, read_ecr},
    Sign{"image", Json::value_t::string, read_generic},
    Sign{"images", Json::value_t::array, read_generic},
};

bool shows(const Json& data, const Sign& sign) {
  const auto found = data.find(sign.member);
  return found != data.end() && found->type() == sign.type;
}

void read_event_data(Reader& in, std::string_view type, const Json& data) {
  if (type == kHarborPushed) return read_harbor_artifact(in, data);
  if (type == "Microsoft.ContainerRegistry.ImagePushed") return read_acr(in, data);
  if (type == "google.cloud.pubsub.topic.v1.messagePublished") return read_gar(in, data);
  // Deletions and scans, whose data may look the same.
  if (type.starts_with("harbor.") || type.starts_with("Microsoft.ContainerRegistry.")) return;
  const auto sign =
      std::ranges::find_if(kSigns, [&](const Sign& known) { return shows(data, known); });
  if (sign != kSigns.end()) sign->read(in, data);
}

void read_cloud_event(Reader& in, const Json& event) {
  if (!in.need_text(event, "specversion").starts_with("1.")) {
    return in.invalid("not version 1 of CloudEvents");
  }
  const std::string_view type = in.need_text(event, "type");
  if (in.failed()) return;
  if (const std::string_view encoded = in.text(event, "data_base64"); !encoded.empty()) {
    const auto decoded = base64_decode(encoded);
    if (!decoded) return in.invalid("\"data_base64\" is not base64");
    const auto data = parse_json(*decoded);
    if (!data) return in.fail_with(data.error());
    if (data->is_object()) read_event_data(in, type, *data);
    return;
  }
  // Data may be of any type; what is no object is no push.
  const auto data = event.find("data");
  if (data != event.end() && data->is_object()) read_event_data(in, type, *data);
}

// One event, or a batch of them.
void read_cloud_events(Reader& in, const Json& body) {
  if (body.is_array()) {
    return in.each_object(body, [&](const Json& event) { read_cloud_event(in, event); });
  }
  read_cloud_event(in, body);
}

void read(Reader& in, Format format, const Json& body) {
  switch (format) {
    case Format::kDistribution:
      return read_distribution(in, body);
    case Format::kDockerHub:
      return read_docker_hub(in, body);
    case Format::kGhcr:
      return read_ghcr(in, body);
    case Format::kHarbor:
      return read_harbor(in, body);
    case Format::kQuay:
      return read_quay(in, body);
    case Format::kNexus:
      return read_nexus(in, body);
    case Format::kArtifactory:
      return read_artifactory(in, body);
    case Format::kGar:
      return read_gar(in, body);
    case Format::kAcr:
      return read_acr(in, body);
    case Format::kEcr:
      return read_ecr(in, body);
    case Format::kCloudEvents:
      return read_cloud_events(in, body);
    case Format::kGeneric:
      return read_generic(in, body);
  }
}

}  // namespace

std::string_view to_string(Format format) {
  const auto found = std::ranges::find(kNames, format, &FormatName::format);
  return found == kNames.end() ? "unknown" : found->name;
}

Result<Format> parse_format(std::string_view text) {
  const auto found = std::ranges::find(kNames, text, &FormatName::name);
  if (found != kNames.end()) return found->format;
  std::string names;
  for (const FormatName& known : kNames) append_part(names, ", ", known.name);
  return fail(ErrorKind::kInvalid, brief_quote(text) + " is not a format of pushes: " + names);
}

Result<std::vector<image::Reference>> parse_push(Format format, std::string_view body,
                                                 const Options& options) {
  const auto json = parse_json(body);
  if (!json) return fail(json.error());
  Reader in(options);
  if (json->is_object() || (json->is_array() && format == Format::kCloudEvents)) {
    read(in, format, *json);
  } else {
    in.invalid("not an object");
  }
  return std::move(in).finish();
}

}  // namespace tidemark::push
