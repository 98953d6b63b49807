// One pass over the fields with simdjson's on-demand parser: what is not named here is skipped at
// the speed of its scanner, and nothing depends on the order of fields. `path_` follows the walk
// and is not unwound by an exception, so that the error can say where it happened.

#include "workload/object.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include "base/function_ref.h"
#include "base/json_text.h"
#include "base/text.h"
#include "workload/object_reader.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

namespace ondemand = simdjson::ondemand;
using ondemand::json_type;

// No object that is read here has more fields that are known than this.
constexpr std::size_t kMaxKnownFields = 16;
// Deeper than the way to a container's image.
constexpr std::size_t kUsualDepth = 16;
// A JSON path in a message: enough to find the place, whatever the keys are made of.
constexpr std::size_t kMaxPathBytes = 200;

struct Malformed {
  std::string_view reason;
};

class Reader {
 public:
  Reader(const Kind& kind, ManagedFields managed, Object& out)
      : template_path_(split_pointer(kind.template_pointer)), managed_(managed), out_(out) {
    path_.reserve(kUsualDepth);
  }

  void read(ondemand::object root) {
    fields(root, [&](std::string_view key, ondemand::value value) {
      if (key == "metadata") return read_metadata(value.get_object()), true;
      if (key == "status" && value.type() == json_type::object) {
        return read_status(value.get_object()), true;
      }
      if (template_path_.empty() && key == "spec") return read_pod_spec(value.get_object()), true;
      if (template_path_.empty() || key != template_path_.front()) return false;
      return read_towards_template(value.get_object(), 1, key == "spec"), true;
    });
    if (template_path_.empty()) {  // a pod is its own template
      out_.pod_template.has_metadata = out_.has_metadata;
      out_.pod_template.has_annotations = out_.has_annotations;
      out_.pod_template.annotations = out_.annotations;
    }
    std::vector<Slot>& slots = out_.pod_template.slots;
    slots.reserve(init_containers_.size() + containers_.size() + volumes_.size());
    for (std::vector<Slot>* part : {&init_containers_, &containers_, &volumes_}) {
      std::ranges::move(*part, std::back_inserter(slots));
    }
  }

  // Where the walk is, as a JSON pointer. The document must still be there.
  std::string path() const {
    std::string pointer;
    for (const Place& place : path_) {
      pointer.push_back('/');
      if (place.key.data() == nullptr) {
        pointer.append(std::to_string(place.index));
      } else {
        append_pointer_token(pointer, place.key);
      }
    }
    return pointer;
  }

