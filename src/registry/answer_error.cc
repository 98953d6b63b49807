#include "registry/answer_error.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/base64.h"

namespace tidemark::registry {
namespace {

using Json = nlohmann::json;

// A message is shown in kubectl's warnings, which API servers cut at 256 bytes in all.
constexpr std::size_t kMaxWordsBytes = 160;
constexpr std::size_t kMaxErrorsQuoted = 3;
// Shorter secrets would tear ordinary words apart, and are none.
constexpr std::size_t kMinSecretBytes = 4;

ErrorKind kind_of(int status) {
  switch (status) {
    case 401:
      return ErrorKind::kUnauthorized;
    case 403:
      return ErrorKind::kForbidden;
    case 404:
      return ErrorKind::kNotFound;
    case 408:
      return ErrorKind::kUnavailable;
    case 429:
      return ErrorKind::kTooMany;
    default:
      return status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kInvalid;
  }
}

std::string_view phrase_of(int status) {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
      return "not found";
    case 429:
      return "too many requests";
    default:
      return status >= 500 ? "registry error" : "unexpected answer";
  }
}

std::string_view string_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return {};
  return found->get_ref<const std::string&>();
}

void append_words(std::string& out, std::string_view code, std::string_view message) {
  if (code.empty() && message.empty()) return;
  if (!out.empty()) out += "; ";
  out += code;
  if (!code.empty() && !message.empty()) out += ": ";
  out += message;
}

std::string words_of(std::string_view body) {
  std::string out;
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return out;
  const Json errors = document.value("errors", Json());
  if (errors.is_array()) {
    for (std::size_t i = 0; i < errors.size() && i < kMaxErrorsQuoted; ++i) {
      const Json& error = errors[i];
      if (error.is_object())
        append_words(out, string_at(error, "code"), string_at(error, "message"));
    }
  }
  if (out.empty()) {
    append_words(out, string_at(document, "error"), string_at(document, "error_description"));
  }
  if (out.empty()) append_words(out, {}, string_at(document, "details"));
  return out;
}

void remove_all(std::string& text, std::string_view secret) {
  if (secret.size() < kMinSecretBytes) return;
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "***");
    at += 3;
  }
}

std::string redacted(std::string text, const Credential& credential,
                     std::string_view authorization) {
  const std::string_view sent = authorization.substr(
      authorization.find(' ') == std::string_view::npos ? 0 : authorization.find(' ') + 1);
  const std::string basic = credential.password.empty()
                                ? ""
                                : base64_encode(credential.username + ":" + credential.password);
  for (const std::string_view secret :
       {std::string_view(credential.password), std::string_view(credential.identity_token),
        std::string_view(credential.registry_token), std::string_view(basic), sent}) {
    remove_all(text, secret);
  }
  text = without_queries(std::move(text));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = ' ';
  }
  if (text.size() > kMaxWordsBytes) {
    text.resize(kMaxWordsBytes - 3);
    text += "...";
  }
  return text;
}

}  // namespace

std::string without_queries(std::string text) {
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    std::size_t end = std::min(text.find_first_of(" \t\"'<>", at), text.size());
    if (text[end - 1] == ':') --end;  // "HEAD https://...: timed out"
    const std::size_t query = text.find('?', at);
    if (query < end) text.replace(query, end - query, "?***");
  }
  return text;
}

Error answer_error(const net::Response& response, WallTime now, const Credential& credential,
                   std::string_view authorization) {
  std::string message =
      std::string(phrase_of(response.status)) + " (" + std::to_string(response.status) + ")";
  if (const std::string words = redacted(words_of(response.body), credential, authorization);
      !words.empty()) {
    message += ": " + words;
  }
  return Error{.kind = kind_of(response.status),
               .message = std::move(message),
               .http_status = response.status,
               .retry_after = net::retry_after(response.headers, now)};
}

}  // namespace tidemark::registry
