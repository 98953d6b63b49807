// Each promise of server.h against raw sockets: what a peer may do wrong, it does here. Deadlines
// are short where a test lets them pass, and ten seconds where only a failure would reach them.
#include "net/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <latch>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "net/connection.h"
#include "support/test_certificates.h"

namespace tidemark::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::TestCa;

constexpr milliseconds kShort{100};
constexpr milliseconds kLong{10'000};
Deadline late() { return Deadline::after(kLong); }

milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

struct Answer {
  int status = 0;  // 0: no answer, the connection ended
  std::string head;
  std::string body;
  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

// A client that sends exactly what it is told, over TCP or TLS.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : connection_(connect(port), -1, {}) {}

  Status start_tls(const std::shared_ptr<ssl_ctx_st>& context) {
    return connection_.connect_tls(context, "localhost", late());
  }
  // A peer that has been cut off cannot send: not an error of the test.
  bool send(std::string_view bytes) { return connection_.write(bytes, late()).has_value(); }

  Answer receive() {
    Answer answer;
    std::size_t head_end = std::string::npos;
    while ((head_end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return answer;
    }
    answer.head = input_.substr(0, head_end + 2);
    input_.erase(0, head_end + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    const std::size_t length = answer.head.find("Content-Length: ");
    const std::size_t bytes =
        length == std::string::npos || no_body ? 0 : std::stoul(answer.head.substr(length + 16));
    while (input_.size() < bytes && more()) {
    }
    answer.body = input_.substr(0, bytes);
    input_.erase(0, bytes);
    return answer;
  }
  Answer exchange(std::string_view request) {
    send(request);
    return receive();
  }

  // True once the server has ended the connection; false if it has not in ten seconds.
  bool ended() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto got = connection_.read(buffer, late());
      if (!got) return got.error().kind != ErrorKind::kTimeout;
      if (*got == 0) return true;
    }
  }
  bool open() { return !connection_.stale(); }
  int fd() const { return connection_.fd(); }

  bool no_body = false;  // answers to HEAD have none

 private:
  static Fd connect(std::uint16_t port) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return Fd();
    }
    return fd;
  }
  bool more() {
    std::array<char, 16384> buffer{};
    const auto got = connection_.read(buffer, late());
    if (!got || *got == 0) return false;
    input_.append(buffer.data(), *got);
    return true;
  }

  Connection connection_;
  std::string input_;
};

std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}
std::string post_head(std::size_t length, const std::string& headers = "") {
  return "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n" +
         headers + "\r\n";
}
std::string post(const std::string& body) { return post_head(body.size()) + body; }

Response ok(std::string body = "ok") {
  return {.status = 200,
          .headers = {{.name = "Content-Type", .value = "text/x-test"}},
          .body = std::move(body)};
}

// Answers with what it was asked.
Response echo(const ServerRequest& request) {
  if (request.path == "/echo") return ok(std::string(request.body));
  if (request.path == "/throw") throw std::runtime_error("secret detail");
  if (request.path == "/missing") return {.status = 404, .headers = {}, .body = ""};
  if (request.path == "/nothing") return {.status = 204, .headers = {}, .body = ""};
  std::string text = std::string(request.method) + " " + std::string(request.path) + " ? " +
                     std::string(request.query);
  if (const std::string* value = find_header(request.headers, "X-Test")) text += " " + *value;
  return ok(text);
}

ServerOptions local(ServerOptions options = {}) {
  options.listen = "127.0.0.1:0";
  return options;
}
std::unique_ptr<Server> start(ServerOptions options = {}, Handler handler = echo) {
  auto server = Server::start(local(options), std::move(handler), Logger::none());
  if (!server) throw std::runtime_error(server.error().message);
  return std::move(*server);
}

template <typename Condition>
bool eventually(Condition condition) {
  const Deadline deadline = late();
  while (!deadline.expired()) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds{1});
  }
  return condition();
}

