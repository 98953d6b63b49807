// Stage 2: Review -> Assessment: which rule of the stamp contract applies to which slot.
//
// Purpose: everything that can be said before a registry is asked. Rules are numbered as in the
// stamp contract (webhook/README.md). Decided from the OLD object and the bare template; stamps
// inside the submitted object are never trusted, they are at most a rollback candidate and tell
// which pinned images are Tidemark's own work. That is why a second invocation, whose submitted
// object carries the first answer, comes to the same result.
// Thread-safety: pure functions over values. Errors: kInvalid where the template cannot be
// compared.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/reference.h"
#include "webhook/decode_review.h"
#include "workload/records.h"
#include "workload/settings.h"
#include "workload/stamp.h"

namespace tidemark::webhook {

// Why a request passes without any change; nullopt: it goes through the stages that follow.
// `sweeper_user`: the user name under which the sweeper writes, "" for none.
std::optional<std::string_view> pass_reason(const Review& review, std::string_view sweeper_user);

enum class Step {
  kCarry,       // rule 2: stamp and pin stay byte for byte
  kResolve,     // rules 1, 3, 4 and 5: the registry is asked
  kLeaveAlone,  // by digest, empty, `auto`, or not wanted: no stamp
  kUnreadable,  // not an image name: no stamp, a warning
  kNotKept      // rule 11: the API server would drop the stamp; no stamp, a warning
};

struct SlotPlan {
  const workload::Slot* slot = nullptr;  // as submitted, of the review's object
  std::string stamp_key = {};            // the slot's
  Step step = Step::kLeaveAlone;
  // The image as its owner wrote it: the submitted one with a pin of ours taken back.
  std::string written = {};
  std::optional<image::Reference> reference = {};  // of `written`, for kResolve
  std::string problem = {};                        // for kUnreadable

  std::optional<workload::Stamp> old_stamp = {};  // of the old object
  std::string old_image = {};                     // as stored, "" where the slot is new
  bool old_pinned = false;                        // old_image is a pin of ours
  bool same_reference = false;                    // as the old object's slot
  std::optional<workload::Stamp> submitted_stamp = {};
  bool first_answer = false;         // submitted_stamp is ours, of a first invocation of this write
  bool pinned_by_submitted = false;  // the image is a pin that only this stamp explains
  bool pin_returns = false;          // the pin of an undo, which a write that was not seen removed
  bool by_policy = false;            // it follows a tag policy, and may name tags of its choice
  // The submitted image is what its owner wrote before a policy chose another tag (`written` has
  // that one): nothing new is wished.
  bool left_behind = false;

  bool held = false;          // rule 4: keeps its stamp unless the tag moved on
  bool held_by_hand = false;  // the same, wherever the tag moves
  std::optional<workload::Stamp> rollback_to =
      {};  // rule 5: unless the registry serves it now anyway
};

struct Assessment {
  bool edited = false;  // the template changes: its pods are replaced
  // The write is a `rollout undo`, also one that rolls back no stamp: user-set keys come from the
  // old object as well (rule 5).
  bool undo = false;
  // All stamps are gone and no field manager is named (rule 5).
  bool all_stamps_gone = false;
  // Rule 11: the schema of this kind keeps no template annotations, so that stamps are but pins.
  bool annotations_pruned = false;
  std::vector<SlotPlan> slots;
  workload::Settings settings;
  std::vector<std::string> problems;  // of the settings

  // The records of the old object; empty on CREATE.
  std::vector<workload::HistoryEntry> history;
  workload::Held held;
  workload::Baseline baseline;
  workload::WrittenImages written_images;
};

// `review.object` must be there. `ns`: the namespace's own metadata, as far as it is known.
// `now`: for holds that end. `annotations_pruned`: of the pod template, by the kind's definition
// (template_schemas.h).
Result<Assessment> assess(const Review& review, const workload::Metadata& ns,
                          const workload::Settings& defaults, WallTime now,
                          bool annotations_pruned = false);

}  // namespace tidemark::webhook
