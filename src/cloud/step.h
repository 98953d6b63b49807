// One step of a login: a request to a fixed endpoint of a cloud, and what its answer holds.
//
// Purpose: the rules that all steps share. Redirects are not followed, answers are bounded, an
// error names the step and its status and never a byte of the answer, which may be or quote a
// secret. Thread-safety: pure functions over a thread-safe client. Errors: ask(): those of
// HttpClient, and by status kUnauthorized (400, 401: clouds say so of a token that is no longer
// good), kForbidden, kTooMany, kUnavailable (5xx), kInvalid; the others kInvalid.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace tidemark::cloud {

// How a variable of the environment is looked up.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Tokens have up to a few KiB each.
inline constexpr std::size_t kMaxAnswerBytes = std::size_t{64} * 1024;
// A header must hold it beside everything else (16 KiB in all).
inline constexpr std::size_t kMaxSecretBytes = std::size_t{12} * 1024;
// A projected service account token has about 1 KiB.
inline constexpr std::size_t kMaxTokenFileBytes = std::size_t{16} * 1024;
// No token is taken to live longer: access may be withdrawn.
inline constexpr std::chrono::hours kMaxLifetime{24};
// Metadata services answer on the machine itself, from memory.
inline constexpr std::chrono::milliseconds kMetadataTimeout{1000};
inline constexpr std::chrono::milliseconds kApiTimeout{5000};

// The body of a 200. `step` for people: "STS AssumeRoleWithWebIdentity".
Result<std::string> ask(net::HttpClient& client, net::Request request, std::string_view step,
                        Deadline deadline, const std::stop_token& stop);
net::Request get_request(const std::string& url);
// `body` as application/x-www-form-urlencoded.
net::Request form_request(const std::string& url, const std::map<std::string, std::string>& form);

// The members of a JSON object that are strings, and whole numbers as their text.
Result<std::map<std::string, std::string>> json_members(std::string_view body,
                                                        std::string_view step);
// A member that must be there and fit into a header.
Result<std::string> secret_member(const std::map<std::string, std::string>& members,
                                  const std::string& name, std::string_view step);
// A projected token: one line that fits into a header.
Result<std::string> read_token_file(const std::string& path);

bool is_secret(std::string_view text);
Result<std::chrono::seconds> lifetime_until(WallTime end, WallTime now, std::string_view step);
Result<std::chrono::seconds> lifetime_of_seconds(std::string_view digits, std::string_view step);

}  // namespace tidemark::cloud
