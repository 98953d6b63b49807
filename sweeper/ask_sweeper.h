// ask_sweeper: `status` from the sweeper that leads, instead of from the API server.
//
// Purpose: the Lease names the pod that leads and where it answers (live_status.h); it is reached
// through the API server's pod proxy, with the caller's own rights: get of the Lease, and get of
// pods/proxy in Tidemark's namespace. Thread-safety: free functions over a thread-safe Api.
// Errors: as kube::Api; kNotFound where nobody leads, or who leads does not answer this; kInvalid
// where the answer cannot be understood; kConflict where it is not what was asked for.
// Source: Kubernetes API, connect GET /api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "kube/api.h"
#include "sweeper/collect.h"
#include "sweeper/status.h"

namespace tidemark::sweeper {

// The Lease's name in Tidemark's own namespace; its Role names it too (deploy/).
inline constexpr std::string_view kLeaseName = "tidemark-sweeper";
// Lease and answer together. What takes longer is read from the API server.
inline constexpr std::chrono::seconds kAskDeadline{2};

Result<SweeperStatus> ask_sweeper(kube::Api& api, const std::string& system_namespace,
                                  const Selection& selection, Deadline deadline,
                                  const std::stop_token& stop = {});

// Whether it says what registries would say now: five intervals of the default are recent enough.
// kConflict names what is older.
inline constexpr std::chrono::seconds kRecent{300};
Status is_recent(const SweeperStatus& answer);

// The names that the selectors select, from the API server: of the rows that a sweeper gave, those
// remain, outside the excluded namespaces. Errors: a stop; what cannot be listed is a problem.
Status narrow(SweeperStatus& answer, kube::Api& api, const workload::KindTable& kinds,
              const Selection& selection, const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