// The budget of descriptors: 500 connections need both ends in this process.
void allow_descriptors(rlim_t count) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::max(limit.rlim_cur, std::min<rlim_t>(count, limit.rlim_max));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

std::vector<std::unique_ptr<RawClient>> idle_clients(const Server& server, std::size_t count) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
  }
  EXPECT_TRUE(eventually([&] { return server.stats().connections == count; }));
  return clients;
}

// ---- requests and answers ----

TEST(Server, GivesTheHandlerWhatWasSent) {
  const auto server = start();
  RawClient client(server->port());
  const Answer answer = client.exchange(get("/a%20b?x=%20&y", "X-Test: 100%25\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a b ? x=%20&y 100%25");
  EXPECT_TRUE(answer.has("Content-Type: text/x-test\r\n"));
  EXPECT_FALSE(answer.has("Connection:"));
}

TEST(Server, CarriesBodiesOfEverySizeUpToTheBound) {
  const auto server = start({.max_body_bytes = 300'000});
  RawClient client(server->port());
  for (const std::size_t size :
       std::initializer_list<std::size_t>{0, 1, 16'383, 16'384, 65'536, 65'537, 299'999, 300'000}) {
    const std::string body(size, 'x');
    const Answer answer = client.exchange(post(body));
    ASSERT_EQ(answer.status, 200) << size;
    ASSERT_EQ(answer.body.size(), size);
    ASSERT_EQ(answer.body, body);
  }
}

TEST(Server, AKeepAliveAnswerIsNotDelayedByNagle) {
  const auto server = start();
  RawClient client(server->port());
  const std::string body(6000, 'x');
  ASSERT_EQ(client.exchange(post(body)).status, 200);
  const auto begin = steady_clock::now();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.exchange(post(body)).status, 200);
  EXPECT_LT(since(begin), 50 * milliseconds{20}) << "40 ms each without TCP_NODELAY";
}

TEST(Server, ServesPipelinedRequestsInOrder) {
  const auto server = start();
  RawClient client(server->port());
  client.send(get("/1") + post("two") + get("/3") + get("/4", "Connection: close\r\n"));
  EXPECT_EQ(client.receive().body, "GET /1 ? ");
  EXPECT_EQ(client.receive().body, "two");
  EXPECT_EQ(client.receive().body, "GET /3 ? ");
  const Answer last = client.receive();
  EXPECT_EQ(last.body, "GET /4 ? ");
  EXPECT_TRUE(last.has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
}

TEST(Server, TakesARequestInPiecesAndStillAnswersAHalfClosedPeer) {
  const auto server = start();
  RawClient client(server->port());
  const std::string request = post("body in pieces");
  for (const char c : request) ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  ASSERT_EQ(::shutdown(client.fd(), SHUT_WR), 0);
  EXPECT_EQ(client.receive().body, "body in pieces");
  EXPECT_TRUE(client.ended());
}

TEST(Server, HeadHasALengthAndNoBodyAnd204HasNeither) {
  const auto server = start();
  RawClient client(server->port());
  client.no_body = true;
  const Answer head = client.exchange("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Content-Length: 10\r\n")) << head.head;
  client.no_body = false;
  const Answer nothing = client.exchange(get("/nothing"));
  EXPECT_EQ(nothing.status, 204);
  EXPECT_FALSE(nothing.has("Content-Length")) << nothing.head;
  EXPECT_EQ(client.exchange(get("/y")).body, "GET /y ? ");
}

TEST(Server, Http10IsAnsweredAndClosed) {
  const auto server = start();
  RawClient client(server->port());
  const Answer answer = client.exchange("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(client.ended());
}

TEST(Server, AnErrorOfTheHandlerIsAnAnswerOfItsOwn) {
  const auto server = start();
  RawClient client(server->port());
  const Answer answer = client.exchange(get("/missing"));
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(client.exchange(get("/")).status, 200) << "the connection goes on";
}

TEST(Server, AHandlerThatThrowsIsA500WithoutItsDetail) {
  const auto server = start();
  RawClient client(server->port());
  const Answer answer = client.exchange(get("/throw"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, "{\"error\":\"internal error\"}\n");
  EXPECT_FALSE(answer.has("secret"));
  EXPECT_EQ(client.exchange(get("/")).status, 200);
}

TEST(Server, AnswersAreNeverCompressed) {
  const auto server = start({}, [](const ServerRequest&) {
    return Response{.status = 200,
                    .headers = {{.name = "Content-Type", .value = "application/json"}},
                    .body = std::string(5000, ' ')};
  });
  RawClient client(server->port());
  const Answer answer = client.exchange(get("/", "Accept-Encoding: gzip, br\r\n"));
  EXPECT_EQ(answer.body.size(), 5000U);
  EXPECT_FALSE(answer.has("Content-Encoding"));
}

// ---- refusals ----

void expect_refused(const Server& server, const std::string& request, int status) {
  RawClient client(server.port());
  const Answer answer = client.exchange(request);
  const std::string shown = request.substr(0, 60);
  EXPECT_EQ(answer.status, status) << shown;
  EXPECT_TRUE(answer.has("Connection: close\r\n")) << shown;
  EXPECT_TRUE(answer.has("Content-Type: application/json\r\n")) << shown;
  EXPECT_TRUE(answer.body.starts_with("{\"error\":\"")) << answer.body;
  EXPECT_TRUE(client.ended()) << shown;
}

TEST(Server, RefusesWhatStockHttplibAccepts) {
  std::atomic<int> calls = 0;
  const auto server = start({}, [&calls](const ServerRequest&) {
    ++calls;
    return ok();
  });
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  expect_refused(*server, chunked, 400);
  expect_refused(*server, post_head(4, "Content-Encoding: gzip\r\n") + "\x1f\x8b\x08\x01", 400);
  expect_refused(*server, post_head(4, "Expect: 100-continue\r\n"), 400);
  expect_refused(*server, "POST / HTTP/1.1\r\nHost: h\r\n\r\n", 411);
  expect_refused(*server, "complete and utter\r\n\r\n garbage", 400);
  EXPECT_EQ(calls, 0);
}

TEST(Server, RefusesTheRangeThatOverflowsAStack) {
  const auto server = start();
  std::string ranges = "Range: bytes=0-0";
  while (ranges.size() < 8000) ranges += ",0-0";
  expect_refused(*server, get("/", ranges + "\r\n"), 400);
}

TEST(Server, RefusesATooLargeBodyBeforeReadingIt) {
  const auto server = start({.max_body_bytes = 1000});
  RawClient client(server->port());
  const Answer answer = client.exchange(post_head(1001));  // and not one byte of it
  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(client.ended());
}

TEST(Server, APeerThatIsStillSendingCanReadWhyItWasRefused) {
  const auto server = start({.max_body_bytes = 1000});
  RawClient client(server->port());
  // Far more than the socket buffers hold, so a reset would overtake the answer.
  const Answer answer =
      client.exchange(post_head(6'000'000) + std::string(std::size_t{6'000'000}, 'x'));
  EXPECT_EQ(answer.status, 413);
}

TEST(Server, CutsAHeadAtItsBound) {
  const auto server = start();
  expect_refused(*server, get("/", "X: " + std::string(std::size_t{16} * 1024, 'x') + "\r\n"), 431);
  // One header line of 64 MiB: refused after 16 KiB, whatever follows.
  RawClient endless(server->port());
  ASSERT_TRUE(endless.send("GET / HTTP/1.1\r\nHost: h\r\nX: "));
  const std::string piece(std::size_t{64} * 1024, 'x');
  std::size_t sent = 0;
  while (sent < std::size_t{64} * 1024 * 1024 && endless.send(piece)) sent += piece.size();
  EXPECT_LT(sent, std::size_t{64} * 1024 * 1024);
}

TEST(Server, CutsACrowdOfHeaders) {
  const auto server = start();
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n"));
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "a: b\r\n";
  int thousands = 0;
  while (thousands < 300 && client.send(lines)) ++thousands;
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(RawClient(server->port()).exchange(get("/")).status, 200);
}

TEST(Server, LargeBodiesShareABudget) {
  const auto server = start({.max_body_bytes = 200'000, .max_buffered_bytes = 300'000});
  RawClient first(server->port());
  ASSERT_TRUE(first.send(post_head(200'000) + std::string(199'999, 'x')));
  // Not before: the first, half read, would be the one that finds nothing left.
  ASSERT_TRUE(eventually([&] { return server->stats().buffered_bytes == 200'000; }));
  EXPECT_EQ(RawClient(server->port()).exchange(post(std::string(200'000, 'x'))).status, 503);
  EXPECT_EQ(RawClient(server->port()).exchange(post(std::string(kSmallBodyBytes, 'x'))).status, 200)
      << "small ones always fit";
  EXPECT_EQ(first.exchange("x").status, 200);
  EXPECT_TRUE(eventually([&] {
    return RawClient(server->port()).exchange(post(std::string(200'000, 'x'))).status == 200;
  })) << "the budget is given back";
}

// ---- slow and silent peers ----

TEST(Server, ATricklingPeerIsCutAtTheDeadlineOfTheRequest) {
  const auto server = start({.request_timeout = kShort});
  RawClient slow(server->port());
  const auto begin = steady_clock::now();
  ASSERT_TRUE(slow.send("GET / HTTP/1.1\r\nHost: h\r\nX: "));
  std::jthread trickle([&slow](const std::stop_token& stop) {
    RawClient* client = &slow;
    // send() on another thread than receive(): raw, past the Connection that is read below.
    while (!stop.stop_requested() && ::send(client->fd(), "x", 1, MSG_NOSIGNAL) == 1) {
      std::this_thread::sleep_for(milliseconds{5});
    }
  });
  EXPECT_EQ(RawClient(server->port()).exchange(get("/")).status, 200) << "others are served";
  EXPECT_EQ(slow.receive().status, 408);
  EXPECT_GE(since(begin), kShort);
  EXPECT_LT(since(begin), kLong / 2);
  EXPECT_TRUE(slow.ended());
}

TEST(Server, ATricklingBodyIsCutToo) {
  const auto server = start({.request_timeout = kShort});
  RawClient slow(server->port());
  ASSERT_TRUE(slow.send(post_head(1000) + "only this"));
  EXPECT_EQ(slow.receive().status, 408);
  EXPECT_TRUE(slow.ended());
}

TEST(Server, AnIdleConnectionIsClosedWithoutAWord) {
  const auto server = start({.idle_timeout = kShort});
  RawClient client(server->port());
  EXPECT_EQ(client.exchange(get("/")).status, 200);
  EXPECT_EQ(client.receive().status, 0);
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
}

TEST(Server, APeerThatDoesNotReadItsAnswerIsCut) {
  const auto server = start({.write_timeout = kShort}, [](const ServerRequest&) {
    return ok(std::string(std::size_t{32} * 1024 * 1024, 'x'));
  });
  RawClient deaf(server->port());
  ASSERT_TRUE(deaf.send(get("/")));
  ASSERT_TRUE(eventually([&] { return server->stats().accepted == 1; }));
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
}

TEST(Server, APeerThatVanishesInTheMiddleHurtsNobody) {
  const auto server = start();
  for (const std::string& part :
       std::vector<std::string>{"", "G", "GET / HTTP/1.1\r\nHost:", post_head(100)}) {
    RawClient client(server->port());
    ASSERT_TRUE(client.send(part));
  }
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
  EXPECT_EQ(RawClient(server->port()).exchange(get("/")).status, 200);
}

// ---- many connections ----

TEST(Server, FiveHundredIdleConnectionsCostNoCpu) {
  allow_descriptors(2048);
  const auto server = start();
  const auto clients = idle_clients(*server, 500);
  const auto cpu = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto both = [](const timeval& time) {
      return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
    };
    return both(usage.ru_utime) + both(usage.ru_stime);
  };
  // Stock httplib: the whole interval, each time. A tenth would be a poll of each connection all 10
  // ms. The quietest of some intervals counts: what the connections' beginning left to do is no
  // part of it.
  constexpr milliseconds kWatched{250};
  auto least = std::chrono::microseconds::max();
  for (int i = 0; i < 8 && least >= kWatched / 20; ++i) {
    const auto before = cpu();
    std::this_thread::sleep_for(kWatched);
    least = std::min(least, cpu() - before);
  }
  EXPECT_LT(least, kWatched / 20);
  EXPECT_EQ(server->stats().connections, 500U);
}

TEST(Server, TwoHundredConnectsAtOnceAreAllServed) {
  allow_descriptors(2048);
  const auto server = start();
  constexpr std::size_t kClients = 200;
  std::latch ready(kClients);
  std::atomic<int> served = 0;
  std::atomic<int> slow = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kClients; ++i) {
      threads.emplace_back([&] {
        ready.arrive_and_wait();
        const auto begin = steady_clock::now();
        RawClient client(server->port());
        if (client.exchange(get("/")).status == 200) ++served;
        // A SYN that found no place in the backlog is sent again after a second.
        if (since(begin) > milliseconds{900}) ++slow;
      });
    }
  }
  EXPECT_EQ(served, kClients);
  EXPECT_EQ(slow, 0);
}

TEST(Server, PastTheSoftBoundAnswersCarryClose) {
  const auto server = start({.soft_max_connections = 2});
  RawClient first(server->port());
  RawClient second(server->port());
  EXPECT_FALSE(first.exchange(get("/")).has("Connection: close"));
  EXPECT_FALSE(second.exchange(get("/")).has("Connection: close"));
  RawClient third(server->port());
  EXPECT_TRUE(third.exchange(get("/")).has("Connection: close\r\n"));
  EXPECT_TRUE(third.ended());
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 2; }));
  EXPECT_FALSE(first.exchange(get("/")).has("Connection: close"));
}

TEST(Server, PastTheHardBoundConnectionsAreClosedAtOnce) {
  const auto server = start({.hard_max_connections = 2});
  auto clients = idle_clients(*server, 2);
  RawClient third(server->port());
  EXPECT_TRUE(third.ended());
  EXPECT_TRUE(eventually([&] { return server->stats().refused == 1; }));
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 1; }));
  EXPECT_EQ(RawClient(server->port()).exchange(get("/")).status, 200);
}

TEST(Server, SurvivesRunningOutOfDescriptors) {
  const auto server = start();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  RawClient early(server->port());
  ASSERT_EQ(early.exchange(get("/")).status, 200);
  // A client whose own descriptor is the last that is allowed.
  const Fd waiting(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit none = before;
  none.rlim_cur = 3;  // every new descriptor would be above it
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(waiting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
            0);
  EXPECT_EQ(early.exchange(get("/")).status, 200) << "open connections go on";
  EXPECT_EQ(server->stats().accepted, 1U);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(eventually([&] { return server->stats().accepted == 2; })) << "the backlog is served";
}

// ---- drain and stop ----

TEST(Server, WhileDrainingAnswersCarryCloseAndConnectsAreStillAccepted) {
  const auto server = start();
  RawClient old(server->port());
  EXPECT_FALSE(old.exchange(get("/")).has("Connection: close"));
  server->begin_drain();
  EXPECT_TRUE(old.exchange(get("/")).has("Connection: close\r\n"));
  EXPECT_TRUE(old.ended());
  EXPECT_EQ(RawClient(server->port()).exchange(get("/")).status, 200);
}

TEST(Server, StopWithFiveHundredIdleConnectionsIsPrompt) {
  allow_descriptors(2048);
  const auto server = start();
  const auto clients = idle_clients(*server, 500);
  const auto begin = steady_clock::now();
  server->stop(late());
  EXPECT_LT(since(begin), milliseconds{2000}) << "25 s with stock httplib";
  EXPECT_EQ(server->stats().connections, 0U);
}

// A handler that waits until the test lets it go.
class Gate {
 public:
  Response operator()(const ServerRequest&) {
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [this] { return open_; });
    return ok("finished");
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

TEST(Server, StopFinishesWhatIsInFlight) {
  Gate gate;
  const auto server = start({}, [&gate](const ServerRequest& request) { return gate(request); });
  RawClient client(server->port());
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(eventually([&] { return server->stats().in_flight == 1; }));
  std::jthread stopper([&] { server->stop(late()); });
  gate.open();
  const Answer answer = client.receive();
  EXPECT_EQ(answer.body, "finished");
  EXPECT_TRUE(client.ended());
  stopper.join();
  EXPECT_EQ(server->stats().connections, 0U);
}

TEST(Server, StopCutsWhatIsLeftAtItsDeadline) {
  const auto server = start();  // reading a request may take ten seconds
  RawClient half(server->port());
  ASSERT_TRUE(half.send("GET / HTTP/1.1\r\n"));
  RawClient other(server->port());
  ASSERT_EQ(other.exchange(get("/")).status, 200);
  const auto begin = steady_clock::now();
  server->stop(Deadline::after(kShort));
  EXPECT_TRUE(half.ended());
  EXPECT_LT(since(begin), kLong / 2);
  EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
}

TEST(Server, StopRefusesNewConnectionsAndMayBeCalledTwice) {
  const auto server = start();
  const std::uint16_t port = server->port();
  server->stop(late());
  server->stop(late());
  EXPECT_FALSE(RawClient(port).send(get("/")) && RawClient(port).receive().status != 0);
}

TEST(Server, TheDestructorWaitsForAHandlerThatStillRuns) {
  Gate gate;
  auto server = start({}, [&gate](const ServerRequest& request) { return gate(request); });
  RawClient client(server->port());
  ASSERT_TRUE(client.send(get("/")));
  ASSERT_TRUE(eventually([&] { return server->stats().in_flight == 1; }));
  server->stop(Deadline::after(milliseconds{1}));
  EXPECT_EQ(server->stats().in_flight, 1U);
  gate.open();
  server.reset();
}

// ---- listening ----

TEST(Server, NamesTheAddressItCannotListenOn) {
  const auto server = start();
  const std::string taken = "127.0.0.1:" + std::to_string(server->port());
  const auto second = Server::start({.listen = taken}, echo, Logger::none());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(second.error().message.find(taken), std::string::npos) << second.error().message;
  for (const std::string bad : {"", "8443", "h:", "::1:80", "127.0.0.1:http", "127.0.0.1:99999"}) {
    const auto refused = Server::start({.listen = bad}, echo, Logger::none());
    EXPECT_FALSE(refused) << bad;
  }
}

TEST(Server, AnEmptyHostServesIpv4) {
  auto server = Server::start({.listen = ":0"}, echo, Logger::none());
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_EQ(RawClient((*server)->port()).exchange(get("/")).status, 200);
}

// ---- TLS ----

class TlsServer : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(certificate_.load(ca_.issue()));
    options_.certificate = &certificate_;
  }
  static std::shared_ptr<ssl_ctx_st> trusting(const TestCa& ca) {
    return *make_client_context({.system_roots = false, .ca_pem = ca.certificate_pem()});
  }

  TestCa ca_;
  ServerCertificate certificate_;
  ServerOptions options_;
};

TEST_F(TlsServer, ServesLargeAndPipelinedRequests) {
  const auto server = start(options_);
  RawClient client(server->port());
  ASSERT_TRUE(client.start_tls(trusting(ca_)));
  const std::string body(1'000'000, 'x');
  EXPECT_EQ(client.exchange(post(body)).body, body);
  client.send(get("/1") + get("/2"));
  EXPECT_EQ(client.receive().body, "GET /1 ? ");
  EXPECT_EQ(client.receive().body, "GET /2 ? ");
}

TEST_F(TlsServer, ANewCertificateIsForNewConnectionsAndOldOnesGoOn) {
  const auto server = start(options_);
  RawClient old(server->port());
  ASSERT_TRUE(old.start_tls(trusting(ca_)));
  EXPECT_EQ(old.exchange(get("/")).status, 200);

  const TestCa next;
  ASSERT_TRUE(certificate_.load(next.issue()));
  RawClient fresh(server->port());
  ASSERT_TRUE(fresh.start_tls(trusting(next)));
  EXPECT_EQ(fresh.exchange(get("/")).status, 200);
  EXPECT_EQ(old.exchange(get("/")).status, 200) << "the same connection, the old certificate";
  RawClient stubborn(server->port());
  EXPECT_FALSE(stubborn.start_tls(trusting(ca_)));
}

TEST_F(TlsServer, ReloadingUnderLoadDropsNothing) {
  const auto server = start(options_);
  const auto context = trusting(ca_);
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i) {
      clients.emplace_back([&] {
        for (int round = 0; round < 10; ++round) {
          RawClient client(server->port());
          if (!client.start_tls(context) || client.exchange(get("/")).status != 200) ++failed;
        }
      });
    }
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(certificate_.load(ca_.issue()));
  }
  EXPECT_EQ(failed, 0);
}

TEST_F(TlsServer, PlainHttpAndGarbageAreClosedAndOthersServed) {
  const auto server = start(options_);
  for (const std::string& text : {get("/"), std::string(100'000, '\x16'), std::string(100, '\0')}) {
    RawClient wrong(server->port());
    wrong.send(text);
    EXPECT_EQ(wrong.receive().status, 0);
    EXPECT_TRUE(wrong.ended());
  }
  RawClient client(server->port());
  ASSERT_TRUE(client.start_tls(trusting(ca_)));
  EXPECT_EQ(client.exchange(get("/")).status, 200);
}

TEST_F(TlsServer, ASilentHandshakeIsCutAtItsDeadline) {
  options_.handshake_timeout = kShort;
  const auto server = start(options_);
  RawClient silent(server->port());
  RawClient half(server->port());
  half.send("\x16\x03\x01");
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(half.ended());
}

TEST_F(TlsServer, WithoutACertificateYetConnectionsAreClosed) {
  ServerCertificate empty;
  options_.certificate = &empty;
  const auto server = start(options_);
  RawClient early(server->port());
  EXPECT_FALSE(early.start_tls(trusting(ca_)));
  ASSERT_TRUE(empty.load(ca_.issue()));
  RawClient later(server->port());
  ASSERT_TRUE(later.start_tls(trusting(ca_)));
  EXPECT_EQ(later.exchange(get("/")).status, 200);
}

TEST_F(TlsServer, StopSaysGoodbyeToIdleConnections) {
  const auto server = start(options_);
  RawClient idle(server->port());
  ASSERT_TRUE(idle.start_tls(trusting(ca_)));
  EXPECT_EQ(idle.exchange(get("/")).status, 200);
  server->stop(late());
  EXPECT_TRUE(idle.ended());
}

TEST_F(TlsServer, ThirtyTwoClientsAtOnceGetTheirOwnAnswers) {
  const auto server = start(options_);
  const auto context = trusting(ca_);
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 32; ++i) {
      clients.emplace_back([&, i] {
        RawClient client(server->port());
        if (!client.start_tls(context)) {
          ++wrong;
          return;
        }
        for (int round = 0; round < 20; ++round) {
          const std::string body = std::to_string(i) + ":" + std::to_string(round) +
                                   std::string(static_cast<std::size_t>(6000 + i), 'x');
          if (client.exchange(post(body)).body != body) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace tidemark::net
