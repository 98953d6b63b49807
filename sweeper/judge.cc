#include "sweeper/judge.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "sweeper/pods.h"

namespace tidemark::sweeper {
namespace {

using workload::RolloutState;

const TrackedSlot* rolled_slot(const Workload& workload, const std::string& id) {
  const auto found = std::ranges::find(workload.slots, id, &TrackedSlot::id);
  return found != workload.slots.end() && found->records().rolled_from ? &*found : nullptr;
}

// Made from the template that the roll wrote.
bool is_new(const workload::Pod& pod, const Workload& workload) {
  return std::ranges::all_of(workload.slots, [&](const TrackedSlot& slot) {
    if (!slot.records().rolled_from) return true;
    const auto found = pod.stamps.find(slot.id);
    return found != pod.stamps.end() && found->second == *slot.stamp;
  });
}

bool is_suspect(const Workload& workload, const JudgeOptions& options, WallTime now) {
  if (workload.kind->custom || !workload.rolled_last ||
      workload.rollout != RolloutState::kProgressing) {
    return false;
  }
  const auto rolled = parse_rfc3339(workload.last_roll);
  return rolled && now - *rolled >= options.grace;
}

}  // namespace

SharedWorkload with_failed_rollout(Workload workload, std::string why) {
  workload.failure = std::move(why);
  workload.rollout = RolloutState::kFailed;
  return share(std::move(workload));
}

std::string failure_in(const workload::Pod& pod, const Workload& workload,
                       const JudgeOptions& options, WallTime now) {
  if (!pod.live || !is_new(pod, workload)) return {};
  const auto unready = parse_rfc3339(pod.unready_since);
  const bool late = unready && now - *unready >= options.unready;
  for (const workload::PodContainer& container : pod.containers) {
    if (container.ready || rolled_slot(workload, container.slot) == nullptr) continue;
    const std::string of = "pod " + pod.name + ": " + container.slot;
    if (container.restarts >= options.restarts && container.waiting == "CrashLoopBackOff") {
      return of + " crashed " + std::to_string(container.restarts) + " times";
    }
    if (late) {
      return of + " is not ready since " + pod.unready_since +
             (container.waiting.empty() ? "" : " (" + container.waiting + ")");
    }
  }
  return {};
}

void judge(Workloads& workloads, kube::Api& api, const JudgeOptions& options, WallTime now,
           std::vector<CollectProblem>& problems, const std::stop_token& stop) {
  if (!options.enabled) return;
  const Deadline whole = Deadline::after(options.whole);
  std::set<std::string> unreadable;  // namespaces
  for (SharedWorkload& shared : workloads) {
    const Workload& workload = *shared;
    if (!is_suspect(workload, options, now) || unreadable.contains(workload.ns)) continue;
    const auto pods = pods_of(api, *workload.kind, workload.ns, workload.name,
                              whole.at_most(options.request), stop);
    if (!pods && pods.error().kind == ErrorKind::kNotFound) continue;
    if (!pods) {
      problems.push_back({.ns = workload.ns, .what = "pods", .error = pods.error()});
      unreadable.insert(workload.ns);
      continue;
    }
    for (const workload::Pod& pod : *pods) {
      std::string failure = failure_in(pod, workload, options, now);
      if (failure.empty()) continue;
      shared = with_failed_rollout(workload, std::move(failure));
      break;
    }
  }
}

}  // namespace tidemark::sweeper
