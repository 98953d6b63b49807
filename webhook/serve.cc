#include "webhook/serve.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <thread>
#include <utility>

#include "net/answers.h"

namespace tidemark::webhook {
namespace {

// The media type alone: parameters (charset) do not matter.
bool is_json(const net::Headers& headers) {
  const std::string* value = net::find_header(headers, "Content-Type");
  if (value == nullptr) return false;
  std::string type = value->substr(0, value->find(';'));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::ranges::transform(type, type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == "application/json";
}

int status_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return 400;
    case ErrorKind::kTooLarge:
      return 413;
    default:
      return 500;
  }
}

}  // namespace

net::Handler admission_handler(Admitter& admitter) {
  return [&admitter](const net::ServerRequest& request) {
    if (request.path != "/mutate") return net::error_answer(404, "nothing here: POST /mutate");
    if (request.method != "POST") return net::wrong_method("POST");
    if (!is_json(request.headers)) {
      return net::error_answer(415, "the Content-Type must be application/json");
    }
    auto response = admitter.admit(request.body);
    if (!response)
      return net::error_answer(status_for(response.error().kind), response.error().message);
    return net::json_answer(200, *std::move(response));
  };
}

net::Handler ops_handler(const Metrics& metrics, ReadyCheck ready) {
  return [&metrics, ready = std::move(ready)](const net::ServerRequest& request) {
    const bool known =
        request.path == "/healthz" || request.path == "/readyz" || request.path == "/metrics";
    if (!known) return net::error_answer(404, "nothing here: /healthz, /readyz, /metrics");
    if (request.method != "GET" && request.method != "HEAD") return net::wrong_method("GET");
    if (request.path == "/healthz") return net::text_answer(200, "ok\n");
    if (request.path == "/metrics") {
      return net::metrics_answer(metrics.expose());
    }
    const std::string reason = ready();
    return reason.empty() ? net::text_answer(200, "ok\n") : net::text_answer(503, reason + "\n");
  };
}

void drain(net::Server& server, std::chrono::milliseconds accept_for,
           std::chrono::milliseconds finish) {
  server.begin_drain();
  std::this_thread::sleep_for(accept_for);
  server.stop(Deadline::after(finish));
}

}  // namespace tidemark::webhook
