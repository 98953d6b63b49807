// adopt: the baseline of a workload that runs already and has no stamp.
//
// Purpose: between check and plan. A first stamp would be a rollout, so what the workload's pods
// run is written down beside its template (tidemark.dev/baseline) and stands for the stamp until
// the first roll: of a cluster that ran before Tidemark came, of one without its webhook, and of
// what was written while the webhook was down. Nothing is rolled for it. Pods are read only where
// there is something to adopt, and once more before the first roll: they may have started anew
// since. A pod's digest may be the index's or its platform's manifest's: both are what the tag
// means now. Where pods differ, one that is not what the tag means now decides, and the difference
// is told. Thread-safety: one thread; over thread-safe interfaces. Errors: a slot that cannot be
// adopted keeps TrackedSlot::State::kNoStamp with the reason; pods that cannot be listed are a
// problem too. Source: design section 4 (8).
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/api.h"
#include "registry/resolver.h"
#include "sweeper/answers.h"
#include "sweeper/collect.h"
#include "sweeper/credentials.h"
#include "sweeper/tracked.h"
#include "workload/stamp.h"

namespace tidemark::sweeper {

struct AdoptOptions {
  bool enabled = true;
  // Baselines written in one sweep: a cluster of ten thousand workloads is adopted in some sweeps.
  std::size_t max_writes = 500;
  std::chrono::milliseconds whole{60'000};  // all that is asked for it
  bool dry_run = false;                     // nothing is written
};

// True where check asks a registry although there is no stamp yet.
bool is_adoptable(const Workload& workload, const TrackedSlot& slot);

struct Adoption {
  std::string ns;
  std::string label;
  std::string slot;
  workload::Stamp baseline;
};

struct AdoptReport {
  std::vector<Adoption> adopted;  // written, or to be written by a run that is not dry
  std::vector<CollectProblem> problems;
};

// Gives the slots of `workloads` their baselines as if they had been read with them. `credentials`:
// those that check asked with.
AdoptReport adopt(Workloads& workloads, const Answers& answers, registry::Resolver& resolver,
                  kube::Api& api, PullCredentials& credentials, const AdoptOptions& options,
                  WallTime now, const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
