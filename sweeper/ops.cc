#include "sweeper/ops.h"

#include "net/answers.h"

namespace tidemark::sweeper {

net::Response answer_ops(const net::ServerRequest& request, const Readiness& readiness,
                         const Metrics& metrics, LiveStatus* live) {
  if (live != nullptr && request.path.starts_with(kStatusPath)) return live->answer(request);
  if (request.method != "GET" && request.method != "HEAD")
    return net::text_answer(405, "GET only\n");
  if (request.path == "/healthz") return net::text_answer(200, "ok\n");
  if (request.path == "/readyz") {
    const auto problem = readiness.problem();
    return problem ? net::text_answer(503, "not ready: " + *problem + "\n")
                   : net::text_answer(200, "ok\n");
  }
  if (request.path == "/metrics") {
    return net::metrics_answer(metrics.expose());
  }
  return net::text_answer(404, "not found\n");
}

}  // namespace tidemark::sweeper
