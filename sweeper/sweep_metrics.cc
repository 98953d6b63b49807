#include "sweeper/sweep_metrics.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "sweeper/sweep.h"

namespace tidemark::sweeper {
namespace {

double seconds(std::chrono::duration<double> time) { return time.count(); }

const std::vector<double>& sweep_bounds_seconds() {
  // From an idle small cluster to a sweep that used up all of its time for registries.
  static const std::vector<double> bounds{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
  return bounds;
}

const std::vector<double>& delay_bounds_seconds() {
  // From the sweep that sees it to the window of next week.
  static const std::vector<double> bounds{1, 10, 60, 300, 1800, 3600, 14400, 86400, 604800};
  return bounds;
}

const std::vector<double>& pushed_bounds_seconds() {
  static const std::vector<double> bounds{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};
  return bounds;
}

std::string key_of_move(const WorkloadPlan& plan, const SlotPlan& slot) {
  return plan.uid() + " " + slot.slot() + " " + slot.to->str();
}

bool is_rolled(const RollOutcome& outcome) { return outcome.kind == RollOutcome::Kind::kRolled; }

}  // namespace

WallTime FirstSeen::since(const std::string& what, WallTime now) {
  asked_.insert(what);
  WallTime& first = times_.try_emplace(what, now).first->second;
  first = std::min(first, now);
  return first;
}

void FirstSeen::forget_others() {
  std::erase_if(times_, [&](const auto& entry) { return !asked_.contains(entry.first); });
  asked_.clear();
}

SweepMetrics::SweepMetrics(Metrics& metrics, std::size_t max_rollouts)
    : sweeps_(metrics.counter("tidemark_sweeps_total", "Sweeps by outcome")),
      duration_(metrics.histogram("tidemark_sweep_duration_seconds", "Duration of whole sweeps",
                                  sweep_bounds_seconds())),
      workloads_(metrics.gauge("tidemark_sweep_workloads", "Workloads seen by the last sweep")),
      references_(metrics.gauge("tidemark_sweep_references",
                                "Unique references of the last sweep by outcome")),
      slots_(metrics.gauge("tidemark_sweep_slots", "Slots of the last sweep by verdict")),
      oldest_unresolved_(
          metrics.gauge("tidemark_sweep_oldest_unresolved_seconds",
                        "For how long a slot has had no answer of its registry: the longest")),
      rolls_(metrics.counter("tidemark_rolls_total", "Rolls by outcome")),
      under_way_(
          metrics.gauge("tidemark_rollouts_under_way", "Rollouts of rolls not yet complete")),
      delay_(metrics.histogram("tidemark_roll_delay_seconds",
                               "From the first sweep that saw a tag moved to its roll: budgets, "
                               "waves, windows, holds",
                               delay_bounds_seconds())),
      pushed_(metrics.histogram("tidemark_push_to_roll_seconds",
                                "From a push that was announced to the roll of a workload",
                                pushed_bounds_seconds())),
      last_success_(metrics.gauge("tidemark_sweep_last_success_timestamp_seconds",
                                  "When a sweep last ended without an error")) {
  metrics.gauge("tidemark_rollouts_max", "Rollouts that may be under way at once")
      .with()
      .set(static_cast<double>(max_rollouts));
}

void SweepMetrics::record(const SweepReport& report, WallTime now) {
  sweeps_.with({{"outcome", report.read_everything ? "ok" : "incomplete"}}).add();
  duration_.with().observe(seconds(report.took));
  workloads_.with().set(static_cast<double>(report.plans.size()));
  references_.with({{"outcome", "failed"}}).set(static_cast<double>(report.references_failed));
  references_.with({{"outcome", "answered"}})
      .set(static_cast<double>(report.references_asked - report.references_failed));
  record_slots(report, now);
  record_rolls(report, now);
  moved_.forget_others();
  if (!report.read_everything) return;
  last_success_.with().set(static_cast<double>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count()));
}

void SweepMetrics::record_slots(const SweepReport& report, WallTime now) {
  std::map<Verdict, std::size_t> verdicts;
  for (int verdict = 0; verdict <= static_cast<int>(Verdict::kOff); ++verdict) {
    verdicts[static_cast<Verdict>(verdict)] = 0;
  }
  WallTime oldest = now;
  for (const WorkloadPlan& planned : report.plans) {
    for (const SlotPlan& slot : planned.slots) {
      ++verdicts[slot.verdict];
      if (slot.verdict == Verdict::kUnresolved) {
        oldest = std::min(oldest, unresolved_.since(planned.uid() + " " + slot.slot(), now));
      }
      if (is_moved(slot.verdict)) (void)moved_.since(key_of_move(planned, slot), now);
    }
  }
  unresolved_.forget_others();
  oldest_unresolved_.with().set(seconds(now - oldest));
  for (const auto& [verdict, slots] : verdicts) {
    slots_.with({{"verdict", std::string(to_string(verdict))}}).set(static_cast<double>(slots));
  }
}

void SweepMetrics::record_rolls(const SweepReport& report, WallTime now) {
  auto under_way = static_cast<std::size_t>(std::ranges::count_if(report.plans, is_under_way));
  for (const RollOutcome& outcome : report.rolls) {
    rolls_.with({{"outcome", std::string(to_string(outcome.kind))}}).add();
    if (!is_rolled(outcome)) continue;
    if (has_pods(outcome.plan) && !is_under_way(outcome.plan)) ++under_way;
    for (const SlotPlan& slot : outcome.plan.slots) {
      if (slot.verdict != Verdict::kRoll) continue;
      delay_.with().observe(seconds(now - moved_.since(key_of_move(outcome.plan, slot), now)));
    }
  }
  under_way_.with().set(static_cast<double>(under_way));
}

void SweepMetrics::record_pushed(const SweepReport& report,
                                 const std::map<std::string, SteadyTime>& pushed, SteadyTime now) {
  for (const RollOutcome& outcome : report.rolls) {
    if (!is_rolled(outcome)) continue;
    for (const SlotPlan& slot : outcome.plan.slots) {
      const auto known = slot.from() ? pushed.find(slot.target_reference()) : pushed.end();
      if (slot.verdict != Verdict::kRoll || known == pushed.end()) continue;
      pushed_.with().observe(seconds(now - known->second));
    }
  }
}

void SweepMetrics::record_failure() { sweeps_.with({{"outcome", "failed"}}).add(); }

}  // namespace tidemark::sweeper
