#include "sweeper/pace.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace tidemark::sweeper {
namespace {

using workload::RolloutState;

constexpr std::size_t kFirstWave = 1;

std::string name_of(const WorkloadPlan& plan) { return plan.ns() + " " + plan.label(); }

// The workloads that share one move: same reference, same digest to come.
struct Wave {
  std::size_t done = 0;      // stamped with the digest already
  std::size_t complete = 0;  // of these, all pods are available
  std::size_t pending = 0;
  std::string waits_for;  // one of those that are neither complete nor failed
  std::string failed;     // one whose rollout to this digest failed

  // How many may have the digest now, those that are done included.
  std::size_t size() const {
    const std::size_t total = done + pending;
    const std::size_t second = std::max(kFirstWave, (total + 9) / 10);
    if (complete == 0) return kFirstWave;
    return complete < second ? second : total;
  }
};

using Move = std::pair<std::string, std::string>;  // reference, digest

Move move_to(const SlotPlan& slot) { return {slot.target_reference(), slot.to->str()}; }

// What a slot goes back from.
Move move_undone(const SlotPlan& slot) {
  return {slot.from()->reference(), slot.from()->digest().str()};
}

class Pacer {
 public:
  Pacer(const std::vector<WorkloadPlan>& plans, const PaceOptions& options) : options_(options) {
    for (const WorkloadPlan& plan : plans) count(plan);
  }

  // Nullopt: it may begin, and is counted as begun. Else the verdict and why.
  std::optional<std::pair<Verdict, std::string>> refuse(const WorkloadPlan& plan) {
    if (options_.waves) {
      for (const SlotPlan& slot : plan.slots) {
        if (slot.verdict != Verdict::kRoll) continue;
        if (auto refused = refuse_by_wave(waves_.at(move_to(slot)), plan)) return refused;
      }
    }
    if (!has_pods(plan)) return std::nullopt;
    // One that takes the place of our own rollout there, which may be stuck, adds none.
    if (!is_under_way(plan)) {
      if (auto refused = refuse_by_budget(plan)) return refused;
    }
    begin(plan);
    return std::nullopt;
  }

 private:
  void count(const WorkloadPlan& plan) {
    for (const SlotPlan& slot : plan.slots) {
      if (slot.failed && plan.failure_counts()) waves_[move_to(slot)].failed = name_of(plan);
      if (slot.verdict == Verdict::kUndo) waves_[move_undone(slot)].failed = name_of(plan);
    }
    if (!has_pods(plan)) {
      for (const SlotPlan& slot : plan.slots) {
        if (slot.verdict == Verdict::kRoll) (void)waves_[move_to(slot)];
      }
      return;
    }
    const bool ours = is_under_way(plan);
    if (ours) {
      ++under_way_;
      ++by_namespace_[plan.ns()];
    }
    for (const SlotPlan& slot : plan.slots) {
      if (ours && slot.from()) ++by_image_[slot.from()->reference()];
      if (slot.verdict == Verdict::kRoll) ++waves_[move_to(slot)].pending;
      if (slot.verdict == Verdict::kUpToDate) count_done(waves_[move_to(slot)], plan);
    }
  }

  static void count_done(Wave& wave, const WorkloadPlan& plan) {
    const bool complete = plan.of->rollout == RolloutState::kComplete;
    // What its owner began, and has not brought to an end, tells nothing of the image.
    if (!complete && !plan.of->rolled_last) return;
    ++wave.done;
    if (complete) ++wave.complete;
    if (!plan.of->rolled_last) return;
    if (plan.of->rollout == RolloutState::kFailed && plan.failure_counts())
      wave.failed = name_of(plan);
    if (plan.of->rollout == RolloutState::kProgressing) wave.waits_for = name_of(plan);
  }

