// Namespaces: what users asked for on a namespace (tidemark.dev/mode, stamp, ...).
//
// Purpose: read by name, kept for a short time. A namespace that cannot be read counts as one
// without settings: admission goes on with the program's defaults, and the failure is counted.
// Thread-safety: get() from many threads. Ownership: the caller keeps api, clock and metrics alive.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kube/api.h"
#include "webhook/ttl_cache.h"
#include "workload/settings.h"

namespace tidemark::webhook {

class Namespaces {
 public:
  // How long a change of a namespace's annotations may take to be seen.
  static constexpr std::chrono::milliseconds kTtl{30'000};
  // About 1 KiB each; the largest clusters that Kubernetes supports have 10,000 namespaces.
  static constexpr std::size_t kMaxEntries = 10'000;

  // `api` may be nullptr: every namespace is without settings.
  Namespaces(kube::Api* api, const Clock& clock, Metrics& metrics, Logger log);

  workload::Metadata get(const std::string& name, Deadline deadline);

 private:
  using Meta = std::shared_ptr<const workload::Metadata>;
  kube::Api* const api_;
  TtlCache<Meta> cache_;
  Counter failures_;
  Logger log_;
};

// Labels and annotations of an object's metadata. Errors: kInvalid.
Result<workload::Metadata> read_namespace(std::string_view json);

}  // namespace tidemark::webhook