 private:
  // Calls `visit(key, value)` for each field that is not null; it answers whether it knew the key.
  // A known key that comes twice is refused: parsers differ in which of the two they believe.
  using VisitField = FunctionRef<bool(std::string_view, ondemand::value)>;
  void fields(ondemand::object object, VisitField visit) {
    std::array<std::string_view, kMaxKnownFields> seen;
    std::size_t count = 0;
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      ondemand::value value = field.value();
      path_.push_back({.key = key});
      if (value.type() != json_type::null && visit(key, value)) {
        const auto end = seen.begin() + static_cast<std::ptrdiff_t>(count);
        if (std::find(seen.begin(), end, key) != end) throw Malformed{"is given twice"};
        if (count < seen.size()) seen[count++] = key;
      }
      path_.pop_back();
    }
  }

  // One step of the way: a key, or an element's index. Keys are views into the parser's buffer,
  // which is not used again before the next document.
  struct Place {
    std::string_view key;
    std::size_t index = 0;
  };

  using VisitElement = FunctionRef<void(std::size_t, ondemand::value)>;
  void elements(ondemand::array array, VisitElement visit) {
    std::size_t index = 0;
    for (auto element : array) {
      path_.push_back({.key = {}, .index = index});
      visit(index++, element.value());
      path_.pop_back();
    }
  }

  static std::string text(ondemand::value value) {
    return std::string(std::string_view(value.get_string()));
  }

  StringMap string_map(ondemand::object object) {
    StringMap map;
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      path_.push_back({.key = key});
      ondemand::value value = field.value();
      // Go reads a null as the zero value.
      std::string content = value.type() == json_type::null ? std::string() : text(value);
      if (!map.try_emplace(std::string(key), std::move(content)).second) {
        throw Malformed{"is given twice"};
      }
      path_.pop_back();
    }
    return map;
  }

  void read_metadata(ondemand::object metadata) {
    out_.has_metadata = true;
    fields(metadata, [&](std::string_view key, ondemand::value value) {
      if (key == "annotations") {
        out_.annotations = string_map(value.get_object());
        return out_.has_annotations = true;
      }
      if (key == "labels") return out_.labels = string_map(value.get_object()), true;
      if (key == "namespace") return out_.ns = text(value), true;
      if (key == "name") return out_.name = text(value), true;
      if (key == "generateName") return out_.generate_name = text(value), true;
      if (key == "uid") return out_.uid = text(value), true;
      if (key == "resourceVersion") return out_.resource_version = text(value), true;
      if (key == "generation") return out_.generation = value.get_int64(), true;
      if (key == "deletionTimestamp") return out_.deleting = true;
      if (key == "ownerReferences") return read_owners(value.get_array()), true;
      if (key == "managedFields" && managed_ == ManagedFields::kRead) {
        return read_managed_fields(value.get_array()), true;
      }
      return false;
    });
  }

  void read_owners(ondemand::array owners) {
    elements(owners, [&](std::size_t, ondemand::value element) {
      Owner owner;
      bool controller = false;
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key == "apiVersion") return owner.api_version = text(value), true;
        if (key == "kind") return owner.kind = text(value), true;
        if (key == "name") return owner.name = text(value), true;
        if (key == "uid") return owner.uid = text(value), true;
        if (key == "controller") return controller = value.get_bool(), true;
        return false;
      });
      if (controller && !out_.controller) out_.controller = std::move(owner);
    });
  }

  void read_managed_fields(ondemand::array entries) {
    elements(entries, [&](std::size_t, ondemand::value element) {
      ManagedEntry entry;
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key == "manager") return entry.manager = text(value), true;
        if (key == "operation") return entry.operation = text(value), true;
        if (key != "fieldsV1") return false;
        return read_managed(value.get_object(), template_path_, entry), true;
      });
      out_.managed.push_back(std::move(entry));
    });
  }

  // `object` is what stands `way` above the template in fieldsV1, which names the fields as the
  // object does, with "f:" before each.
  void read_managed(ondemand::object object, std::span<const std::string> way,
                    ManagedEntry& entry) {
    fields(object, [&](std::string_view key, ondemand::value value) {
      if (!way.empty()) {
        if (!key.starts_with("f:") || key.substr(2) != way.front()) return false;
        return read_managed(value.get_object(), way.subspan(1), entry), true;
      }
      if (key == "f:metadata") return read_managed_stamps(value.get_object(), entry), true;
      if (key == "f:spec") return read_managed_images(value.get_object(), entry), true;
      return false;
    });
  }

  void read_managed_stamps(ondemand::object metadata, ManagedEntry& entry) {
    fields(metadata, [&](std::string_view key, ondemand::value value) {
      if (key != "f:annotations") return false;
      fields(value.get_object(), [&](std::string_view annotation, ondemand::value) {
        if (annotation.starts_with("f:") && is_stamp_key(annotation.substr(2))) {
          entry.stamp_keys.emplace_back(annotation.substr(2));
        }
        return false;
      });
      return true;
    });
  }

  // A list item is {"k:{\"name\":\"app\"}": {"f:image": {}, ...}}.
  void read_managed_images(ondemand::object spec, ManagedEntry& entry) {
    fields(spec, [&](std::string_view key, ondemand::value list) {
      if (key != "f:containers" && key != "f:initContainers" && key != "f:volumes") return false;
      fields(list.get_object(), [&](std::string_view item, ondemand::value parts) {
        if (!item.starts_with("k:")) return false;
        fields(parts.get_object(), [&](std::string_view part, ondemand::value) {
          if (part == "f:image") entry.owns_image = true;
          return false;
        });
        return false;
      });
      return true;
    });
  }

  // `object` is what the first `depth` tokens of the template's path lead to.
  void read_towards_template(ondemand::object object, std::size_t depth, bool is_spec) {
    if (depth == template_path_.size()) return read_template(object);
    fields(object, [&](std::string_view key, ondemand::value value) {
      if (key == template_path_[depth]) {
        return read_towards_template(value.get_object(), depth + 1, false), true;
      }
      return is_spec && read_rollout_field(key, value);
    });
  }

  // Only where these have the types of apps/v1: custom kinds use the same names for other things.
  bool read_rollout_field(std::string_view key, ondemand::value value) {
    if (key == "paused" && value.type() == json_type::boolean) {
      return out_.paused = value.get_bool(), true;
    }
    if (key == "replicas") return read_number(value, out_.replicas), true;
    const bool is_strategy = key == "strategy" || key == "updateStrategy";
    if (!is_strategy || value.type() != json_type::object) return false;
    fields(value.get_object(), [&](std::string_view part, ondemand::value of_part) {
      if (part == "type" && of_part.type() == json_type::string) {
        return out_.update_strategy = text(of_part), true;
      }
      if (part != "rollingUpdate" || of_part.type() != json_type::object) return false;
      fields(of_part.get_object(), [&](std::string_view name, ondemand::value number) {
        if (name != "partition" || number.type() != json_type::number) return false;
        return out_.partition = number.get_int64(), true;
      });
      return true;
    });
    return true;
  }

  static bool read_number(ondemand::value value, std::int64_t& out) {
    if (value.type() != json_type::number) return false;
    std::int64_t number = 0;
    if (value.get_int64().get(number) != simdjson::SUCCESS) return false;
    out = number;
    return true;
  }

  // Argo Rollout writes it as a string, in which older versions had a hash.
  static void read_generation(ondemand::value value, std::int64_t& out) {
    if (value.type() != json_type::string) return void(read_number(value, out));
    const std::string digits = text(value);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (error != std::errc() || end != digits.data() + digits.size()) out = 0;
  }

  static void read_text(ondemand::value value, std::string& out) {
    if (value.type() == json_type::string) out = text(value);
  }

  // Lenient: custom kinds use the same names for other things.
  void read_status(ondemand::object status) {
    RolloutStatus& out = out_.rollout;
    fields(status, [&](std::string_view key, ondemand::value value) {
      if (key == "observedGeneration") return read_generation(value, out.observed_generation), true;
      if (key == "replicas") return read_number(value, out.replicas), true;
      if (key == "updatedReplicas") return out.has_updated = read_number(value, out.updated), true;
      if (key == "availableReplicas") return read_number(value, out.available), true;
      if (key == "readyReplicas") return read_number(value, out.ready), true;
      if (key == "desiredNumberScheduled") return read_number(value, out.desired_scheduled), true;
      if (key == "updatedNumberScheduled") return read_number(value, out.updated_scheduled), true;
      if (key == "numberAvailable") return read_number(value, out.number_available), true;
      if (key == "currentRevision") return read_text(value, out.current_revision), true;
      if (key == "updateRevision") return read_text(value, out.update_revision), true;
      if (key == "phase") return read_text(value, out.phase), true;
      if (key != "conditions" || value.type() != json_type::array) return false;
      return read_conditions(value.get_array()), true;
    });
  }

  void read_conditions(ondemand::array conditions) {
    elements(conditions, [&](std::size_t, ondemand::value element) {
      if (element.type() != json_type::object) return;
      std::string type;
      std::string status;
      std::string reason;
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key == "type") return read_text(value, type), true;
        if (key == "status") return read_text(value, status), true;
        if (key == "reason") return read_text(value, reason), true;
        return false;
      });
      // kubectl/pkg/util/deployment TimedOutReason
      if (type == "Progressing" && reason == "ProgressDeadlineExceeded") {
        out_.rollout.deadline_exceeded = true;
      }
      if (type == "Ready") out_.rollout.ready_condition = status;
    });
  }

  void read_template(ondemand::object pod_template) {
    fields(pod_template, [&](std::string_view key, ondemand::value value) {
      if (key == "metadata") return read_template_metadata(value.get_object()), true;
      if (key == "spec") return read_pod_spec(value.get_object()), true;
      return false;
    });
  }

  void read_template_metadata(ondemand::object metadata) {
    PodTemplate& out = out_.pod_template;
    out.has_metadata = true;
    fields(metadata, [&](std::string_view key, ondemand::value value) {
      if (key != "annotations") return false;
      out.annotations = string_map(value.get_object());
      return out.has_annotations = true;
    });
  }

  void read_pod_spec(ondemand::object spec) {
    PodTemplate& out = out_.pod_template;
    fields(spec, [&](std::string_view key, ondemand::value value) {
      if (key == "containers") {
        return read_containers(value.get_array(), SlotType::kContainer, containers_), true;
      }
      if (key == "initContainers") {
        return read_containers(value.get_array(), SlotType::kInitContainer, init_containers_), true;
      }
      if (key == "volumes") return read_volumes(value.get_array()), true;
      if (key == "serviceAccountName") return out.service_account = text(value), true;
      if (key == "imagePullSecrets") return read_pull_secrets(value.get_array()), true;
      return false;
    });
  }

  // Without a name (the API server will refuse it) a container is no slot: no key could hold it.
  void read_containers(ondemand::array containers, SlotType type, std::vector<Slot>& slots) {
    elements(containers, [&](std::size_t index, ondemand::value element) {
      Slot slot{.type = type, .name = {}, .image = {}, .pull_policy = {}, .index = index};
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key == "name") return slot.name = text(value), true;
        if (key == "image") return slot.image = text(value), true;
        if (key == "imagePullPolicy") return slot.pull_policy = text(value), true;
        return false;
      });
      if (!slot.name.empty()) slots.push_back(std::move(slot));
    });
  }

  void read_volumes(ondemand::array volumes) {
    elements(volumes, [&](std::size_t index, ondemand::value element) {
      Slot slot{.type = SlotType::kImageVolume,
                .name = {},
                .image = {},
                .pull_policy = {},
                .index = index};
      bool is_image = false;
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key == "name") return slot.name = text(value), true;
        if (key != "image") return false;
        is_image = true;
        fields(value.get_object(), [&](std::string_view part, ondemand::value of_part) {
          if (part == "reference") return slot.image = text(of_part), true;
          if (part == "pullPolicy") return slot.pull_policy = text(of_part), true;
          return false;
        });
        return true;
      });
      if (is_image && !slot.name.empty()) volumes_.push_back(std::move(slot));
    });
  }

  void read_pull_secrets(ondemand::array secrets) {
    elements(secrets, [&](std::size_t, ondemand::value element) {
      fields(element.get_object(), [&](std::string_view key, ondemand::value value) {
        if (key != "name") return false;
        return out_.pod_template.image_pull_secrets.push_back(text(value)), true;
      });
    });
  }

  std::vector<std::string> template_path_;
  ManagedFields managed_;
  Object& out_;
  std::vector<Place> path_;
  std::vector<Slot> init_containers_;
  std::vector<Slot> containers_;
  std::vector<Slot> volumes_;
};

