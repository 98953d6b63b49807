// Result<T>: how every fallible call of Tidemark answers.
//
// Purpose: one error type for the whole tree, so that a caller can decide (retry? report? refuse?)
// without knowing which library failed. Exceptions stop in the .cc file that wraps the library.
// Thread-safety: plain values. Ownership: values. Source: std::expected (C++23); the split of kinds
// follows what callers must tell apart in HTTP and Kubernetes API answers.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark {

enum class ErrorKind {
  kInvalid,       // the input can never work: bad syntax, 400, 422 with causes
  kNotFound,      // 404: the thing asked for does not exist
  kUnauthorized,  // 401: no or wrong credentials
  kForbidden,     // 403: known, but not allowed
  kConflict,      // 409, or a failed JSON Patch test: read again and decide again
  kTooMany,       // 429: told to slow down; retry_after may say how long
  kTooLarge,      // a bound of ours was reached
  kGone,          // 410: a continue token or resourceVersion expired
  kTimeout,       // the deadline passed
  kCanceled,      // a stop was requested
  kUnavailable,   // cannot connect, connection lost, 5xx: may work later
  kTls,           // the peer's identity could not be verified
  kInternal,      // a defect or a failed system call
};

// "not_found", "timeout", ...: stable names, used as metric labels and in logs.
std::string_view to_string(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::kInternal;
  std::string message;  // one line, no secrets, ready to be shown to a user
  int http_status = 0;  // the status that was answered, 0 where there was none
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;

  // True where the same call may succeed later without anybody changing its input.
  bool retryable() const;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// std::unexpected with an Error, so that call sites read `return fail(ErrorKind::kInvalid, "...")`.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected(Error{.kind = kind, .message = std::move(message)});
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

// The same error with "context: " before its message: fail(within("reading pull secret", error)).
[[nodiscard]] Error within(std::string_view context, Error error);

}  // namespace tidemark
