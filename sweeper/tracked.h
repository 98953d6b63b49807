// Workload: what a sweep keeps of one workload, and nothing more.
//
// Purpose: the one translation from a parsed object (workload/object.h) to the facts that check,
// plan and output need. History and annotations themselves are not kept: ten thousand workloads
// stay small, and apply reads the object again before it writes anyway.
// Thread-safety: values and pure functions; what is shared is never written. Ownership: `kind`
// points into the program's table; a SharedWorkload lives as long as anybody has it.
// Source: design section 4, 1.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/digest.h"
#include "image/reference.h"
#include "workload/kind.h"
#include "workload/object.h"
#include "workload/rollout.h"
#include "workload/settings.h"
#include "workload/stamp.h"

namespace tidemark::sweeper {

// Below the API server's root. "" as `ns`: cluster-scoped, or all namespaces; as `name`: the list.
std::string object_path(const workload::Kind& kind, std::string_view ns,
                        std::string_view name = {});
// "deployment/web", "rollout.argoproj.io/web", as kubectl has it.
std::string object_label(const workload::Kind& kind, std::string_view name);

// What the records of its workload say of a slot.
struct SlotRecords {
  std::vector<image::Digest> held;    // digests that must not be rolled to
  std::vector<image::Digest> failed;  // of these, by a rollout of ours that failed here
  // Where the last roll, which is ours, brought it from.
  std::optional<workload::Stamp> rolled_from;
  // Where the newest history entry of it leads; of another tag only where it follows a policy.
  std::optional<image::Digest> last_recorded;
  std::string since;  // RFC 3339: the time of that entry; "" for none
};

struct TrackedSlot {
  // Only kSweepable asks a registry; the others have nothing that could move.
  enum class State {
    kSweepable,   // a stamp for the reference that is written, in the template or as its baseline
    kNoStamp,     // neither: nobody knows what runs (adopt.h finds out)
    kByDigest,    // given by digest by its owner
    kLeftAlone,   // no image, or "auto"
    kIgnored,     // tidemark.dev/ignore-containers, tidemark.dev/stamp: off
    kUnreadable,  // not an image name
  };
  State state = State::kLeftAlone;            // as it was read: see standing()
  std::string_view left_out{};                // by settle(): which setting does, for people
  std::string id;                             // Slot::id()
  std::string written;                        // its image, without a pin of ours
  bool pinned = false;                        // the template has it with such a pin
  std::string pull_policy;                    // effective: "Always", "IfNotPresent", "Never"
  std::optional<image::Reference> reference;  // of `written`; kSweepable and kNoStamp
  std::optional<workload::Stamp> stamp;       // kSweepable
  bool adopted = false;                       // `stamp` is the baseline: the template has none
  std::string problem;                        // why it is not sweepable, for people
  std::shared_ptr<const SlotRecords> kept{};  // nullptr: there are none

  const SlotRecords& records() const;
  State standing() const { return left_out.empty() ? state : State::kIgnored; }
};

struct Workload {
  const workload::Kind* kind = nullptr;
  std::string ns;
  std::string name;
  std::string uid;
  workload::Metadata user_keys;       // what settle() reads the settings from
  workload::Settings settings;        // by settle()
  std::vector<std::string> problems;  // settings that could not be read
  std::vector<TrackedSlot> slots;
  bool paused = false;
  bool on_delete = false;
  bool partitioned = false;
  workload::RolloutState rollout = workload::RolloutState::kIdle;
  std::string failure;       // kFailed: why, for people
  bool rolled_last = false;  // its newest history entry is a roll of ours
  bool owns_image = false;   // the sweeper, in managedFields: it is released (roll_patch.h)
  std::string last_roll;     // RFC 3339, "" for never
  std::vector<std::string> pull_secrets;
  std::string service_account;  // never ""

  std::string label() const;  // object_label()
  // Where its pull credentials come from: equal for workloads that share them.
  std::string pull_source() const;
};

// What its inventory, sweeps and their reports share, so that ten thousand are kept once. Who has
// something to change puts a workload of its own in its place.
using SharedWorkload = std::shared_ptr<const Workload>;  // never null
using Workloads = std::vector<SharedWorkload>;
inline SharedWorkload share(Workload workload) {
  return std::make_shared<const Workload>(std::move(workload));
}

// The object's own facts; its settings are still the defaults. `rules`: that settle() will apply.
Workload track(const workload::Object& object, const workload::PolicyRules& rules = nullptr);
// What holds in its namespace: settings, and which slots they leave out. May be called again, where
// that has changed.
void settle(Workload& workload, const workload::Metadata& ns, const workload::Settings& defaults);

}  // namespace tidemark::sweeper
