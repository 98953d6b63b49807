// Request heads: what passes the gate is written again from its parts and passes it as the same.
#include "net/request_head.h"

#include <algorithm>
#include <functional>
#include <string>

#include "fuzz/target.h"

namespace tidemark::fuzz {
namespace {

constexpr std::size_t kMaxBodyBytes = 4096;
constexpr int kStatuses[] = {400, 411, 413, 414, 431, 501, 505};

bool within(std::string_view part, std::string_view whole) {
  const std::less_equal<> before;
  return part.empty() || (before(whole.data(), part.data()) &&
                          before(part.data() + part.size(), whole.data() + whole.size()));
}

bool equal(const net::Headers& a, const net::Headers& b) {
  return std::ranges::equal(a, b, [](const net::Header& left, const net::Header& right) {
    return left.name == right.name && left.value == right.value;
  });
}

}  // namespace

void run(std::string_view input) {
  const auto head = net::parse_request_head(input, kMaxBodyBytes);
  if (!head) {
    require(std::ranges::find(kStatuses, head.error().status) != std::end(kStatuses),
            "a refusal has one of the documented statuses");
    require(!head.error().message.empty(), "a refusal says why");
    return;
  }
  require(within(head->method, input) && within(head->path, input) && within(head->query, input),
          "views point into the text");
  require(head->path.starts_with('/'), "a path begins with /");
  require(head->path.size() + head->query.size() <= net::kMaxTargetBytes, "targets have a bound");
  require(head->headers.size() <= net::kMaxHeaderLines, "headers have a bound");
  require(head->content_length <= kMaxBodyBytes, "bodies have a bound");
  for (const char* name : {"Transfer-Encoding", "Range", "Expect", "Content-Encoding"}) {
    require(net::find_header(head->headers, name) == nullptr, "no such header passes");
  }
  require(net::find_headers(head->headers, "Content-Length").size() <= 1, "one length at most");

  std::string text = std::string(head->method) + " " + std::string(head->path);
  if (!head->query.empty()) text += "?" + std::string(head->query);
  text += head->close && net::find_header(head->headers, "Connection") == nullptr ? " HTTP/1.0"
                                                                                  : " HTTP/1.1";
  // HTTP/1.0 may leave Host out.
  if (net::find_header(head->headers, "Host") == nullptr) text.back() = '0';
  text += "\r\n";
  for (const net::Header& header : head->headers) {
    require(header.name.find_first_of("\r\n: ") == std::string::npos &&
                header.value.find_first_of("\r\n") == std::string::npos,
            "no line end passes inside a header");
    text += header.name + ": " + header.value + "\r\n";
  }
  text += "\r\n";
  const auto again = net::parse_request_head(text, kMaxBodyBytes);
  require(again.has_value(), "what passed is passed again");
  require(again->method == head->method && again->path == head->path &&
              again->query == head->query && equal(again->headers, head->headers) &&
              again->content_length == head->content_length,
          "what passed means the same again");
}

}  // namespace tidemark::fuzz
