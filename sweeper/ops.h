// ops: /healthz, /readyz and /metrics.
//
// Purpose: alive (the process answers), ready (it can really work), and what it counted.
// Thread-safety: answer_ops from many threads. Errors: 404 and 405 as plain text.
#pragma once

#include "base/metrics.h"
#include "net/server.h"
#include "sweeper/run.h"

namespace tidemark::sweeper {

net::Response answer_ops(const net::ServerRequest& request, const Readiness& readiness,
                         const Metrics& metrics);

}  // namespace tidemark::sweeper
