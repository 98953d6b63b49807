#include "sweeper/ops.h"

#include <string>
#include <utility>

namespace tidemark::sweeper {
namespace {

net::Response text(int status, std::string body) {
  return {.status = status,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
          .body = std::move(body)};
}

}  // namespace

net::Response answer_ops(const net::ServerRequest& request, const Readiness& readiness,
                         const Metrics& metrics) {
  if (request.method != "GET" && request.method != "HEAD") return text(405, "GET only\n");
  if (request.path == "/healthz") return text(200, "ok\n");
  if (request.path == "/readyz") {
    const auto problem = readiness.problem();
    return problem ? text(503, "not ready: " + *problem + "\n") : text(200, "ok\n");
  }
  if (request.path == "/metrics") {
    return {.status = 200,
            .headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
            .body = metrics.expose()};
  }
  return text(404, "not found\n");
}

}  // namespace tidemark::sweeper
