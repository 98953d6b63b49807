#include "kube/status.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

// Enough for every message that a person reads; the API server repeats whole field values in some.
constexpr std::size_t kMaxMessageBytes = 1024;

struct StatusObject {
  int code = 0;
  std::string message;
  std::string reason;
  bool has_causes = false;
  std::optional<std::chrono::milliseconds> retry_after;
  std::string continue_token;
};

std::string string_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<StatusObject> parse_status(std::string_view text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return std::nullopt;
  StatusObject status;
  if (string_at(document, "kind") != "Status") {
    // What a pod of ours answers through the API server's proxy (net/answers.h).
    status.message = string_at(document, "error");
    return status.message.empty() ? std::nullopt : std::optional(std::move(status));
  }
  status.message = string_at(document, "message");
  status.reason = string_at(document, "reason");
  if (const auto code = document.find("code");
      code != document.end() && code->is_number_integer()) {
    status.code = code->get<int>();
  }
  if (const auto details = document.find("details");
      details != document.end() && details->is_object()) {
    const auto causes = details->find("causes");
    status.has_causes = causes != details->end() && causes->is_array() && !causes->empty();
    const auto seconds = details->find("retryAfterSeconds");
    if (seconds != details->end() && seconds->is_number_integer()) {
      const auto bounded = std::clamp<std::int64_t>(seconds->get<std::int64_t>(), 0, 3600);
      if (bounded > 0) status.retry_after = std::chrono::seconds(bounded);
    }
  }
  if (const auto metadata = document.find("metadata");
      metadata != document.end() && metadata->is_object()) {
    status.continue_token = string_at(*metadata, "continue");
  }
  return status;
}

ErrorKind kind_of(int code, const std::optional<StatusObject>& status) {
  switch (code) {
    case 401:
      return ErrorKind::kUnauthorized;
    case 403:
      return ErrorKind::kForbidden;
    case 404:
      return ErrorKind::kNotFound;
    case 409:
      return ErrorKind::kConflict;
    case 410:
      return ErrorKind::kGone;
    case 413:
      return ErrorKind::kTooLarge;
    case 422:
      // A failed `test` of a JSON Patch; a validation error always lists its causes.
      return status && status->reason == "Invalid" && !status->has_causes ? ErrorKind::kConflict
                                                                          : ErrorKind::kInvalid;
    case 429:
      return ErrorKind::kTooMany;
    case 408:
    case 504:
      return ErrorKind::kTimeout;
    default:
      // 3xx comes from something in front of the API server; 5xx passes.
      return code >= 400 && code < 500 ? ErrorKind::kInvalid : ErrorKind::kUnavailable;
  }
}

std::string one_line(std::string text) {
  if (text.size() > kMaxMessageBytes) text = cut(text, kMaxMessageBytes) + "...";
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return text;
}

ApiFailure describe(int code, std::optional<StatusObject> status) {
  ApiFailure failure;
  failure.error.kind = kind_of(code, status);
  failure.error.http_status = code;
  if (status) {
    failure.error.message = one_line(std::move(status->message));
    failure.error.retry_after = status->retry_after;
    failure.continue_token = std::move(status->continue_token);
  }
  if (failure.error.message.empty()) {
    failure.error.message = "API server answered " + std::to_string(code);
  }
  return failure;
}

}  // namespace

ApiFailure describe_failure(const net::Response& response, WallTime now) {
  ApiFailure failure = describe(response.status, parse_status(response.body));
  if (const auto header = net::retry_after(response.headers, now)) {
    failure.error.retry_after = header;
  }
  return failure;
}

ApiFailure describe_failure(std::string_view status_json) {
  auto status = parse_status(status_json);
  const int code = status ? status->code : 0;
  return describe(code, std::move(status));
}

}  // namespace tidemark::kube
