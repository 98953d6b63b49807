#include "base/result.h"

namespace tidemark {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not_found";
    case ErrorKind::kUnauthorized:
      return "unauthorized";
    case ErrorKind::kForbidden:
      return "forbidden";
    case ErrorKind::kConflict:
      return "conflict";
    case ErrorKind::kTooMany:
      return "too_many_requests";
    case ErrorKind::kTooLarge:
      return "too_large";
    case ErrorKind::kGone:
      return "gone";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kCanceled:
      return "canceled";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kTls:
      return "tls";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "internal";
}

bool Error::retryable() const {
  switch (kind) {
    case ErrorKind::kConflict:
    case ErrorKind::kTooMany:
    case ErrorKind::kGone:
    case ErrorKind::kTimeout:
    case ErrorKind::kUnavailable:
      return true;
    default:
      return false;
  }
}

Error within(std::string_view context, Error error) {
  std::string message;
  message.reserve(context.size() + 2 + error.message.size());
  message.append(context).append(": ").append(error.message);
  error.message = std::move(message);
  return error;
}

}  // namespace tidemark
