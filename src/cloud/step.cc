#include "cloud/step.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace tidemark::cloud {
namespace {

using std::chrono::seconds;

ErrorKind kind_of(int status) {
  if (status == 400 || status == 401) return ErrorKind::kUnauthorized;
  if (status == 403) return ErrorKind::kForbidden;
  if (status == 404) return ErrorKind::kNotFound;
  if (status == 429) return ErrorKind::kTooMany;
  return status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kInvalid;
}

std::unexpected<Error> unusable(std::string_view step, std::string_view what) {
  return fail(ErrorKind::kInvalid, std::string(step) + ": " + std::string(what));
}

}  // namespace

Result<std::string> ask(net::HttpClient& client, net::Request request, std::string_view step,
                        Deadline deadline, const std::stop_token& stop) {
  request.max_body_bytes = kMaxAnswerBytes;
  auto response = client.send(
      request, deadline.at_most(request.url.tls ? kApiTimeout : kMetadataTimeout), stop);
  if (!response) return fail(within(step, std::move(response.error())));
  const int status = response->status;
  if (status == 200) return std::move(response->body);
  return fail(Error{.kind = kind_of(status),
                    .message = std::string(step) + " answered " + std::to_string(status),
                    .http_status = status});
}

net::Request get_request(const std::string& url) {
  net::Request request;
  // Every caller's URL is a constant, or made of parts that hosts.h has checked.
  request.url = net::Url::parse(url).value_or(net::Url{});
  return request;
}

net::Request form_request(const std::string& url, const std::map<std::string, std::string>& form) {
  net::Request request = get_request(url);
  request.method = "POST";
  request.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  for (const auto& [name, value] : form) {
    append_part(request.body, "&", name + "=" + net::percent_encode(value));
  }
  return request;
}

Result<std::map<std::string, std::string>> json_members(std::string_view body,
                                                        std::string_view step) {
  // Without exceptions: their text would quote the answer.
  const auto document = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return unusable(step, "the answer is not a JSON object");
  std::map<std::string, std::string> members;
  for (const auto& [name, value] : document.items()) {
    if (value.is_string()) members[name] = value.get<std::string>();
    if (value.is_number_unsigned()) members[name] = std::to_string(value.get<std::uint64_t>());
  }
  return members;
}

Result<std::string> secret_member(const std::map<std::string, std::string>& members,
                                  const std::string& name, std::string_view step) {
  const auto found = members.find(name);
  if (found == members.end()) return unusable(step, "the answer has no " + name);
  if (!is_secret(found->second)) return unusable(step, name + " of the answer cannot be sent");
  return found->second;
}

Result<std::string> read_token_file(const std::string& path) {
  auto text = read_file(path, kMaxTokenFileBytes);
  if (!text) return fail(std::move(text.error()));
  std::string token(trimmed(*text));
  if (!is_secret(token)) return fail(ErrorKind::kInvalid, path + ": holds no token");
  return token;
}

bool is_secret(std::string_view text) {
  return !text.empty() && text.size() <= kMaxSecretBytes &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

Result<seconds> lifetime_until(WallTime end, WallTime now, std::string_view step) {
  if (end <= now) return unusable(step, "what it gave has ended already, by the clock here");
  return std::min<seconds>(std::chrono::floor<seconds>(end - now), kMaxLifetime);
}

Result<seconds> lifetime_of_seconds(std::string_view digits, std::string_view step) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number <= 0) {
    return unusable(step, "the answer does not say how long its token lives");
  }
  return std::min<seconds>(seconds{std::min<std::int64_t>(number, 1'000'000)}, kMaxLifetime);
}

}  // namespace tidemark::cloud
