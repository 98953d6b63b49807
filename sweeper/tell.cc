#include "sweeper/tell.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/text.h"

namespace tidemark::sweeper {
namespace {

kube::EventNote note_of(const WorkloadPlan& plan, const char* reason, std::string text) {
  return {.regarding = {.api_version = plan.kind->api_version(),
                        .kind = plan.kind->kind,
                        .ns = plan.ns,
                        .name = plan.name,
                        .uid = plan.uid},
          .reason = reason,
          .action = "Roll",
          .note = std::move(text)};
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

void tell_roll(const RollOutcome& outcome, std::vector<kube::EventNote>& notes) {
  if (outcome.kind == RollOutcome::Kind::kRolled && goes_back(outcome.plan)) {
    notes.push_back(
        note_of(outcome.plan, "RolledBack",
                rolled_slots(outcome.plan) + ": its rollout failed: " + outcome.plan.failure));
    notes.back().warning = true;
  } else if (outcome.kind == RollOutcome::Kind::kRolled) {
    notes.push_back(note_of(outcome.plan, "Rolled", rolled_slots(outcome.plan)));
  } else if (outcome.kind == RollOutcome::Kind::kFailed &&
             outcome.error->kind != ErrorKind::kCanceled) {
    notes.push_back(
        note_of(outcome.plan, "RollFailed",
                rolled_slots(outcome.plan) + ", not rolled: " + outcome.error->message));
    notes.back().warning = true;
  }
}

// A roll of ours that will not come to its end, once for each digest that it led to.
void tell_failure(const WorkloadPlan& plan, std::vector<kube::EventNote>& notes) {
  if (!plan.rolled_last || plan.failure.empty() || goes_back(plan)) return;
  std::string decision;
  for (const SlotPlan& slot : plan.slots) {
    if (slot.from) append_part(decision, ",", slot.from->digest().str());
  }
  notes.push_back(note_of(plan, "RolloutFailed", "its last roll failed: " + plan.failure));
  notes.back().warning = true;
  notes.back().decision = plan.uid + " " + decision;
}

void tell_moved(const WorkloadPlan& plan, std::vector<kube::EventNote>& notes) {
  std::string text;
  std::string decision;
  for (const SlotPlan& slot : plan.slots) {
    // What is only paced will be told when it is rolled: a tag that thousands share would else be
    // thousands of Events.
    if (!is_moved(slot.verdict) || slot.verdict == Verdict::kRoll ||
        slot.verdict == Verdict::kPaced) {
      continue;
    }
    const std::string verdict(to_string(slot.verdict));
    append_part(text, "; ", move_text(slot) + ", not rolled: " + verdict);
    if (!slot.reason.empty()) text += ": " + slot.reason;
    append_part(decision, ",", slot.slot + " " + slot.to->str() + " " + verdict);
  }
  if (text.empty()) return;
  notes.push_back(note_of(plan, "Moved", std::move(text)));
  notes.back().decision = plan.uid + " " + decision;
}

}  // namespace

std::vector<kube::EventNote> notes_of(const SweepReport& report) {
  std::vector<kube::EventNote> notes;
  for (const RollOutcome& outcome : report.rolls) tell_roll(outcome, notes);
  for (const WorkloadPlan& plan : report.plans) {
    tell_failure(plan, notes);
    tell_moved(plan, notes);
  }
  return notes;
}

}  // namespace tidemark::sweeper
