#include "net/request_head.h"

#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace tidemark::net {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::array<std::string_view, 7> kMethods = {"GET",   "HEAD",   "POST",   "PUT",
                                                      "PATCH", "DELETE", "OPTIONS"};
constexpr std::array<std::string_view, 4> kRefusedHeaders = {"Range", "Transfer-Encoding",
                                                             "Content-Encoding", "Expect"};

std::unexpected<Refusal> refuse(int status, std::string message) {
  return std::unexpected(Refusal{.status = status, .message = std::move(message)});
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [kOthers](char c) {
    return is_alnum(c) || kOthers.find(c) != std::string_view::npos;
  });
}

// RFC 9110, 5.5: visible characters, spaces, tabs and bytes above ASCII, but no controls.
bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Is `token` in the comma-separated list `value`? Without case.
bool lists(std::string_view value, std::string_view token) {
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    if (equals_ignoring_case(trimmed(value.substr(0, comma)), token)) return true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return false;
}

// The text up to the next line end, which is removed too; nullopt where there is none.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find(kLineEnd);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + kLineEnd.size());
  return line;
}

std::expected<void, Refusal> parse_request_line(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return refuse(400, "malformed request line");
  head.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);

  if (!is_token(head.method)) return refuse(400, "malformed method");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    const bool other_version = version.starts_with("HTTP/") && version.size() == 8;
    if (!other_version) return refuse(400, "malformed request line");
    return refuse(505, "only HTTP/1.1 is spoken here");
  }
  if (std::ranges::find(kMethods, head.method) == kMethods.end()) {
    return refuse(501, "method not implemented");
  }
  if (target.size() > kMaxTargetBytes) return refuse(414, "request target too long");
  if (!target.starts_with('/') ||
      !std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f && c != '#'; })) {
    return refuse(400, "malformed request target");
  }
  const std::size_t query = std::min(target.find('?'), target.size());
  head.path = target.substr(0, query);
  head.query = target.substr(std::min(query + 1, target.size()));
  head.close = version == "HTTP/1.0";
  return {};
}

}  // namespace

std::expected<RequestHead, Refusal> parse_request_head(std::string_view text,
                                                       std::size_t max_body_bytes) {
  RequestHead head;
  const std::optional<std::string_view> request_line = take_line(text);
  if (!request_line) return refuse(400, "malformed request line");
  if (auto parsed = parse_request_line(*request_line, head); !parsed) {
    return std::unexpected(std::move(parsed.error()));
  }

  for (;;) {
    const std::optional<std::string_view> line = take_line(text);
    if (!line) return refuse(400, "malformed header line");
    if (line->empty()) break;
    if (head.headers.size() == kMaxHeaderLines) return refuse(431, "too many header lines");
    const std::size_t colon = line->find(':');
    if (colon == std::string_view::npos) return refuse(400, "malformed header line");
    const std::string_view name = line->substr(0, colon);
    const std::string_view value = trimmed(line->substr(colon + 1));
    if (!is_token(name) || !is_field_value(value)) return refuse(400, "malformed header line");
    head.headers.push_back({.name = std::string(name), .value = std::string(value)});
  }

  for (const std::string_view name : kRefusedHeaders) {
    if (find_header(head.headers, name) != nullptr) {
      return refuse(400, "the header " + std::string(name) + " is not accepted");
    }
  }
  // RFC 9112, 3.2; HTTP/1.0 has none.
  const std::size_t hosts = find_headers(head.headers, "Host").size();
  if (hosts > 1 || (hosts == 0 && !head.close)) return refuse(400, "one Host header is needed");

  for (const std::string_view value : find_headers(head.headers, "Connection")) {
    if (lists(value, "close")) head.close = true;
  }

  const std::vector<std::string_view> lengths = find_headers(head.headers, "Content-Length");
  if (lengths.empty()) {
    if (head.method == "POST" || head.method == "PUT" || head.method == "PATCH") {
      return refuse(411, "Content-Length is needed");
    }
    return head;
  }
  const std::string_view length = lengths.front();
  const auto [end, error] =
      std::from_chars(length.data(), length.data() + length.size(), head.content_length);
  const bool overflow = error == std::errc::result_out_of_range;
  if (lengths.size() != 1 || end != length.data() + length.size() ||
      (error != std::errc{} && !overflow)) {
    return refuse(400, "malformed Content-Length");
  }
  if (overflow || head.content_length > max_body_bytes) {
    return refuse(413, "request body larger than " + std::to_string(max_body_bytes) + " bytes");
  }
  return head;
}

}  // namespace tidemark::net
