// status: every slot with its tag, stamp, registry's digest, what runs, state and since when.
//
// Purpose: what a person looks at first. read_status() is a sweep that writes nothing, and one LIST
// of the pods; the API server and the registries are all that is asked, so that it works without a
// running sweeper. The running one has the same rows in memory: live_status.h serves them,
// ask_sweeper.h asks for them. Thread-safety: free functions. Errors: as sweep(); pods that cannot
// be read leave their column empty and are a line of their own.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "image/digest.h"
#include "sweeper/collect.h"
#include "sweeper/running.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

struct StatusRow {
  std::string ns;
  std::string workload;  // WorkloadPlan::label
  std::string slot;
  std::string image;  // as its owner wrote it
  std::optional<image::Digest> stamped;
  std::optional<image::Digest> registry;
  RunningSlot running;
  Verdict verdict = Verdict::kUpToDate;
  std::string reason;
  std::string since;  // RFC 3339, of the newest history entry; "" for none
  // The stamp from which the sweeper's last roll came; "" where the newest entry is none of its
  // rolls. Of the page alone: `status` does not print it.
  std::string rolled_from = {};

  friend bool operator==(const StatusRow&, const StatusRow&) = default;
};

struct ClusterStatus {
  std::vector<StatusRow> rows;           // ordered by namespace, kind, name and slot
  std::vector<CollectProblem> problems;  // what could not be read
};

// What a running sweeper answers.
struct SweeperStatus {
  ClusterStatus status;
  Selection selection;          // what it looks at
  std::chrono::seconds age{0};  // since its last whole sweep, which asked all registries
  std::size_t unasked = 0;      // slots that are newer than that
};

std::vector<StatusRow> rows_of(std::vector<WorkloadPlan> plans, const RunningByWorkload& running);

Result<ClusterStatus> read_status(const SweepContext& context, SweepOptions options,
                                  const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