std::unexpected<Error> malformed(const Kind& kind, std::string_view path, std::string_view reason) {
  return fail(ErrorKind::kInvalid,
              kind.kind + ": " + json_quote(path.empty() ? "/" : path.substr(0, kMaxPathBytes)) +
                  ": " + std::string(reason));
}

}  // namespace

std::string Slot::pointer(const Kind& kind_of_object) const {
  constexpr std::array<std::string_view, 3> kLists = {"containers", "initContainers", "volumes"};
  return concat({kind_of_object.template_pointer, "/spec/", kLists[static_cast<std::size_t>(type)],
                 "/", std::to_string(index)});
}

std::string Slot::image_pointer(const Kind& kind_of_object) const {
  return pointer(kind_of_object) + (type == SlotType::kImageVolume ? "/image/reference" : "/image");
}

std::string Slot::stamp_key() const {
  const bool volume = type == SlotType::kImageVolume;
  return concat({volume ? kVolumeStampPrefix : kStampPrefix, name});
}

std::string Slot::id() const { return type == SlotType::kImageVolume ? "volume/" + name : name; }

SlotImage read_slot_image(std::string_view image) {
  SlotImage out;
  if (image.empty() || image == "auto") return out;
  auto reference = image::Reference::parse(image);
  if (!reference) {
    out.kind = SlotImage::Kind::kUnreadable;
    out.problem = std::move(reference.error().message);
    return out;
  }
  out.kind = reference->digest() ? SlotImage::Kind::kDigest : SlotImage::Kind::kTag;
  out.reference = std::move(*reference);
  return out;
}

