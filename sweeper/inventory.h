// Inventory: the workloads of a running sweeper, kept up to date by watches.
//
// Purpose: one LIST of each kind at the start, then only what changes: between two sweeps the API
// server is asked for nothing. What is kept is a Workload (tracked.h) for each object, which all
// snapshots share, and where they are asked for the PodImages (running.h) of each pod; not the
// object. A watch that ends goes on where it was; one that breaks, or whose place is gone (410),
// lists again. Thread-safety: snapshot() and running() from many threads; a thread for each kind
// (and namespace, where some are named) works until the destructor. Ownership: refers to `api`,
// which outlives it. Errors: what could not be read, or is no longer watched, is among a snapshot's
// problems. Source: Kubernetes API concepts, "Efficient detection of changes".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/retry.h"
#include "kube/api.h"
#include "sweeper/collect.h"
#include "sweeper/running.h"
#include "workload/kind.h"
#include "workload/settings.h"

namespace tidemark::sweeper {

struct InventoryOptions {
  workload::KindTable kinds;
  Selection selection;
  workload::Settings defaults;
  bool pods = false;  // watch them, too, for running()
  RetrySchedule::Options backoff{std::chrono::milliseconds{500}, std::chrono::milliseconds{30'000},
                                 2.0};
  std::uint64_t seed = 0;  // of backoff and watch times
};

struct RunningPods {
  RunningByWorkload by_workload;
  std::vector<CollectProblem> problems;
};

class Inventory {
 public:
  Inventory(kube::Api& api, InventoryOptions options, Logger log);
  ~Inventory();
  Inventory(const Inventory&) = delete;
  Inventory& operator=(const Inventory&) = delete;

  // Waits until everything was listed once, or could not be. Errors: as collect().
  Result<Collection> snapshot(const std::stop_token& stop);
  // What pods run now, as far as it is known: does not wait.
  RunningPods running() const;

 private:
  struct Feed;
  std::optional<Namespaces> known_namespaces();  // nullopt: not watched

  kube::Api& api_;
  const InventoryOptions options_;
  std::vector<std::unique_ptr<Feed>> feeds_;
};

}  // namespace tidemark::sweeper
