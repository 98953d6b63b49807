// judge: rollouts of ours whose new pods do not come up.
//
// Purpose: the stage after collect. A Deployment says so itself, after its progressDeadlineSeconds;
// a StatefulSet and a DaemonSet never do, and ten minutes of a crash loop are long. Of a rollout of
// ours that is under way its pods are read: one that carries the new stamp, and whose container of
// a rolled slot crashes over and over or has not become ready for ten minutes, is a failed rollout
// (RolloutState::kFailed), which pace.h and plan.h act upon. A pod on a node that is lost proves
// nothing: its containers stay as the kubelet last told. Nothing is remembered: the next sweep
// reads again. Thread-safety: a free function over a thread-safe Api. Errors: pods that cannot be
// read leave the rollout under way; they are among the problems, once for each namespace.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/api.h"
#include "sweeper/collect.h"
#include "sweeper/tracked.h"
#include "workload/pod.h"

namespace tidemark::sweeper {

struct JudgeOptions {
  bool enabled = true;
  // No pod has crashed as often before: the kubelet waits 10 s, then 20 s, between restarts.
  std::chrono::seconds grace{30};
  std::int64_t restarts = 3;
  // apps/v1: the default of a Deployment's progressDeadlineSeconds.
  std::chrono::seconds unready{600};
  std::chrono::milliseconds request{10'000};
  std::chrono::milliseconds whole{30'000};
};

// The slot of `workload` that fails in `pod`, with the reason for people; "" where none does.
std::string failure_in(const workload::Pod& pod, const Workload& workload,
                       const JudgeOptions& options, WallTime now);

// The same workload, whose last roll is known to have failed; `why` for people.
SharedWorkload with_failed_rollout(Workload workload, std::string why);

void judge(Workloads& workloads, kube::Api& api, const JudgeOptions& options, WallTime now,
           std::vector<CollectProblem>& problems, const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