std::string effective_pull_policy(const Slot& slot) {
  if (!slot.pull_policy.empty()) return slot.pull_policy;
  const auto reference = image::Reference::parse(slot.image);
  return reference && reference->tag() == "latest" ? "Always" : "IfNotPresent";
}

Status read_object(ondemand::object json, const Kind& kind, ManagedFields managed, Object& out) {
  out.kind = &kind;
  Reader reader(kind, managed, out);
  try {
    reader.read(json);
  } catch (const simdjson::simdjson_error& error) {
    return malformed(kind, reader.path(), error.what());
  } catch (const Malformed& error) {
    return malformed(kind, reader.path(), error.reason);
  }
  return {};
}

Result<Object> parse_object(std::string_view json, const Kind& kind, ManagedFields managed) {
  if (json.size() > kMaxObjectBytes) {
    return fail(ErrorKind::kTooLarge, kind.kind + ": an object of more than " +
                                          std::to_string(kMaxObjectBytes) + " bytes");
  }
  // A parser for each call: its buffers are a few times the text and cost less than a
  // microsecond, while one kept per thread would hold on to those of the largest text for ever.
  ondemand::parser parser;
  const simdjson::padded_string padded(json);
  ondemand::document document;
  ondemand::object root;
  auto error = parser.iterate(padded).get(document);
  if (!error) error = document.get_object().get(root);
  if (error) return malformed(kind, {}, simdjson::error_message(error));
  Result<Object> object;
  if (auto read = read_object(root, kind, managed, *object); !read) return fail(read.error());
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return malformed(kind, {}, "is followed by something else");
  }
  return object;
}

bool is_image_of_stamp_writer(const ManagedEntry& entry) {
  return entry.owns_image && entry.manager == kStampWriter && entry.operation == "Update";
}

const Slot* find_slot(const PodTemplate& pod_template, std::string_view stamp_key) {
  const auto found = std::ranges::find_if(
      pod_template.slots, [&](const Slot& slot) { return slot.stamp_key() == stamp_key; });
  return found == pod_template.slots.end() ? nullptr : &*found;
}

}  // namespace tidemark::workload
