// Object: a workload as plain values, read once from its JSON.
//
// Purpose: what stamping and sweeping need to know of a Deployment, CronJob, Pod, ... and nothing
// more. Unknown fields are skipped; the template's bytes are compared by bare_template.h.
// Thread-safety: values; each parse_object has a parser of its own. Ownership: copies, no view into
// the JSON; the kind stays its table's. Errors: kInvalid naming the JSON path, kTooLarge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/reference.h"
#include "workload/annotations.h"
#include "workload/kind.h"

namespace tidemark::workload {

enum class SlotType { kContainer, kInitContainer, kImageVolume };

// One place in a pod template that names an image. Container and init container names are unique
// together; volumes have a name space of their own, hence their own stamp prefix.
struct Slot {
  SlotType type = SlotType::kContainer;
  std::string name;
  std::string image;        // as written
  std::string pull_policy;  // as written, "" where absent
  std::size_t index = 0;    // in the list of its type

  // JSON pointers from the root of an object of this kind: to the slot, and to its image string.
  std::string pointer(const Kind& kind_of_object) const;
  std::string image_pointer(const Kind& kind_of_object) const;

  std::string stamp_key() const;
  // "app" or "volume/data": how history, held and unstamped name the slot.
  std::string id() const;
};

// What a slot's image asks of us.
struct SlotImage {
  enum class Kind {
    kTag,        // has a tag and no digest: stamped
    kDigest,     // given by digest: nothing can move
    kLeftAlone,  // empty, or "auto" (Istio injection templates)
    kUnreadable  // not an image name: admitted, with a warning
  } kind = Kind::kLeftAlone;
  std::optional<image::Reference> reference;  // for kTag and kDigest
  std::string problem;                        // for kUnreadable
};
SlotImage read_slot_image(std::string_view image);

// The imagePullPolicy that the kubelet will apply: the written one, else Always for the tag latest
// (written or implied) and IfNotPresent for all others (API defaulting of core/v1).
std::string effective_pull_policy(const Slot& slot);

struct PodTemplate {
  bool has_metadata = false;     // "metadata" is an object (not absent, not null)
  bool has_annotations = false;  // "annotations" is an object
  StringMap annotations;
  std::vector<Slot> slots;  // init containers, containers, image volumes, each in order
  std::vector<std::string> image_pull_secrets;
  std::string service_account;  // "" where absent: "default"
};

struct Owner {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
};

// metadata.managedFields, as far as Tidemark needs it: who applied a stamp (rule 5 of the stamp
// contract), and whose writing an image makes a server-side apply of it a conflict.
struct ManagedEntry {
  std::string manager;
  std::string operation;                // "Apply" or "Update"
  std::vector<std::string> stamp_keys;  // template stamps in its fieldsV1
  bool owns_image = false;              // an image of the template is in its fieldsV1
};

// What of .status rollout.h reads; 0 and "" where it is absent.
struct RolloutStatus {
  std::int64_t observed_generation = 0;
  std::int64_t replicas = 0;           // Deployment, StatefulSet
  std::int64_t updated = 0;            // updatedReplicas
  std::int64_t available = 0;          // availableReplicas
  std::int64_t ready = 0;              // readyReplicas
  std::int64_t desired_scheduled = 0;  // DaemonSet
  std::int64_t updated_scheduled = 0;
  std::int64_t number_available = 0;
  std::string current_revision{};  // StatefulSet
  std::string update_revision{};
  bool deadline_exceeded = false;  // condition Progressing, reason ProgressDeadlineExceeded
  bool has_updated = false;        // updatedReplicas is there
  std::string ready_condition{};   // of the condition Ready: "True", "False" or "Unknown"
  std::string phase{};             // Argo Rollout: "Healthy", "Progressing", "Paused", "Degraded"
};

struct Object {
  const Kind* kind = nullptr;  // what it was parsed as; its table's
  std::string ns;
  std::string name;  // may be "" on CREATE with generateName
  std::string generate_name;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  bool deleting = false;      // metadata.deletionTimestamp is set
  bool has_metadata = false;  // as in PodTemplate
  bool has_annotations = false;
  StringMap annotations;
  StringMap labels;
  std::optional<Owner> controller;    // the ownerReference with controller: true
  std::vector<ManagedEntry> managed;  // empty where it was not to be read
  PodTemplate pod_template;

  // Of the rollout, for the sweeper; absent fields keep their API defaults.
  bool paused = false;        // Deployment spec.paused
  std::int64_t replicas = 1;  // spec.replicas
  RolloutStatus rollout;
  std::string update_strategy;            // spec.updateStrategy.type or spec.strategy.type
  std::optional<std::int64_t> partition;  // StatefulSet spec.updateStrategy.rollingUpdate.partition
};

// A watch line, the largest text that an object comes in, may have 8 MiB; a review's two objects
// share 7 MiB.
inline constexpr std::size_t kMaxObjectBytes = std::size_t{8} * 1024 * 1024;

// managedFields is often the largest part of an object, and seldom asked for.
enum class ManagedFields { kRead, kSkip };

// `json`: one object, as a view into a larger text if need be. `kind` says where the template is. A
// List's items lack apiVersion and kind, hence they are not read from the JSON.
Result<Object> parse_object(std::string_view json, const Kind& kind,
                            ManagedFields managed = ManagedFields::kRead);

// True for an entry of kStampWriter's own writes that owns an image.
bool is_image_of_stamp_writer(const ManagedEntry& entry);

// Slots by stamp key; nullptr where there is none.
const Slot* find_slot(const PodTemplate& pod_template, std::string_view stamp_key);

}  // namespace tidemark::workload
