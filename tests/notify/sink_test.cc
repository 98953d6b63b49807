// The sink over a real client and a loopback server that answers as its script says.
#include "notify/sink.h"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "net/client.h"
#include "net/server.h"
#include "notify/sample.h"
#include "support/fake_clock.h"
#include "support/scripted_server.h"

namespace tidemark::notify {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using testing::sample;
using tidemark::testing::FakeClock;
using tidemark::testing::ScriptedServer;

constexpr const char* kSecretPath = "/services/T000/B000/secret?token=hidden";

// A recipient: answers from a list, then 200; keeps what it was sent.
class Recipient {
 public:
  explicit Recipient(std::deque<net::Response> answers = {}) : answers_(std::move(answers)) {
    auto started = net::Server::start(
        {.listen = "127.0.0.1:0"}, [this](const net::ServerRequest& r) { return answer(r); },
        Logger::none());
    server_ = std::move(started.value());
  }

  net::Url url() const {
    return net::Url::parse("http://127.0.0.1:" + std::to_string(server_->port()) + kSecretPath)
        .value();
  }
  // Called before each answer.
  void before(std::function<void()> hook) { hook_ = std::move(hook); }

  std::vector<std::string> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  // The workloads of what was sent, in order.
  std::vector<std::string> workloads() const {
    std::vector<std::string> out;
    for (const std::string& body : bodies()) out.push_back(json::parse(body)["workload"]);
    return out;
  }
  std::vector<SteadyTime> times() const {
    const std::lock_guard lock(mutex_);
    return times_;
  }
  net::Headers headers() const {
    const std::lock_guard lock(mutex_);
    return headers_;
  }

 private:
  net::Response answer(const net::ServerRequest& request) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (hook_) hook_();
    const std::lock_guard lock(mutex_);
    bodies_.emplace_back(request.body);
    times_.push_back(now);
    headers_ = request.headers;
    if (answers_.empty()) return {.status = 200, .headers = {}, .body = "ok"};
    net::Response next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }

  mutable std::mutex mutex_;
  std::deque<net::Response> answers_;
  std::vector<std::string> bodies_;
  std::vector<SteadyTime> times_;
  net::Headers headers_;
  std::function<void()> hook_;
  std::unique_ptr<net::Server> server_;
};

net::Response status(int code, net::Headers headers = {}) {
  return {.status = code, .headers = std::move(headers), .body = "no"};
}

