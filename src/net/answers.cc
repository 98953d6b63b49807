#include "net/answers.h"

#include <utility>

#include "base/json_text.h"

namespace tidemark::net {
namespace {

Response answer(int status, const char* content_type, std::string body) {
  return {.status = status, .headers = {{"Content-Type", content_type}}, .body = std::move(body)};
}

}  // namespace

Response json_answer(int status, std::string body) {
  return answer(status, "application/json", std::move(body));
}

Response error_answer(int status, std::string_view message) {
  return json_answer(status, "{\"error\":" + json_quote(message) + "}\n");
}

Response wrong_method(std::string_view allowed) {
  Response response = error_answer(405, "only " + std::string(allowed) + " is answered here");
  response.headers.push_back({"Allow", std::string(allowed)});
  return response;
}

Response text_answer(int status, std::string body) {
  return answer(status, "text/plain; charset=utf-8", std::move(body));
}

Response metrics_answer(std::string body) {
  return answer(200, "text/plain; version=0.0.4; charset=utf-8", std::move(body));
}

}  // namespace tidemark::net
