#include "sweeper/roll_patch.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "sweeper/guarded_patch.h"
#include "workload/annotations.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using workload::set_or_erase;
using workload::StringMap;
using workload::value_of;

std::string_view reason_of(const SlotPlan& slot) {
  if (slot.verdict == Verdict::kUndo) return workload::kWhyRolledBack;
  return slot.to_reference.empty() ? workload::kWhyMoved : workload::kWhyPolicy;
}

std::vector<workload::HistoryEntry> new_entries(const WorkloadPlan& plan, WallTime now) {
  std::vector<workload::HistoryEntry> entries;
  for (const SlotPlan& slot : plan.slots) {
    if (!slot.changes()) continue;
    entries.push_back({.time = to_rfc3339(now),
                       .slot = slot.slot(),
                       .from = slot.from()->str(),
                       .to = slot.target_stamp().str(),
                       .why = std::string(reason_of(slot)),
                       .by = std::string(workload::kStampWriter)});
  }
  return entries;
}

// The tag of a rolled slot has moved on to a digest that is not held; what failed is held now.
workload::Held next_holds(workload::Held held, const WorkloadPlan& plan, WallTime now) {
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict == Verdict::kRoll) held.erase(slot.slot());
    if (slot.verdict != Verdict::kUndo) continue;
    if (workload::is_held(held, slot.slot(), slot.from()->digest())) continue;
    held[slot.slot()].push_back({.digest = slot.from()->digest(),
                                 .reason = std::string(workload::kHeldByFailure),
                                 .since = to_rfc3339(now)});
  }
  return held;
}

// A baseline is what an undo of the first roll goes back to: it goes with the second.
workload::Baseline remaining_baseline(workload::Baseline baseline, const WorkloadPlan& plan) {
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict == Verdict::kRoll && !slot.of->adopted) baseline.erase(slot.slot());
  }
  return baseline;
}

// What its owner wrote stays known while a policy writes other tags.
workload::WrittenImages next_written(workload::WrittenImages images, const WorkloadPlan& plan) {
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict == Verdict::kRoll && !slot.to_reference.empty()) {
      images.try_emplace(slot.slot(), slot.image());
    }
  }
  return images;
}

StringMap wanted_annotations(const workload::Object& object, const WorkloadPlan& plan,
                             WallTime now) {
  StringMap wanted = object.annotations;
  auto history = workload::push_history(
      new_entries(plan, now),
      workload::parse_history(value_of(object.annotations, workload::kHistoryKey)));
  const auto old_held = workload::parse_held(value_of(object.annotations, workload::kHeldKey));
  if (const auto held = next_holds(old_held, plan, now); held != old_held) {
    set_or_erase(wanted, workload::kHeldKey, workload::dump_held(held));
  }
  const auto old_baseline =
      workload::parse_baseline(value_of(object.annotations, workload::kBaselineKey));
  if (const auto baseline = remaining_baseline(old_baseline, plan); baseline != old_baseline) {
    set_or_erase(wanted, workload::kBaselineKey, workload::dump_baseline(baseline));
  }
  const auto old_written =
      workload::parse_written_images(value_of(object.annotations, workload::kWrittenImagesKey));
  if (const auto written = next_written(old_written, plan); written != old_written) {
    set_or_erase(wanted, workload::kWrittenImagesKey, workload::dump_written_images(written));
  }
  const std::string_view cause = value_of(object.annotations, workload::kChangeCauseKey);
  if (cause.empty() || cause.starts_with(workload::kChangeCausePrefix)) {
    wanted.insert_or_assign(std::string(workload::kChangeCauseKey), change_cause(plan));
  }
  // Where even that is too much, the API server says so.
  (void)put_history(wanted, std::move(history));
  return wanted;
}

}  // namespace

std::string change_cause(const WorkloadPlan& plan) {
  std::string text(workload::kChangeCausePrefix);
  bool first = true;
  for (const SlotPlan& slot : plan.slots) {
    if (!slot.changes()) continue;
    if (!first) text += ", ";
    first = false;
    text += move_text(slot);
  }
  return text;
}

workload::JsonPatch make_roll_patch(const workload::Object& object, const WorkloadPlan& plan,
                                    WallTime now) {
  workload::JsonPatch patch = patch_of(object);
  StringMap of_template = object.pod_template.annotations;
  for (const SlotPlan& planned : plan.slots) {
    if (!planned.changes()) continue;
    const workload::Slot* slot = slot_of(object.pod_template, planned.slot());
    if (slot == nullptr) continue;
    change_image(patch, *object.kind, *slot, planned.to_image);
    of_template.insert_or_assign(slot->stamp_key(), planned.target_stamp().str());
  }
  if (plan.of->settings.restarted_at) {
    of_template.insert_or_assign(std::string(workload::kRestartedAtKey), to_rfc3339(now));
  }
  change_template_annotations(patch, object, of_template);
  change_annotations(patch, object, wanted_annotations(object, plan, now));
  return patch;
}

std::optional<workload::JsonPatch> make_release_patch(const workload::Object& object) {
  const auto ours = std::ranges::find_if(object.managed, workload::is_image_of_stamp_writer);
  // An empty list would mean "as before" to the API server; it cannot come to that, for somebody
  // else created the object.
  if (ours == object.managed.end() || object.managed.size() == 1) return std::nullopt;
  const std::string entry =
      "/metadata/managedFields/" + std::to_string(ours - object.managed.begin());
  workload::JsonPatch patch = patch_of(object);
  patch.test(entry + "/manager", stored_string(ours->manager));
  patch.test(entry + "/operation", stored_string(ours->operation));
  patch.remove(entry);
  return patch;
}

}  // namespace tidemark::sweeper
