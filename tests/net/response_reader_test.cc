// How an answer is framed, and what is refused: each case is what a server sends, byte for byte.
#include "net/response_reader.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <ostream>
#include <string>
#include <thread>

namespace tidemark::net {
namespace {

using std::chrono::seconds;

// Both ends of a connected pair of sockets.
struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    client.emplace(Fd(ends[0]), -1, std::stop_token());
    server.emplace(Fd(ends[1]), -1, std::stop_token());
  }
  std::optional<Connection> client;
  std::optional<Connection> server;
};

struct Outcome {
  std::string text;  // "200 body" or the error's kind
  bool reusable = false;
};

// `close`: the server closes after its bytes; otherwise it keeps still, and what waits for more
// runs into the deadline.
Outcome read(const std::string& bytes, bool close, const std::string& method = "GET") {
  Pair pair;
  const Deadline deadline = Deadline::after(seconds{10});
  const std::jthread writer([&] {
    static_cast<void>(pair.server->write(bytes, deadline));
    if (close) ::shutdown(pair.server->fd(), SHUT_WR);
  });
  ResponseReader reader(*pair.client, method);
  const auto give_up = [&](const Error& error) {
    pair.client.reset();  // the writer may still have bytes for us
    return Outcome{.text = std::string(to_string(error.kind))};
  };
  const auto head = reader.read_head(deadline);
  if (!head) return give_up(head.error());
  std::string body;
  const Status status = reader.read_body([&] { return deadline; },
                                         [&](std::string_view piece) {
                                           body += piece;
                                           return true;
                                         });
  if (!status) return give_up(status.error());
  return {.text = std::to_string(head->status) + ' ' + body, .reusable = reader.reusable()};
}

