// ops: /healthz, /readyz, /metrics and /v1/status/.
//
// Purpose: alive (the process answers), ready (it can really work), what it counted, and what it
// knows (live_status.h). Thread-safety: answer_ops from many threads. Errors: 404 and 405 as plain
// text.
#pragma once

#include "base/metrics.h"
#include "net/server.h"
#include "sweeper/live_status.h"
#include "sweeper/run.h"

namespace tidemark::sweeper {

// `live` nullptr: status is not served.
net::Response answer_ops(const net::ServerRequest& request, const Readiness& readiness,
                         const Metrics& metrics, LiveStatus* live = nullptr);

}  // namespace tidemark::sweeper