class SinkTest : public ::testing::Test {
 protected:
  void open(const net::Url& url) {
    options.name = "chat";
    options.url = url;
    options.backoff = {.initial = 1ms, .max = 2ms};
    auto client = net::make_client({.trust = {.system_roots = false}, .user_agent = "tidemark"});
    sink = std::make_unique<Sink>(
        options, client.value(), clock, metrics,
        Logger::to_sink(LogLevel::kDebug, [this](std::string_view line) { log += line; }));
  }
  bool record(const Notification& notification = sample()) {
    return sink->record(std::make_shared<const Notification>(notification));
  }
  void flush() { ASSERT_TRUE(sink->flush(Deadline::after(20s))); }
  double count(const std::string& outcome) {
    return metrics
        .counter("tidemark_notifications_total",
                 "Notifications by sink and outcome: sent, refused (not to be sent again), dropped "
                 "(queue full), lost (at the end of the process); retried counts tries that "
                 "failed.")
        .with({{"sink", "chat"}, {"outcome", outcome}})
        .value();
  }
  std::size_t lines(const std::string& text) const {
    std::size_t found = 0;
    for (auto at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++found;
    return found;
  }

  FakeClock clock;
  Metrics metrics;
  SinkOptions options;
  std::string log;
  std::unique_ptr<Sink> sink;  // last: it writes the log
};

TEST_F(SinkTest, SendsInOrderWithItsHeaders) {
  Recipient recipient;
  options.headers = {{.name = "Authorization", .value = "Bearer of-the-file"}};
  open(recipient.url());
  for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(record(sample(name)));
  flush();
  EXPECT_EQ(recipient.workloads(), (std::vector<std::string>{"a", "b", "c"}));
  const net::Headers headers = recipient.headers();
  EXPECT_EQ(*net::find_header(headers, "Authorization"), "Bearer of-the-file");
  EXPECT_EQ(*net::find_header(headers, "Content-Type"), "application/json");
  EXPECT_EQ(count("sent"), 3);
}

TEST_F(SinkTest, WhatIsNotTakenIsSentAgainInOrderAndNothingIsLost) {
  Recipient recipient(
      {status(500), status(503), status(429), status(408), status(425), status(200), status(502)});
  open(recipient.url());
  for (const char* name : {"a", "b"}) record(sample(name));
  flush();
  EXPECT_EQ(recipient.workloads(),
            (std::vector<std::string>{"a", "a", "a", "a", "a", "a", "b", "b"}));
  // The same body, so the same id.
  EXPECT_EQ(recipient.bodies()[0], recipient.bodies()[5]);
  EXPECT_EQ(count("sent"), 2);
  EXPECT_EQ(count("retried"), 6);
  EXPECT_EQ(lines("its sink does not take it"), 2U);
  EXPECT_EQ(lines("answers again"), 2U);
}

TEST_F(SinkTest, AConnectionThatBreaksIsTriedAgain) {
  ScriptedServer server([](ScriptedServer::Peer& peer) {
    if (peer.index() < 2) return peer.reset();
    peer.read_head();
    peer.write(tidemark::testing::ok_answer());
    peer.hang();
  });
  open(server.url("/"));
  record();
  flush();
  EXPECT_EQ(count("sent"), 1);
  EXPECT_EQ(count("retried"), 2);
}

TEST_F(SinkTest, RetryAfterIsHonoured) {
  Recipient recipient({status(429, {{.name = "Retry-After", .value = "1"}})});
  open(recipient.url());
  record();
  flush();
  ASSERT_EQ(recipient.times().size(), 2U);
  EXPECT_GE(recipient.times()[1] - recipient.times()[0], 990ms);
}

TEST_F(SinkTest, WhatIsRefusedForGoodIsDroppedAndToldOncePerStatus) {
  Recipient recipient({status(404), status(404), status(410), status(404)});
  open(recipient.url());
  for (const char* name : {"a", "b", "c", "d", "e"}) record(sample(name));
  flush();
  EXPECT_EQ(recipient.workloads(), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(count("refused"), 4);
  EXPECT_EQ(count("sent"), 1);
  EXPECT_EQ(lines("refused for good"), 2U);
}

TEST_F(SinkTest, ARedirectIsNotFollowed) {
  Recipient elsewhere;
  Recipient recipient({status(302, {{.name = "Location", .value = elsewhere.url().str()}}),
                       status(307, {{.name = "Location", .value = elsewhere.url().str()}})});
  open(recipient.url());
  record();
  record();
  flush();
  EXPECT_TRUE(elsewhere.bodies().empty());
  EXPECT_EQ(count("refused"), 2);
}

TEST_F(SinkTest, AFullQueueDropsTheNewestAndNeverBlocks) {
  Recipient recipient;
  std::latch asked(1);
  std::latch go(1);
  std::atomic<bool> first = true;
  recipient.before([&] {
    if (!first.exchange(false)) return;
    asked.count_down();
    go.wait();
  });
  options.max_queued = 3;
  open(recipient.url());
  EXPECT_TRUE(record(sample("a")));
  asked.wait();  // the recipient is slow now: it holds the first
  EXPECT_TRUE(record(sample("b")));
  EXPECT_TRUE(record(sample("c")));
  EXPECT_FALSE(record(sample("d")));
  EXPECT_FALSE(sink->flush(Deadline::after(0ms)));
  EXPECT_EQ(count("dropped"), 1);
  EXPECT_NE(metrics.expose().find("tidemark_notifications_queued{sink=\"chat\"} 3"),
            std::string::npos);
  go.count_down();
  flush();
  EXPECT_EQ(recipient.workloads(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_NE(metrics.expose().find("tidemark_notifications_queued{sink=\"chat\"} 0"),
            std::string::npos);
}

TEST_F(SinkTest, SlackGetsWhatWaitsInOneMessageAnIntervalLater) {
  Recipient recipient;
  options.format = Format::kSlack;
  options.text = MessageTemplate::parse("{workload}").value();
  options.min_interval = 200ms;
  open(recipient.url());
  std::latch asked(1);
  std::latch go(1);
  std::atomic<bool> first = true;
  recipient.before([&] {
    if (!first.exchange(false)) return;
    asked.count_down();
    go.wait();
  });
  record(sample("a"));
  asked.wait();
  for (const char* name : {"b", "c", "d"}) record(sample(name));
  go.count_down();
  flush();
  EXPECT_EQ(recipient.bodies(),
            (std::vector<std::string>{R"({"text":"a"})", R"({"text":"b\nc\nd"})"}));
  EXPECT_GE(recipient.times()[1] - recipient.times()[0], 150ms);
  EXPECT_EQ(count("sent"), 4);
}

TEST_F(SinkTest, ItsEndWaitsForWhatIsQueued) {
  Recipient recipient({status(503)});
  options.min_interval = 20ms;
  open(recipient.url());
  for (const char* name : {"a", "b", "c"}) record(sample(name));
  sink.reset();
  EXPECT_EQ(count("sent"), 3);
  EXPECT_EQ(count("lost"), 0);
}

TEST_F(SinkTest, ItsEndDoesNotWaitForALongRetryAfter) {
  Recipient recipient({status(503, {{.name = "Retry-After", .value = "3600"}})});
  std::latch asked(1);
  recipient.before([&] { asked.count_down(); });
  options.drain = 10s;
  open(recipient.url());
  record();
  asked.wait();
  const auto begin = std::chrono::steady_clock::now();
  sink.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(count("lost"), 1);
  EXPECT_EQ(lines("are lost"), 1U);
}

TEST_F(SinkTest, ItsEndIsBoundedWhereNobodyAnswers) {
  ScriptedServer server([](ScriptedServer::Peer& peer) { peer.hang(); });
  options.drain = 100ms;
  open(server.url("/"));
  record();
  const auto begin = std::chrono::steady_clock::now();
  sink.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(count("lost"), 1);
}

TEST_F(SinkTest, NoSecretIsLogged) {
  Recipient recipient({status(500), status(403), status(302)});
  options.headers = {{.name = "Authorization", .value = "Bearer of-the-file"}};
  open(recipient.url());
  for (int i = 0; i < 3; ++i) record();
  flush();
  // Network errors name what was asked; here a peer that is gone.
  net::Url gone;
  {
    const ScriptedServer server([](ScriptedServer::Peer& peer) { peer.reset(); });
    gone = server.url(kSecretPath);
  }
  options.drain = 20ms;
  open(gone);
  record();
  sink.reset();
  EXPECT_NE(log.find("POST http://127.0.0.1:"), std::string::npos) << log;
  for (const char* secret : {"services", "secret", "hidden", "of-the-file"}) {
    EXPECT_EQ(log.find(secret), std::string::npos) << log;
  }
}

TEST(SinkVerdict, TellsWhatComesBackFromWhatDoesNot) {
  const WallTime now = FakeClock().wall_now();
  const auto kind = [&](const Result<net::Response>& answer) {
    return verdict_of(answer, now).kind;
  };
  for (const int taken : {200, 201, 202, 204}) {
    EXPECT_EQ(kind(status(taken)), Verdict::Kind::kTaken);
  }
  for (const int again : {408, 425, 429, 500, 502, 503, 504, 599}) {
    EXPECT_EQ(kind(status(again)), Verdict::Kind::kAgain) << again;
  }
  for (const int refused : {301, 302, 307, 400, 401, 403, 404, 410, 413, 422}) {
    EXPECT_EQ(kind(status(refused)), Verdict::Kind::kRefused) << refused;
  }
  for (const ErrorKind again :
       {ErrorKind::kTimeout, ErrorKind::kUnavailable, ErrorKind::kTls, ErrorKind::kCanceled}) {
    EXPECT_EQ(kind(fail(again, "x")), Verdict::Kind::kAgain);
  }
  EXPECT_EQ(kind(fail(ErrorKind::kInvalid, "x")), Verdict::Kind::kRefused);
  EXPECT_EQ(kind(fail(ErrorKind::kTooLarge, "x")), Verdict::Kind::kRefused);
}

TEST(SinkVerdict, TakesBothFormsOfRetryAfter) {
  const WallTime now = FakeClock().wall_now();
  const auto wait = [&](const char* value) {
    return verdict_of(status(503, {{.name = "Retry-After", .value = value}}), now).not_before;
  };
  EXPECT_EQ(wait("7"), 7s);
  EXPECT_EQ(wait("Thu, 01 Jan 2026 00:00:30 GMT"), 30s);
  EXPECT_EQ(wait("999999"), 1h);
  EXPECT_EQ(wait("soon"), 0s);
}

}  // namespace
}  // namespace tidemark::notify