struct Case {
  std::string name;
  std::string bytes;
  std::string expected;
  bool reusable = false;
  bool close = false;
  std::string method = "GET";
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class Framing : public ::testing::TestWithParam<Case> {};

TEST_P(Framing, IsReadAsWritten) {
  const Case& test = GetParam();
  const Outcome outcome = read(test.bytes, test.close, test.method);
  EXPECT_EQ(outcome.text, test.expected);
  EXPECT_EQ(outcome.reusable, test.reusable);
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kChunked = kOk + "Transfer-Encoding: chunked\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(
    Bodies, Framing,
    ::testing::Values(
        Case{"content_length", kOk + "Content-Length: 5\r\n\r\nhello", "200 hello", true},
        Case{"empty_body", kOk + "Content-Length: 0\r\n\r\n", "200 ", true},
        Case{"equal_lengths", kOk + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "200 ok",
             true},
        Case{"chunked", kChunked + "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "200 hello", true},
        Case{"chunked_in_any_case", kOk + "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", "200 ",
             true},
        Case{"chunk_extension_and_hex", kChunked + "A;x=y\r\n0123456789\r\n00\r\n\r\n",
             "200 0123456789", true},
        Case{"trailers", kChunked + "2\r\nok\r\n0\r\nX: y\r\nZ: w\r\n\r\n", "200 ok", true},
        Case{"until_close", kOk + "\r\nall of it", "200 all of it", false, true},
        Case{"until_close_empty", kOk + "\r\n", "200 ", false, true},
        Case{"http_1_0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 ok", false},
        Case{"connection_close", kOk + "Connection: close\r\nContent-Length: 2\r\n\r\nok", "200 ok",
             false},
        Case{"connection_close_in_a_list",
             kOk + "Connection: keep-alive , Close\r\nContent-Length: 2\r\n\r\nok", "200 ok",
             false},
        Case{"bytes_after_the_answer", kOk + "Content-Length: 2\r\n\r\nokHTTP/1.1 200", "200 ok",
             false}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    NoBody, Framing,
    ::testing::Values(
        Case{"head_with_length", kOk + "Content-Length: 500\r\n\r\n", "200 ", true, false, "HEAD"},
        Case{"head_chunked", kChunked, "200 ", true, false, "HEAD"},
        Case{"head_without_length", kOk + "\r\n", "200 ", true, false, "HEAD"},
        Case{"status_204", "HTTP/1.1 204 No Content\r\n\r\n", "204 ", true},
        Case{"status_304_with_length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
             "304 ", true},
        Case{"tunnel", "HTTP/1.1 200 Connection established\r\nContent-Length: 9\r\n\r\n", "200 ",
             true, false, "CONNECT"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    Heads, Framing,
    ::testing::Values(
        Case{"no_reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 ", true},
        Case{"no_reason_no_space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 ", true},
        Case{"no_headers", "HTTP/1.1 204 x\r\n\r\n", "204 ", true},
        Case{"long_reason",
             "HTTP/1.1 200 " + std::string(15'000, 'A') + "\r\nContent-Length: 0\r\n\r\n", "200 ",
             true},
        Case{"continue_first",
             "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + kOk + "Content-Length: 2\r\n\r\nok",
             "200 ok", true},
        Case{"early_hints_first",
             "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 7\r\n\r\n" + kOk +
                 "Content-Length: 2\r\n\r\nok",
             "200 ok", true},
        Case{"blanks_around_values", kOk + "Content-Length: \t 2 \t\r\n\r\nok", "200 ok", true},
        Case{"high_bytes_in_values", kOk + "X: \xc3\xa9\r\nContent-Length: 0\r\n\r\n", "200 ",
             true}),
    case_name);

std::string repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// None of these servers closes: an answer that cannot become right is refused without waiting.
INSTANTIATE_TEST_SUITE_P(
    Refused, Framing,
    ::testing::Values(
        Case{"garbage", "SSH-2.0-OpenSSH_9.2\r\n", "unavailable"},
        Case{"tls_alert", std::string("\x15\x03\x01\x00\x02\x02\x46", 7), "unavailable"},
        Case{"http_2", "HTTP/2 200\r\n\r\n", "unavailable"},
        Case{"http_1_2", "HTTP/1.2 200 OK\r\n\r\n", "unavailable"},
        Case{"status_of_two_digits", "HTTP/1.1 20 OK\r\n\r\n", "unavailable"},
        Case{"status_of_four_digits", "HTTP/1.1 2000 OK\r\n\r\n", "unavailable"},
        Case{"status_with_sign", "HTTP/1.1 -20 OK\r\n\r\n", "unavailable"},
        Case{"status_600", "HTTP/1.1 600 OK\r\n\r\n", "unavailable"},
        Case{"switching_protocols", "HTTP/1.1 101 Switching\r\n\r\n", "unavailable"},
        Case{"endless_interim", repeat("HTTP/1.1 100 Continue\r\n\r\n", 20), "unavailable"},
        Case{"header_without_colon", kOk + "Nonsense\r\n\r\n", "unavailable"},
        Case{"header_without_name", kOk + ": x\r\n\r\n", "unavailable"},
        Case{"blank_before_colon", kOk + "Content-Length : 2\r\n\r\nok", "unavailable"},
        Case{"folded_header", kOk + "X: a\r\n b\r\n\r\n", "unavailable"},
        Case{"bare_newline_in_value", kOk + "X: a\nY: b\r\n\r\n", "unavailable"},
        Case{"nul_in_value", kOk + std::string("X: a\0b\r\n\r\n", 10), "unavailable"},
        Case{"length_abc", kOk + "Content-Length: abc\r\n\r\n", "unavailable"},
        Case{"length_negative", kOk + "Content-Length: -1\r\n\r\n", "unavailable"},
        Case{"length_with_plus", kOk + "Content-Length: +1\r\n\r\n", "unavailable"},
        Case{"length_empty", kOk + "Content-Length:\r\n\r\n", "unavailable"},
        Case{"length_overflow", kOk + "Content-Length: 99999999999999999999\r\n\r\n",
             "unavailable"},
        Case{"different_lengths", kOk + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
             "unavailable"},
        Case{"length_and_chunked", kOk + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
             "unavailable"},
        Case{"gzip_coding", kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n", "unavailable"},
        Case{"chunked_twice",
             kOk + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
             "unavailable"},
        Case{"chunked_http_1_0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
             "unavailable"},
        Case{"chunk_size_junk", kChunked + "xyz\r\n", "unavailable"},
        Case{"chunk_size_negative", kChunked + "-5\r\nhello\r\n", "unavailable"},
        Case{"chunk_size_prefixed", kChunked + "0x5\r\nhello\r\n", "unavailable"},
        Case{"chunk_size_empty", kChunked + "\r\n", "unavailable"},
        Case{"chunk_size_overflow", kChunked + "11111111111111111\r\n", "unavailable"},
        Case{"chunk_longer_than_said", kChunked + "2\r\nokay\r\n", "unavailable"},
        Case{"chunk_line_endless", kChunked + "1;" + std::string(1000, 'x'), "unavailable"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    TooLarge, Framing,
    ::testing::Values(Case{"header_line", kOk + "X: " + std::string(20'000, 'a'), "too_large"},
                      Case{"many_headers", kOk + repeat("A: b\r\n", 5000), "too_large"},
                      Case{"status_line", "HTTP/1.1 200 " + std::string(20'000, 'A'), "too_large"},
                      Case{"trailers", kChunked + "0\r\n" + repeat("A: b\r\n", 5000), "too_large"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    CutShort, Framing,
    ::testing::Values(
        Case{"nothing", "", "unavailable", false, true},
        Case{"status_line", "HTTP/1.1 20", "unavailable", false, true},
        Case{"head", kOk + "Content-Le", "unavailable", false, true},
        Case{"after_interim", "HTTP/1.1 100 Continue\r\n\r\n", "unavailable", false, true},
        Case{"length", kOk + "Content-Length: 10\r\n\r\nhello", "unavailable", false, true},
        Case{"chunk_line", kChunked + "5", "unavailable", false, true},
        Case{"chunk", kChunked + "5\r\nhel", "unavailable", false, true},
        Case{"chunk_end", kChunked + "5\r\nhello", "unavailable", false, true},
        Case{"last_chunk", kChunked + "5\r\nhello\r\n", "unavailable", false, true},
        Case{"trailer", kChunked + "0\r\nX: y\r\n", "unavailable", false, true}),
    case_name);

TEST(ResponseReaderTest, AHeadOfExactlyTheBoundIsRead) {
  const std::string rest = "Content-Length: 0\r\n\r\n";
  const std::size_t fill = kMaxResponseHeadBytes - kOk.size() - rest.size() - 5;
  const std::string head = kOk + "X: " + std::string(fill, 'a') + "\r\n" + rest;
  ASSERT_EQ(head.size(), kMaxResponseHeadBytes);
  EXPECT_EQ(read(head, false).text, "200 ");
  EXPECT_EQ(read(kOk + "X: " + std::string(fill + 1, 'a') + "\r\n" + rest, false).text,
            "too_large");
}

TEST(ResponseReaderTest, HeadersKeepTheirOrderAndEveryValue) {
  Pair pair;
  const Deadline deadline = Deadline::after(seconds{10});
  ASSERT_TRUE(pair.server->write(kOk + "B: 1\r\nA:2\r\nb:  3 \r\nEmpty:\r\n\r\n", deadline));
  ResponseReader reader(*pair.client, "HEAD");
  const auto head = reader.read_head(deadline);
  ASSERT_TRUE(head.has_value()) << head.error().message;
  ASSERT_EQ(head->headers.size(), 4U);
  EXPECT_EQ(head->headers[1].name, "A");
  EXPECT_EQ(head->headers[3].value, "");
  const auto values = find_headers(head->headers, "b");
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0], "1");
  EXPECT_EQ(values[1], "3");
}

// Whatever the boundaries of packets are, the answer is the same.
TEST(ResponseReaderTest, EveryByteMayArriveAlone) {
  const std::string bytes =
      "HTTP/1.1 103 Early Hints\r\n\r\n" + kChunked + "3;x\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n";
  Pair pair;
  const Deadline deadline = Deadline::after(seconds{10});
  ResponseReader reader(*pair.client, "GET");
  std::string body;
  std::string text;
  std::jthread client([&] {
    const auto head = reader.read_head(deadline);
    if (!head) return;
    const Status read = reader.read_body([&] { return deadline; },
                                         [&](std::string_view piece) {
                                           body += piece;
                                           return true;
                                         });
    if (read) text = std::to_string(head->status) + ' ' + body;
  });
  for (const char byte : bytes) {
    ASSERT_TRUE(pair.server->write(std::string_view(&byte, 1), deadline));
    std::this_thread::yield();
  }
  client.join();
  EXPECT_EQ(text, "200 hello");
  EXPECT_TRUE(reader.reusable());
}

TEST(ResponseReaderTest, ASinkThatHasEnoughEndsTheBody) {
  Pair pair;
  const Deadline deadline = Deadline::after(seconds{10});
  ASSERT_TRUE(pair.server->write(kChunked + "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n", deadline));
  ResponseReader reader(*pair.client, "GET");
  ASSERT_TRUE(reader.read_head(deadline).has_value());
  std::string body;
  const Status read = reader.read_body([&] { return deadline; },
                                       [&](std::string_view piece) {
                                         body += piece;
                                         return false;
                                       });
  EXPECT_TRUE(read.has_value());
  EXPECT_EQ(body, "ab");
  EXPECT_FALSE(reader.reusable());
}

}  // namespace
}  // namespace tidemark::net
