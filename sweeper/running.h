// running: what the pods of a workload run, and where that is not what its stamps say.
//
// Purpose: for `explain` and `status`. A slot's pods are told by digest; a skew is told with its
// likely cause: pods of one template on different digests, a node that kept an older image because
// of imagePullPolicy, a registry mirror that lags behind. The digest of a platform's manifest
// within the stamped index is the stamp's own. Thread-safety: pure functions. Errors: none. Source:
// design section 4 (8).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/digest.h"
#include "sweeper/tracked.h"
#include "workload/pod.h"

namespace tidemark::sweeper {

struct RunningSlot {
  std::string slot;
  std::map<image::Digest, std::size_t> pods;  // by digest
  std::size_t without = 0;  // pods that have not started it, or not from a registry

  friend bool operator==(const RunningSlot&, const RunningSlot&) = default;
};

// What one pod runs, and nothing else of it.
struct PodImages {
  std::string workload;  // running_key() of what made it
  std::vector<std::pair<std::string, std::optional<image::Digest>>> slots;
};

std::string running_key(std::string_view ns, std::string_view kind, std::string_view name);
// Nullopt: it is over or going, or nothing of ours made it.
std::optional<PodImages> images_of(const workload::Pod& pod);

// By running_key(), then by slot.
using RunningByWorkload = std::map<std::string, std::map<std::string, RunningSlot>>;
// One more pod.
void count(const PodImages& pod, RunningByWorkload& out);

// Of the slots that have a container, in the workload's order. Pods that are over or going do not
// count.
std::vector<RunningSlot> running_slots(const Workload& workload,
                                       const std::vector<workload::Pod>& pods);

// The manifests of each slot's stamped digest, by slot: where it is an index, and known.
using PlatformsBySlot = std::map<std::string, std::vector<image::Digest>>;

// One sentence for each slot whose pods, made from the template as it stands, run something else
// than its stamp.
std::vector<std::string> skews(const Workload& workload, const std::vector<workload::Pod>& pods,
                               const PlatformsBySlot& platforms);

}  // namespace tidemark::sweeper
