#include "net/request_head.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::net {
namespace {

constexpr std::size_t kMaxBody = 1000;

int status_of(const std::string& head) {
  const auto parsed = parse_request_head(head, kMaxBody);
  return parsed ? 200 : parsed.error().status;
}

std::string get(const std::string& headers) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

TEST(RequestHead, IsTakenApart) {
  const std::string text =
      "POST /mutate%20it?timeout=3s&x=? HTTP/1.1\r\nHost: h\r\ncontent-length: 12\r\n"
      "X-Empty:\r\nX-Spaces: \t a b \t\r\nAccept: 100%25\r\n\r\n";
  const auto head = parse_request_head(text, kMaxBody);
  ASSERT_TRUE(head.has_value()) << head.error().message;
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->path, "/mutate%20it");
  EXPECT_EQ(head->query, "timeout=3s&x=?");
  EXPECT_EQ(head->content_length, 12U);
  EXPECT_FALSE(head->close);
  EXPECT_EQ(*find_header(head->headers, "x-empty"), "");
  EXPECT_EQ(*find_header(head->headers, "X-Spaces"), "a b");
  EXPECT_EQ(*find_header(head->headers, "Accept"), "100%25") << "values are not decoded";
}

TEST(RequestHead, KnowsWhoWantsToClose) {
  EXPECT_FALSE(parse_request_head(get("Connection: keep-alive\r\n"), kMaxBody)->close);
  EXPECT_TRUE(parse_request_head(get("Connection: close\r\n"), kMaxBody)->close);
  EXPECT_TRUE(parse_request_head(get("Connection: TE, Close\r\n"), kMaxBody)->close);
  EXPECT_FALSE(parse_request_head(get("Connection: closed\r\n"), kMaxBody)->close);
  EXPECT_TRUE(parse_request_head("GET / HTTP/1.0\r\n\r\n", kMaxBody)->close);
}

TEST(RequestHead, RefusesBrokenRequestLines) {
  for (const std::string line :
       {"", "GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 x", " GET / HTTP/1.1",
        "GET http://h/ HTTP/1.1", "GET x HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /a\tb HTTP/1.1",
        "GET /# HTTP/1.1", "GET /\x80 HTTP/1.1", "G(T / HTTP/1.1", "GET / http/1.1",
        "\x16\x03\x01\x02 / HTTP/1.1"}) {
    EXPECT_EQ(status_of(line + "\r\nHost: h\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(status_of("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(status_of("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
  EXPECT_EQ(status_of("CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
  EXPECT_EQ(status_of("GET /" + std::string(kMaxTargetBytes, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"),
            414);
}

TEST(RequestHead, RefusesBrokenHeaderLines) {
  for (const std::string line : {"no colon", ": no name", "space before : x", " folded: x",
                                 "a b: x", "X: a\x01", "X: a\rb", "X: a\nb", "X\x80: a"}) {
    EXPECT_EQ(status_of(get(line + "\r\n")), 400) << line;
  }
  EXPECT_EQ(status_of(get(std::string("X: a\0b\r\n", 8))), 400);
  EXPECT_EQ(status_of(get("X: a")), 400) << "no line end";
}

TEST(RequestHead, RefusesWhatWouldMakeABodyUnbounded) {
  for (const std::string header :
       {"Range: bytes=0-0", "range: x", "Transfer-Encoding: chunked", "TRANSFER-ENCODING: identity",
        "Content-Encoding: gzip", "Expect: 100-continue"}) {
    EXPECT_EQ(status_of(get(header + "\r\n")), 400) << header;
  }
}

TEST(RequestHead, NeedsExactlyOneHost) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 200);
}

TEST(RequestHead, NeedsOneContentLengthWithinTheBound) {
  const auto post = [](const std::string& headers) {
    return status_of("POST / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n");
  };
  EXPECT_EQ(post(""), 411);
  EXPECT_EQ(post("Content-Length: 0\r\n"), 200);
  EXPECT_EQ(post("Content-Length: 1000\r\n"), 200);
  EXPECT_EQ(post("Content-Length: 1001\r\n"), 413);
  EXPECT_EQ(post("Content-Length: 99999999999999999999999\r\n"), 413);
  for (const std::string value : {"", "-1", "+1", "1 1", "1,1", "0x1", "1a", "1.0"}) {
    EXPECT_EQ(post("Content-Length: " + value + "\r\n"), 400) << value;
  }
  EXPECT_EQ(post("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
}

TEST(RequestHead, CountsHeaderLines) {
  std::string lines;
  for (std::size_t i = 1; i < kMaxHeaderLines; ++i) lines += "a:\r\n";
  EXPECT_EQ(status_of(get(lines)), 200);
  EXPECT_EQ(status_of(get(lines + "a:\r\n")), 431);
}

}  // namespace
}  // namespace tidemark::net
