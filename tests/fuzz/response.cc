// HTTP answers: the first byte chooses the request's method, the rest is what the server sends
// before it closes. Short answers are sent once more, each byte in a packet of its own, and must be
// read as the same.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "fuzz/target.h"
#include "net/response_reader.h"

namespace tidemark::fuzz {
namespace {

// What a socket takes without a reader: its default send buffer holds 200 KiB.
constexpr std::size_t kMaxAnswerBytes = std::size_t{64} * 1024;
// A packet costs a socket's buffer about 1 KiB, whatever is in it.
constexpr std::size_t kMaxPackets = 128;
constexpr std::array<std::string_view, 3> kMethods = {"GET", "HEAD", "CONNECT"};

struct Outcome {
  std::optional<ErrorKind> error;
  int status = 0;
  std::string headers;
  std::string body;
  bool reusable = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(net::Connection& connection, std::string_view method) {
  // Never reached: all bytes and the end of the stream are there before the first read.
  const Deadline deadline = Deadline::after(std::chrono::seconds{10});
  net::ResponseReader reader(connection, method);
  Outcome outcome;
  const auto head = reader.read_head(deadline);
  if (!head) {
    outcome.error = head.error().kind;
    return outcome;
  }
  outcome.status = head->status;
  require(head->status >= 200 && head->status <= 599, "an answer is a final one");
  for (const net::Header& header : head->headers) {
    require(header.value.find_first_of("\r\n") == std::string::npos,
            "no line end passes inside a header");
    outcome.headers += header.name + ":" + header.value + "\n";
  }
  const Status status = reader.read_body([&] { return deadline; },
                                         [&](std::string_view piece) {
                                           require(!piece.empty(), "a piece is not empty");
                                           outcome.body += piece;
                                           return true;
                                         });
  if (!status) outcome.error = status.error().kind;
  outcome.reusable = reader.reusable();
  require(!outcome.error || !outcome.reusable, "a broken answer ends its connection");
  if (const auto length = reader.body_length(); length && !outcome.error) {
    require(outcome.body.size() == *length, "a body is as long as announced");
  }
  if (method != "GET" && outcome.status / 100 == 2) {
    require(outcome.body.empty(), "HEAD and CONNECT have no body");
  }
  return outcome;
}

// `type`: SOCK_STREAM, or SOCK_SEQPACKET for one read per byte.
Outcome send_and_read(std::string_view bytes, std::string_view method, int type) {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) == 0, "there are sockets");
  net::Connection client(net::Fd{ends[0]}, -1, std::stop_token());
  const net::Fd server(ends[1]);
  const std::size_t step = type == SOCK_STREAM ? bytes.size() : 1;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const ssize_t sent = ::send(server.get(), bytes.data() + at, step, MSG_NOSIGNAL | MSG_DONTWAIT);
    require(std::cmp_equal(sent, step), "the socket takes all of it");
  }
  require(::shutdown(server.get(), SHUT_WR) == 0, "the socket can be closed");
  return read(client, method);
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const std::string_view method =
      kMethods[static_cast<unsigned char>(input.front()) % kMethods.size()];
  const std::string_view bytes = input.substr(1, kMaxAnswerBytes);

  const Outcome outcome = send_and_read(bytes, method, SOCK_STREAM);
  if (outcome.error) {
    require(*outcome.error == ErrorKind::kUnavailable || *outcome.error == ErrorKind::kTooLarge,
            "an error is one of the documented ones");
  }
  require(outcome.body.size() <= bytes.size(), "a body is no longer than what was sent");
  if (bytes.size() > kMaxPackets) return;
  const Outcome apart = send_and_read(bytes, method, SOCK_SEQPACKET);
  // What follows an answer is seen only if it came with it.
  const bool reusable = outcome.reusable;
  Outcome same = apart;
  same.reusable = reusable;
  require(same == outcome, "the boundaries of packets mean nothing");
  require(apart.reusable || !reusable, "what is reusable is so however it came");
}

}  // namespace tidemark::fuzz
