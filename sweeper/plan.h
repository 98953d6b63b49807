// plan: (workloads, answers, clock) -> what to do with every slot, and why.
//
// Purpose: the one place that decides whether a slot is to be rolled; pace.h says when. Pure: the
// same input gives the same plan, so
// --dry-run and explain print exactly what a sweep would do, and apply plans again from a fresh
// object before it writes. Nothing is rolled for what a registry failed to say.
// Thread-safety: pure functions. Errors: none; what cannot be done is a verdict with its reason.
// Source: design section 4 (3, 5, 7).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "image/digest.h"
#include "sweeper/answers.h"
#include "sweeper/destination.h"
#include "sweeper/tracked.h"
#include "workload/stamp.h"

namespace tidemark::sweeper {

enum class Verdict {
  kRoll,
  kUndo,  // a roll of ours failed: back to where it began (tidemark.dev/on-failure)
  kUpToDate,
  // Moved, but not rolled:
  kReported,     // tidemark.dev/sweep: report
  kHeld,         // a hold by hand, a held digest, or a roll that somebody took back
  kWaits,        // another slot of the template is unresolved or held: new pods would pull it
  kNotAlways,    // imagePullPolicy would keep the old image on the node
  kPaused,       // Deployment spec.paused
  kOnDelete,     // updateStrategy OnDelete
  kPartitioned,  // StatefulSet with a partition above 0
  kPaced,        // budgets and waves (pace.h)
  kCooldown,     // rolled too short a time ago
  kWindow,       // tidemark.dev/window is closed
  // Nothing known to have moved:
  kUnresolved,  // the registry gave no answer
  kNoStamp,
  kByDigest,
  kLeftAlone,
  kIgnored,
  kUnreadable,
  kOff,  // tidemark.dev/sweep: off; the last one, see parse_verdict()
};

// "roll", "up-to-date", "held", ...: stable names, for output and metric labels.
std::string_view to_string(Verdict verdict);
std::optional<Verdict> parse_verdict(std::string_view name);  // nullopt: there is none of that name
// True where the registry serves another digest than the stamped one.
bool is_moved(Verdict verdict);

struct SlotPlan {
  std::shared_ptr<const TrackedSlot> of;  // what is planned; never null
  Verdict verdict = Verdict::kUpToDate;
  std::string reason = {};               // for people; "" where the verdict says it all
  std::optional<image::Digest> to = {};  // what the registry serves; kUndo: where it goes back to
  std::string to_image = {};      // of a change: the image to write, "" to leave it untouched
  std::string to_reference = {};  // where it leads, "" for the reference that stands
  std::shared_ptr<const FollowedPolicy> followed = {};  // nullptr: it follows no policy
  bool failed = false;   // kHeld, for a rollout to this digest failed here
  bool unasked = false;  // kUnresolved, for no registry was asked

  const std::string& slot() const { return of->id; }
  const std::string& image() const { return of->written; }                  // as its owner wrote it
  const std::optional<workload::Stamp>& from() const { return of->stamp; }  // the one that stands
  bool changes() const { return verdict == Verdict::kRoll || verdict == Verdict::kUndo; }
  // Of a slot with from() (and, for the stamp, `to`): what it leads to.
  std::string target_reference() const {
    return to_reference.empty() ? from()->reference() : to_reference;
  }
  workload::Stamp target_stamp() const;
};

struct WorkloadPlan {
  SharedWorkload of;                       // what is planned
  std::vector<std::string> problems = {};  // its own, and that its last roll failed
  std::vector<SlotPlan> slots = {};

  const workload::Kind& kind() const { return *of->kind; }
  const std::string& ns() const { return of->ns; }
  const std::string& name() const { return of->name; }
  const std::string& uid() const { return of->uid; }
  std::string label() const { return of->label(); }
  // tidemark.dev/on-failure is not ignore.
  bool failure_counts() const { return of->settings.on_failure != workload::OnFailure::kIgnore; }
  bool rolls() const;  // or goes back
};

// "app moved 3f1c9a7e2b40 -> 9b2e01c4d5f6", "app rolled back 9b2e01c4d5f6 -> 3f1c9a7e2b40", with
// another tag "app moved 1.2.0@3f1c9a7e2b40 -> 1.3.0@9b2e01c4d5f6"; of a slot whose verdict
// is_moved() or kUndo.
std::string move_text(const SlotPlan& slot);

WorkloadPlan plan_workload(const SharedWorkload& shared, const Answers& answers, WallTime now);

// Ordered by namespace, kind and name.
std::vector<WorkloadPlan> plan(const Workloads& workloads, const Answers& answers, WallTime now);

}  // namespace tidemark::sweeper
