#include "sweeper/tell.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"

namespace tidemark::sweeper {
namespace {

bool changes(const SlotPlan& slot) { return slot.changes(); }
bool is_stamped(const SlotPlan& slot) { return slot.from().has_value(); }

// What only is paced will be told when it is rolled: a tag that thousands share would else be
// thousands of Events.
bool stays_behind(const SlotPlan& slot) {
  return is_moved(slot.verdict) && slot.verdict != Verdict::kRoll &&
         slot.verdict != Verdict::kPaced;
}

std::vector<notify::Move> moves_of(const WorkloadPlan& plan, bool (*told)(const SlotPlan&)) {
  std::vector<notify::Move> moves;
  for (const SlotPlan& slot : plan.slots) {
    if (!told(slot)) continue;
    moves.push_back({.slot = slot.slot(),
                     .image = slot.image(),
                     .from = slot.from() ? slot.from()->digest().str() : "",
                     .to = slot.to ? slot.to->str() : "",
                     .new_image = slot.to_reference});
  }
  return moves;
}

Note note_of(const WorkloadPlan& plan, const char* reason, std::string text,
             bool (*told)(const SlotPlan&)) {
  return {.event = {.regarding = {.api_version = plan.kind().api_version(),
                                  .kind = plan.kind().kind,
                                  .ns = plan.ns(),
                                  .name = plan.name(),
                                  .uid = plan.uid()},
                    .reason = reason,
                    .action = "Roll",
                    .note = std::move(text)},
          .moves = moves_of(plan, told),
          .standing = {}};
}

Note warning_of(const WorkloadPlan& plan, const char* reason, std::string text,
                bool (*told)(const SlotPlan&)) {
  Note note = note_of(plan, reason, std::move(text), told);
  note.event.warning = true;
  return note;
}

// However many sweeps see it, it is one decision.
Note once_for(std::string decision, Note note) {
  note.event.decision = decision;
  note.standing = std::move(decision);
  return note;
}

std::string rolled_slots(const WorkloadPlan& plan) {
  std::string text;
  for (const SlotPlan& slot : plan.slots) {
    if (slot.changes()) append_part(text, ", ", move_text(slot));
  }
  return text;
}

bool goes_back(const WorkloadPlan& plan) {
  return std::ranges::any_of(plan.slots,
                             [](const SlotPlan& slot) { return slot.verdict == Verdict::kUndo; });
}

void tell_roll(const RollOutcome& outcome, std::vector<Note>& notes) {
  const WorkloadPlan& plan = outcome.plan;
  if (outcome.kind == RollOutcome::Kind::kRolled && goes_back(plan)) {
    // runbook: event: `RolledBack` (Warning, by the sweeper) | a roll failed and was taken back,
    // as `tidemark.dev/on-failure: undo` asks | the Event names the pod and why; push a fixed
    // image: the failed digest is held everywhere
    notes.push_back(warning_of(plan, "RolledBack",
                               rolled_slots(plan) + ": its rollout failed: " + plan.of->failure,
                               changes));
  } else if (outcome.kind == RollOutcome::Kind::kRolled) {
    // runbook: event: `Rolled` | a tag moved and the workload was rolled | nothing
    notes.push_back(note_of(plan, "Rolled", rolled_slots(plan), changes));
  } else if (outcome.kind == RollOutcome::Kind::kFailed &&
             outcome.error->kind != ErrorKind::kCanceled) {
    // runbook: event: `RollFailed` | a roll was wanted and its write was refused: by admission, a
    // conflict that came again, a missing right | the Event has the API server's words;
    // TidemarkRollsFail below
    notes.push_back(warning_of(plan, "RollFailed",
                               rolled_slots(plan) + ", not rolled: " + outcome.error->message,
                               changes));
    notes.back().standing = plan.uid() + " " + rolled_slots(plan);
  }
}

// A roll of ours that will not come to its end, once for each digest that it led to.
void tell_failure(const WorkloadPlan& plan, std::vector<Note>& notes) {
  if (!plan.of->rolled_last || plan.of->failure.empty() || goes_back(plan)) return;
  std::string decision;
  for (const SlotPlan& slot : plan.slots) {
    if (slot.from()) append_part(decision, ",", slot.from()->digest().str());
  }
  notes.push_back(once_for(
      plan.uid() + " " + decision,
      // runbook: event: `RolloutFailed` | the new pods of a roll crash, cannot pull or do not get
      // ready | `kubectl rollout undo`, or `tidemark.dev/on-failure: undo`; TidemarkDigestsHeld
      // below
      warning_of(plan, "RolloutFailed", "its last roll failed: " + plan.of->failure, is_stamped)));
  // What stands is where the roll led to.
  for (notify::Move& move : notes.back().moves) move.to = std::exchange(move.from, "");
}

void tell_moved(const WorkloadPlan& plan, std::vector<Note>& notes) {
  std::string text;
  std::string decision;
  for (const SlotPlan& slot : plan.slots) {
    if (!stays_behind(slot)) continue;
    const std::string verdict(to_string(slot.verdict));
    append_part(text, "; ", move_text(slot) + ", not rolled: " + verdict);
    if (!slot.reason.empty()) text += ": " + slot.reason;
    append_part(decision, ",", slot.slot() + " " + slot.to->str() + " " + verdict);
  }
  if (text.empty()) return;
  // runbook: event: `Moved` | a tag moved and the workload was not rolled: `report`, a hold, a
  // window, a budget, a paused rollout | what the Event names; `kubectl tidemark explain` says
  // when it will
  notes.push_back(
      once_for(plan.uid() + " " + decision, note_of(plan, "Moved", std::move(text), stays_behind)));
}

}  // namespace

std::vector<Note> notes_of(const SweepReport& report) {
  std::vector<Note> notes;
  for (const RollOutcome& outcome : report.rolls) tell_roll(outcome, notes);
  for (const WorkloadPlan& plan : report.plans) {
    tell_failure(plan, notes);
    tell_moved(plan, notes);
  }
  return notes;
}

notify::Notification notification_of(const Note& note, WallTime now) {
  const kube::ObjectReference& object = note.event.regarding;
  return {.time = now,
          .reason = note.event.reason,
          .warning = note.event.warning,
          .api_version = object.api_version,
          .kind = object.kind,
          .ns = object.ns,
          .workload = object.name,
          .uid = object.uid,
          .text = note.event.note,
          .moves = note.moves,
          .standing = note.standing};
}

}  // namespace tidemark::sweeper
