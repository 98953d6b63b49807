// pace: of all rolls that are wanted, which may begin now.
//
// Purpose: one moved tag must never replace the pods of a whole cluster at once, and a bad image
// must be stopped by the first workload that runs it. Pure: what is under way, done or failed is
// read off the workloads themselves, so that a new leader paces on where the last one stood.
// Thread-safety: a pure function. Errors: none; what has to wait is Verdict::kPaced, what must not
// be rolled Verdict::kHeld, each with its reason.
// Source: design section 4 (6).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sweeper/plan.h"

namespace tidemark::sweeper {

struct PaceOptions {
  // Rollouts of ours under way at once. A workload that has no pods to replace (a CronJob, one of
  // no replicas) is rolled at any time.
  std::size_t max_rollouts = 20;
  std::size_t max_rollouts_per_namespace = 10;
  std::size_t max_rollouts_per_image = 10;
  // One workload first, then a tenth of all, then the rest, each wave once the one before it is
  // available. False: no waves, and a failed rollout holds nothing back elsewhere.
  bool waves = true;
};

// Its pods are what a roll replaces; a CronJob or one of no replicas has none.
bool has_pods(const WorkloadPlan& plan);
// A rollout of ours that has not come to its end: what budgets count.
bool is_under_way(const WorkloadPlan& plan);

// `plans`: of everything that a sweep sees, which is what budgets and waves are counted over. Rolls
// that go beyond them become kPaced. `now` only varies, hour by hour, which of them come first.
void pace(std::vector<WorkloadPlan>& plans, const PaceOptions& options, WallTime now);

// All rolls become kPaced: where rollouts that are under way cannot be counted.
void pace_all(std::vector<WorkloadPlan>& plans, const std::string& reason);

}  // namespace tidemark::sweeper