  std::optional<std::pair<Verdict, std::string>> refuse_by_wave(const Wave& wave,
                                                                const WorkloadPlan& plan) const {
    if (!wave.failed.empty()) {
      return std::pair{Verdict::kHeld, "the rollout of " + wave.failed + " to this digest failed"};
    }
    if (!has_pods(plan) || wave.done < wave.size()) return std::nullopt;
    const std::string reason = wave.waits_for.empty() ? "it waits for the first workloads"
                                                      : "it waits for " + wave.waits_for;
    return std::pair{Verdict::kPaced, reason};
  }

  std::optional<std::pair<Verdict, std::string>> refuse_by_budget(const WorkloadPlan& plan) const {
    const auto over = [](std::size_t rollouts, const std::string& of) {
      return std::pair{Verdict::kPaced, std::to_string(rollouts) + " rollouts are under way" + of};
    };
    if (under_way_ >= options_.max_rollouts) return over(under_way_, "");
    if (const auto found = by_namespace_.find(plan.ns());
        found != by_namespace_.end() && found->second >= options_.max_rollouts_per_namespace) {
      return over(found->second, " in the namespace");
    }
    for (const SlotPlan& slot : plan.slots) {
      if (slot.verdict != Verdict::kRoll) continue;
      const auto found = by_image_.find(slot.target_reference());
      if (found != by_image_.end() && found->second >= options_.max_rollouts_per_image) {
        return over(found->second, " of " + slot.target_reference());
      }
    }
    return std::nullopt;
  }

  void begin(const WorkloadPlan& plan) {
    const bool counted = is_under_way(plan);
    if (!counted) {
      ++under_way_;
      ++by_namespace_[plan.ns()];
    }
    for (const SlotPlan& slot : plan.slots) {
      if (slot.verdict != Verdict::kRoll) continue;
      if (!counted) ++by_image_[slot.target_reference()];
      Wave& wave = waves_.at(move_to(slot));
      --wave.pending;
      ++wave.done;
      wave.waits_for = name_of(plan);
    }
  }

  const PaceOptions& options_;
  std::size_t under_way_ = 0;
  std::map<std::string, std::size_t> by_namespace_;
  std::map<std::string, std::size_t> by_image_;
  std::map<Move, Wave> waves_;
};

void put_off(WorkloadPlan& plan, Verdict verdict, const std::string& reason) {
  for (SlotPlan& slot : plan.slots) {
    if (slot.verdict != Verdict::kRoll) continue;
    slot.verdict = verdict;
    slot.reason = reason;
    slot.to_image.clear();
  }
}

// Healthy ones first: what was broken before says nothing of a new image. Among those chance
// decides, or one workload that cannot be rolled at all would stand in front for ever.
auto order_of(const WorkloadPlan& plan, const std::string& hour) {
  return std::tuple(plan.of->rollout != RolloutState::kComplete,
                    std::hash<std::string>{}(plan.uid() + plan.ns() + plan.label() + hour));
}

}  // namespace

bool has_pods(const WorkloadPlan& plan) { return plan.of->rollout != RolloutState::kIdle; }

bool is_under_way(const WorkloadPlan& plan) {
  return plan.of->rolled_last && plan.of->rollout == RolloutState::kProgressing;
}

void pace(std::vector<WorkloadPlan>& plans, const PaceOptions& options, WallTime now) {
  std::vector<WorkloadPlan*> rolls;
  for (WorkloadPlan& plan : plans) {
    if (plan.rolls()) rolls.push_back(&plan);
  }
  const std::string hour = to_rfc3339(std::chrono::floor<std::chrono::hours>(now));
  std::ranges::sort(rolls, {}, [&](const WorkloadPlan* plan) { return order_of(*plan, hour); });
  Pacer pacer(plans, options);
  for (WorkloadPlan* plan : rolls) {
    if (const auto refused = pacer.refuse(*plan)) put_off(*plan, refused->first, refused->second);
  }
}

void pace_all(std::vector<WorkloadPlan>& plans, const std::string& reason) {
  for (WorkloadPlan& plan : plans) put_off(plan, Verdict::kPaced, reason);
}

}  // namespace tidemark::sweeper
