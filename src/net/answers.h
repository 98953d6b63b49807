// Answers of a server's handlers: what every program answers alike.
//
// Thread-safety: pure functions. Errors: none. Source: RFC 9110 (405 with Allow).
#pragma once

#include <string>
#include <string_view>

#include "net/http.h"

namespace tidemark::net {

Response json_answer(int status, std::string body);
// {"error":"..."}
Response error_answer(int status, std::string_view message);
// 405, naming the one method that is answered.
Response wrong_method(std::string_view allowed);
Response text_answer(int status, std::string body);
// Prometheus' text exposition format, as Metrics::expose() writes it.
Response metrics_answer(std::string body);

}  // namespace tidemark::net
