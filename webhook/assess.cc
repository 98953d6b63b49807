#include "webhook/assess.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "policy/tag_policy.h"
#include "workload/annotations.h"
#include "workload/bare_template.h"

namespace tidemark::webhook {
namespace {

using workload::Object;
using workload::Slot;
using workload::SlotImage;
using workload::Stamp;
using workload::StringMap;
using Stamps = std::map<std::string, Stamp>;
using History = std::vector<workload::HistoryEntry>;

// Clients that send whole files, where a stale export looks like an undo (rule 5).
constexpr std::string_view kLastAppliedKey = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::array kFileWriters = {"kubectl-client-side-apply", "kubectl-replace",
                                     "kubectl-create", "helm"};

std::optional<Stamp> stamp_of(const Stamps& stamps, const std::string& key) {
  const auto found = stamps.find(key);
  return found == stamps.end() ? std::nullopt : std::optional(found->second);
}

// Where the template's annotations are pruned (rule 11), pins and the history stand in for them.
Stamps stamps_of(const Object& object, bool annotations_pruned) {
  if (!annotations_pruned) return workload::read_stamps(object.pod_template.annotations);
  return workload::pinned_stamps(
      object.pod_template,
      workload::parse_history(workload::value_of(object.annotations, workload::kHistoryKey)));
}

bool file_writer(const Review& review) {
  return std::ranges::find(kFileWriters, review.field_manager) != kFileWriters.end();
}

// A client that names itself, and that wrote down that it applied this very stamp (kubectl apply
// under another name, Argo CD): the file it applies holds the stamp. `rollout undo` names nobody,
// and leaves the last applied configuration as it is.
bool applied_from_file(const Review& review, const Stamp& stamp) {
  return !review.field_manager.empty() &&
         workload::value_of(review.object->annotations, kLastAppliedKey).find(stamp.str()) !=
             std::string_view::npos;
}

// A declarative owner of the stamp itself: it holds an exported manifest.
bool applied_by_owner(const Review& review, const std::string& stamp_key) {
  const auto object = workload::parse_object(review.object_json, *review.kind);
  return object && std::ranges::any_of(object->managed, [&](const workload::ManagedEntry& entry) {
           return entry.operation == "Apply" &&
                  std::ranges::find(entry.stamp_keys, stamp_key) != entry.stamp_keys.end();
         });
}

// True where this stamp is what a first invocation of the same write resolved (reinvocationPolicy
// IfNeeded): the submitted history begins with an entry for it that was never stored. The tag may
// have moved since, and the digest may be an old one, yet nobody went back to it.
bool is_first_answer(const Review& review, const Assessment& assessment, const History& submitted,
                     const SlotPlan& plan) {
  if (!review.old_object || !plan.submitted_stamp) return false;
  const auto newest = std::ranges::find(submitted, plan.slot->id(), &workload::HistoryEntry::slot);
  return newest != submitted.end() && newest->to == plan.submitted_stamp->str() &&
         newest->by == review.user && newest->why != workload::kWhyRolledBack &&
         std::ranges::find(assessment.history, *newest) == assessment.history.end();
}

// Rule 5, but for the question what the registry serves now.
bool is_rollback_candidate(const Review& review, const Assessment& assessment,
                           const SlotPlan& plan) {
  if (!plan.submitted_stamp || !plan.reference || plan.first_answer ||
      (plan.submitted_stamp == plan.old_stamp && !plan.pin_returns)) {
    return false;
  }
  const Stamp& stamp = *plan.submitted_stamp;
  const std::string id = plan.slot->id();
  if (!stamp.is_for(*plan.reference) || file_writer(review) || applied_from_file(review, stamp)) {
    return false;
  }
  const auto baseline = assessment.baseline.find(id);
  const bool was_ours =
      workload::history_lists(assessment.history, id, stamp.digest()) ||
      (baseline != assessment.baseline.end() && baseline->second.digest() == stamp.digest());
  // Last, for it reads the object once more.
  return was_ours && !applied_by_owner(review, plan.stamp_key);
}

// True where the last that the history tells of this slot is an undo to `stamp`.
bool last_rolled_back_to(const History& history, const Slot& slot, const Stamp& stamp) {
  const auto newest = std::ranges::find(history, slot.id(), &workload::HistoryEntry::slot);
  return newest != history.end() && newest->why == workload::kWhyRolledBack &&
         newest->to == stamp.str();
}

bool same_reference(const SlotPlan& plan, std::string_view old_written) {
  if (plan.written == old_written) return true;
  const auto now = image::Reference::parse(plan.written);
  const auto before = image::Reference::parse(old_written);
  return now && before && *now == *before;
}

// What can be told of a slot from both objects: images as written, stamps, rollback.
SlotPlan compare_slot(const Slot& slot, const Review& review, const Stamps& old_stamps,
                      const Stamps& submitted_stamps, const History& history, bool pins) {
  SlotPlan plan{.slot = &slot, .stamp_key = slot.stamp_key(), .written = slot.image};
  const std::string& key = plan.stamp_key;
  plan.submitted_stamp = stamp_of(submitted_stamps, key);
  plan.old_stamp = stamp_of(old_stamps, key);

  std::string old_written;
  const Slot* old_slot =
      review.old_object ? workload::find_slot(review.old_object->pod_template, key) : nullptr;
  if (old_slot != nullptr) {
    plan.old_image = old_written = old_slot->image;
    if (plan.old_stamp) {
      if (auto unpinned = workload::unpinned_image(old_slot->image, *plan.old_stamp)) {
        plan.old_pinned = true;
        old_written = std::move(*unpinned);
      }
    }
  }

  // The stamped digest, written over an image that was not pinned: in annotate mode only an undo
  // can have put it there, or else it is the owner's own.
  const bool may_return = plan.old_stamp && plan.submitted_stamp == plan.old_stamp && !pins &&
                          !plan.old_pinned && !file_writer(review) &&
                          last_rolled_back_to(history, slot, *plan.old_stamp);
  const bool old_may_pin = plan.old_stamp && (pins || plan.old_pinned || may_return);
  const bool submitted_may_pin = plan.submitted_stamp && plan.submitted_stamp != plan.old_stamp;
  auto unpinned =
      old_may_pin ? workload::unpinned_image(slot.image, *plan.old_stamp) : std::nullopt;
  plan.pin_returns = unpinned && may_return;
  if (!unpinned && submitted_may_pin) {
    unpinned = workload::unpinned_image(slot.image, *plan.submitted_stamp);
    plan.pinned_by_submitted = unpinned.has_value();
  }
  if (unpinned) plan.written = std::move(*unpinned);
  plan.same_reference = old_slot != nullptr && same_reference(plan, old_written);
  SlotImage image = workload::read_slot_image(plan.written);
  if (image.kind == SlotImage::Kind::kTag) {
    plan.step = Step::kResolve;
    plan.reference = std::move(image.reference);
  } else if (image.kind == SlotImage::Kind::kUnreadable) {
    plan.step = Step::kUnreadable;
    plan.problem = std::move(image.problem);
  }
  return plan;
}

// Files and Git still have the image from which a policy led away: what stands is kept. An undo is
// another matter, and is seen before.
void keep_chosen_tag(const Review& review, const Assessment& assessment, SlotPlan& plan) {
  const Slot* old_slot = workload::find_slot(review.old_object->pod_template, plan.stamp_key);
  if (plan.same_reference || !plan.reference || old_slot == nullptr ||
      !workload::is_left_behind(assessment.written_images, assessment.history, plan.slot->id(),
                                *plan.reference)) {
    return;
  }
  const auto stands =
      plan.old_stamp ? workload::unpinned_image(plan.old_image, *plan.old_stamp) : std::nullopt;
  SlotImage image = workload::read_slot_image(stands.value_or(plan.old_image));
  if (image.kind != SlotImage::Kind::kTag) return;
  plan.written = stands.value_or(plan.old_image);
  plan.reference = std::move(image.reference);
  plan.left_behind = true;
  plan.same_reference = true;
}

// The owner's own pin (see compare_slot) is an edit that same_bare_template cannot see.
bool owner_pinned(const SlotPlan& plan) {
  return plan.old_stamp && !plan.same_reference &&
         workload::unpinned_image(plan.slot->image, *plan.old_stamp).has_value();
}

bool needs_rewriting(const SlotPlan& plan) { return plan.pinned_by_submitted || plan.left_behind; }

// The submitted object; pins that only its own stamps explain (a first invocation that rolled back,
// a revision that was pinned), and images that a policy has left behind, give way to what the
// comparison can match.
std::string without_own_images(const Review& review, const std::vector<SlotPlan>& slots) {
  auto object = nlohmann::json::parse(review.object_json, nullptr, /*allow_exceptions=*/false);
  for (const SlotPlan& plan : slots) {
    const nlohmann::json::json_pointer pointer(plan.slot->image_pointer(*review.kind));
    if (!needs_rewriting(plan) || !object.contains(pointer)) continue;
    object[pointer] = plan.same_reference ? plan.old_image : plan.written;
  }
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<bool> template_edited(const Review& review, const Stamps& old_stamps,
                             const std::vector<SlotPlan>& slots) {
  if (!review.old_object) return true;  // CREATE
  // An immutable template's pods stay as they are: a change of one slot (a Pod's image) says
  // nothing of the others, and step_of() sees it by the reference.
  if (review.kind->template_immutable) return false;
  if (std::ranges::any_of(slots, owner_pinned)) return true;
  std::string_view submitted = review.object_json;
  std::string rewritten;
  if (std::ranges::any_of(slots, needs_rewriting)) {
    submitted = rewritten = without_own_images(review, slots);
  }
  const auto same =
      workload::same_bare_template(review.old_object_json, submitted, *review.kind, old_stamps);
  if (!same) return fail(same.error());
  return !*same;
}

Step step_of(const SlotPlan& plan, const Assessment& assessment, const Review& review) {
  // A rollback of one slot replaces the pods of all: the others will be pulled anew, too.
  const bool rolled_back = std::ranges::any_of(
      assessment.slots, [](const SlotPlan& slot) { return slot.rollback_to.has_value(); });
  const bool replaced =
      assessment.edited || rolled_back ||
      (review.kind->template_immutable && !plan.same_reference && review.old_object);
  if (!replaced) return Step::kCarry;
  const auto& ignored = assessment.settings.ignored_containers;
  const bool wanted = assessment.settings.stamp && !ignored.contains(plan.slot->name);
  if (!wanted) return Step::kLeaveAlone;
  const bool lost =
      assessment.annotations_pruned && assessment.settings.mode != workload::StampMode::kPin;
  return lost && plan.step == Step::kResolve ? Step::kNotKept : plan.step;
}

// Undo to a revision from before Tidemark: the submitted template has no stamp at all, and the
// client is one that names itself not (rule 5).
bool all_stamps_gone(const Review& review, const Stamps& old_stamps) {
  const auto& submitted = review.object->pod_template.annotations;
  const bool any = std::ranges::any_of(
      submitted, [](const auto& entry) { return workload::is_stamp_key(entry.first); });
  return !old_stamps.empty() && !any && review.field_manager.empty();
}

void tell_unreadable_policies(Assessment& assessment) {
  for (const auto& [slot, text] : assessment.settings.policies) {
    const auto policy = policy::TagPolicy::parse(text);
    if (policy) continue;
    assessment.problems.push_back("the policy of " + slot + ": " + policy.error().message);
  }
}

// Back to the baseline, as far as the submitted object has it: an undo brings it along (from the
// former ReplicaSet) or leaves it where it is. A client that writes its own object drops it.
void return_to_baseline(const Review& review, Assessment& assessment) {
  const auto submitted = workload::parse_baseline(
      workload::value_of(review.object->annotations, workload::kBaselineKey));
  for (SlotPlan& plan : assessment.slots) {
    const auto baseline = assessment.baseline.find(plan.slot->id());
    if (baseline == assessment.baseline.end() || !plan.reference ||
        !submitted.contains(plan.slot->id()) || !baseline->second.is_for(*plan.reference) ||
        baseline->second == plan.old_stamp) {
      continue;
    }
    plan.rollback_to = baseline->second;
    assessment.undo = true;
  }
}

// `rollout undo` of a Deployment replaces its annotations by those of the former ReplicaSet. Where
// no stamp tells (equal stamps, or none), the history does: it is as it was then, without what was
// recorded since.
bool brings_former_annotations(const Review& review, const Assessment& assessment,
                               const History& submitted) {
  if (!review.field_manager.empty() || assessment.history.empty()) return false;
  if (submitted.empty()) return assessment.all_stamps_gone && assessment.edited;
  const auto newest_then = std::ranges::find(assessment.history, submitted.front());
  return newest_then != assessment.history.begin() && newest_then != assessment.history.end();
}

}  // namespace

std::optional<std::string_view> pass_reason(const Review& review, std::string_view sweeper_user) {
  if (!review.object) return "not a template that is stamped";
  const bool sweeper = !sweeper_user.empty() && review.user == sweeper_user;
  if (sweeper || review.field_manager == workload::kStampWriter) {
    return "written by Tidemark";
  }
  if (review.kind->made_by_controllers && review.object->controller) return "owned by a controller";
  // Its controller starts no pods any more (a Deployment's only syncs its status).
  if (review.object->deleting) return "being deleted";
  return std::nullopt;
}

Result<Assessment> assess(const Review& review, const workload::Metadata& ns,
                          const workload::Settings& defaults, WallTime now,
                          bool annotations_pruned) {
  const Object& object = *review.object;
  const Stamps submitted_stamps = stamps_of(object, annotations_pruned);
  Assessment assessment;
  assessment.annotations_pruned = annotations_pruned;
  Stamps old_stamps;
  if (review.old_object) {
    const StringMap& old_annotations = review.old_object->annotations;
    old_stamps = stamps_of(*review.old_object, annotations_pruned);
    assessment.history =
        workload::parse_history(workload::value_of(old_annotations, workload::kHistoryKey));
    assessment.held = workload::parse_held(workload::value_of(old_annotations, workload::kHeldKey));
    assessment.baseline =
        workload::parse_baseline(workload::value_of(old_annotations, workload::kBaselineKey));
    assessment.written_images = workload::parse_written_images(
        workload::value_of(old_annotations, workload::kWrittenImagesKey));
  }
  const History submitted_history =
      workload::parse_history(workload::value_of(object.annotations, workload::kHistoryKey));
  auto effective = workload::effective_settings(object, ns, defaults);

  const bool may_roll_back = review.old_object && !review.kind->template_immutable;
  assessment.slots.reserve(object.pod_template.slots.size());
  for (const Slot& slot : object.pod_template.slots) {
    const bool pins = effective.settings.pins(workload::effective_pull_policy(slot));
    SlotPlan plan =
        compare_slot(slot, review, old_stamps, submitted_stamps, assessment.history, pins);
    plan.first_answer = is_first_answer(review, assessment, submitted_history, plan);
    const bool stamps_last = !annotations_pruned || pins;
    if (may_roll_back && stamps_last && is_rollback_candidate(review, assessment, plan)) {
      plan.rollback_to = plan.submitted_stamp;
      assessment.undo = true;
    }
    plan.by_policy = effective.settings.policies.contains(plan.slot->id());
    if (plan.by_policy && review.old_object && !plan.rollback_to) {
      keep_chosen_tag(review, assessment, plan);
    }
    assessment.slots.push_back(std::move(plan));
  }
  const auto edited = template_edited(review, old_stamps, assessment.slots);
  if (!edited) return fail(edited.error());
  assessment.edited = *edited;
  if (may_roll_back) {
    assessment.all_stamps_gone = !annotations_pruned && all_stamps_gone(review, old_stamps);
    if (assessment.all_stamps_gone) return_to_baseline(review, assessment);
    if (brings_former_annotations(review, assessment, submitted_history)) assessment.undo = true;
  }
  // What the user wants is in the old object then.
  if (assessment.undo) effective = workload::effective_settings(*review.old_object, ns, defaults);
  assessment.settings = std::move(effective.settings);
  assessment.problems = std::move(effective.problems);
  tell_unreadable_policies(assessment);

  for (SlotPlan& plan : assessment.slots) {
    plan.step = step_of(plan, assessment, review);
    plan.by_policy = assessment.settings.policies.contains(plan.slot->id());
    const bool listed = assessment.held.contains(plan.slot->id());
    const bool kept = plan.same_reference && plan.old_stamp;
    plan.held_by_hand = kept && assessment.settings.hold_on(plan.slot->id(), now) != nullptr;
    plan.held = plan.held_by_hand || (kept && listed);
  }
  return assessment;
}

}  // namespace tidemark::webhook
