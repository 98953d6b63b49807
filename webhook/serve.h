// The two HTTP faces of the webhook: admissions (HTTPS) and operations (plain).
//
// Purpose: HTTP to Admitter and back; which status for which mistake; the order of a shutdown.
// Thread-safety: handlers are called from many threads. Ownership: the caller keeps what a handler
// refers to alive for as long as its server runs. Errors: every wrong request gets a JSON body
// {"error": "..."} with 400, 404, 405 or 415; net/ itself answers 413.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/metrics.h"
#include "net/server.h"
#include "webhook/admit.h"

namespace tidemark::webhook {

// POST /mutate.
net::Handler admission_handler(Admitter& admitter);

// Why the program cannot do its work now; "" where it can.
using ReadyCheck = std::function<std::string()>;

// GET /healthz (alive), /readyz (`ready`), /metrics.
net::Handler ops_handler(const Metrics& metrics, ReadyCheck ready);

// The end of a server that is no longer ready: answers carry Connection: close, new connections are
// accepted for `accept_for` (endpoints need time to change), then none, and what is in flight gets
// `finish` to end.
void drain(net::Server& server, std::chrono::milliseconds accept_for,
           std::chrono::milliseconds finish);

}  // namespace tidemark::webhook
