#include "webhook/serve.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <thread>
#include <utility>

#include "base/log.h"

namespace tidemark::webhook {
namespace {

constexpr std::string_view kJson = "application/json";

net::Response answer(int status, std::string_view content_type, std::string body) {
  return {.status = status,
          .headers = {{"Content-Type", std::string(content_type)}},
          .body = std::move(body)};
}

net::Response error_answer(int status, std::string_view message) {
  return answer(status, kJson, "{\"error\":" + json_quote(message) + "}\n");
}

net::Response wrong_method(std::string_view allowed) {
  net::Response response = error_answer(405, "only " + std::string(allowed) + " is answered here");
  response.headers.push_back({"Allow", std::string(allowed)});
  return response;
}

// The media type alone: parameters (charset) do not matter.
bool is_json(const net::Headers& headers) {
  const std::string* value = net::find_header(headers, "Content-Type");
  if (value == nullptr) return false;
  std::string type = value->substr(0, value->find(';'));
  type.erase(type.find_last_not_of(" \t") + 1);
  std::ranges::transform(type, type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == kJson;
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

net::Response text(int status, std::string_view line) {
  return answer(status, "text/plain; charset=utf-8", std::string(line) + "\n");
}

}  // namespace

net::Handler admission_handler(Admitter& admitter) {
  return [&admitter](const net::ServerRequest& request) {
    if (request.path != "/mutate") return error_answer(404, "nothing here: POST /mutate");
    if (request.method != "POST") return wrong_method("POST");
    if (!is_json(request.headers)) {
      return error_answer(415, "the Content-Type must be application/json");
    }
    auto response = admitter.admit(request.body);
    if (!response) return error_answer(status_for(response.error().kind), response.error().message);
    return answer(200, kJson, *std::move(response));
  };
}

net::Handler ops_handler(const Metrics& metrics, ReadyCheck ready) {
  return [&metrics, ready = std::move(ready)](const net::ServerRequest& request) {
    const bool known =
        request.path == "/healthz" || request.path == "/readyz" || request.path == "/metrics";
    if (!known) return error_answer(404, "nothing here: /healthz, /readyz, /metrics");
    if (request.method != "GET" && request.method != "HEAD") return wrong_method("GET");
    if (request.path == "/healthz") return text(200, "ok");
    if (request.path == "/metrics") {
      return answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics.expose());
    }
    const std::string reason = ready();
    return reason.empty() ? text(200, "ok") : text(503, reason);
  };
}

void drain(net::Server& server, std::chrono::milliseconds accept_for,
           std::chrono::milliseconds finish) {
  server.begin_drain();
  std::this_thread::sleep_for(accept_for);
  server.stop(Deadline::after(finish));
}

}  // namespace tidemark::webhook
