// The small parts: Breaker, Limiter, SingleFlight, LruMap, answer_error, RegistryMetrics,
// Endpoints.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "registry/answer_error.h"
#include "registry/breaker.h"
#include "registry/endpoints.h"
#include "registry/limiter.h"
#include "registry/lru_map.h"
#include "registry/registry_metrics.h"
#include "registry/single_flight.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeClock;

const Deadline kSoon = Deadline::after(seconds{60});

class BreakerTest : public ::testing::Test {
 protected:
  void fail_times(int times, const std::string& key = "r") {
    for (int i = 0; i < times; ++i) breaker_.admit(key).value().failed();
  }
  FakeClock clock_;
  Breaker breaker_{
      {.failures_to_open = 3, .open_for = seconds{4}, .max_open_for = seconds{10}}, clock_, 1};
};

TEST_F(BreakerTest, OpensAfterConsecutiveFailuresOfOneKey) {
  fail_times(2);
  breaker_.admit("r").value().succeeded();
  fail_times(2);
  EXPECT_TRUE(breaker_.check("r"));
  fail_times(1);
  const auto refused = breaker_.admit("r");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  ASSERT_TRUE(refused.error().retry_after);
  EXPECT_GE(*refused.error().retry_after, seconds{2});
  EXPECT_LE(*refused.error().retry_after, seconds{4});
  EXPECT_FALSE(breaker_.check("r"));
  EXPECT_TRUE(breaker_.check("other"));
}

TEST_F(BreakerTest, LetsOneProbeThroughAndClosesWhenItSucceeds) {
  fail_times(3);
  clock_.advance(seconds{4});
  auto probe = breaker_.admit("r");
  ASSERT_TRUE(probe);
  EXPECT_FALSE(breaker_.admit("r")) << "a second probe";
  probe->succeeded();
  EXPECT_TRUE(breaker_.admit("r"));
  fail_times(2);
  EXPECT_TRUE(breaker_.check("r")) << "the count starts anew";
}

TEST_F(BreakerTest, StaysOpenLongerAfterEachFailedProbe) {
  fail_times(3);
  milliseconds last{0};
  for (const seconds longest : {seconds{8}, seconds{10}, seconds{10}}) {
    clock_.advance(seconds{10});
    breaker_.admit("r").value().failed();
    const milliseconds wait = *breaker_.admit("r").error().retry_after;
    EXPECT_GE(wait, longest / 2);
    EXPECT_LE(wait, longest);
    last = wait;
  }
  EXPECT_GT(last, milliseconds{0});
}

TEST_F(BreakerTest, AnAbandonedProbeLeavesRoomForTheNext) {
  fail_times(3);
  clock_.advance(seconds{4});
  { const auto probe = breaker_.admit("r"); }
  EXPECT_TRUE(breaker_.admit("r"));
}

TEST_F(BreakerTest, LateFailuresFromBeforeItOpenedDoNotProlongIt) {
  auto early = breaker_.admit("r");
  fail_times(3);
  const milliseconds before = *breaker_.admit("r").error().retry_after;
  early->failed();
  EXPECT_EQ(*breaker_.admit("r").error().retry_after, before);
}

TEST_F(BreakerTest, PausesForAsLongAsItIsTold) {
  breaker_.pause("r", seconds{3});
  const auto refused = breaker_.admit("r");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(refused.error().retry_after, seconds{3});
  clock_.advance(seconds{3});
  EXPECT_TRUE(breaker_.admit("r"));
}

TEST_F(BreakerTest, RemembersABoundedNumberOfKeys) {
  fail_times(3, "first");
  clock_.advance(milliseconds{1});
  for (std::size_t i = 0; i < Breaker::kMaxKeys; ++i) fail_times(1, std::to_string(i));
  EXPECT_TRUE(breaker_.check("first")) << "given up for newer ones";
}

TEST(Limiter, LetsSoManyInAndTheNextWhenOneLeaves) {
  Limiter limiter;
  const std::stop_token stop;
  auto first = std::make_unique<Limiter::Slot>(limiter.acquire("r", 2, kSoon, stop).value());
  const auto second = limiter.acquire("r", 2, kSoon, stop);
  ASSERT_TRUE(second);
  EXPECT_TRUE(limiter.acquire("other", 2, kSoon, stop));
  const auto full = limiter.acquire("r", 2, Deadline::after(milliseconds{1}), stop);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kTimeout);

  std::atomic<bool> got{false};
  std::jthread waiter([&] {
    const auto slot = limiter.acquire("r", 2, kSoon, stop);
    got = slot.has_value();
  });
  first.reset();
  waiter.join();
  EXPECT_TRUE(got);
}

TEST(Limiter, LeavesWhenStopped) {
  Limiter limiter;
  const auto taken = limiter.acquire("r", 1, kSoon, {});
  std::stop_source stop;
  std::atomic<ErrorKind> kind{ErrorKind::kInternal};
  std::jthread waiter([&] {
    const auto slot = limiter.acquire("r", 1, kSoon, stop.get_token());
    if (!slot) kind = slot.error().kind;
  });
  stop.request_stop();
  waiter.join();
  EXPECT_EQ(kind, ErrorKind::kCanceled);
}

TEST(Limiter, NeverLetsMoreInThanTheLimit) {
  Limiter limiter;
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> done{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 200; ++round) {
          const auto slot = limiter.acquire("r", 3, kSoon, {});
          if (!slot) return;
          const int now = ++inside;
          int seen = most.load();
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          --inside;
          ++done;
        }
      });
    }
  }
  EXPECT_EQ(done, 16 * 200);
  EXPECT_LE(most, 3);
}

// Until so many wait; the test's own timeout ends it where they never do.
template <typename Waits>
void until_waiting(const Waits& flights, std::size_t count) {
  while (flights.waiting() != count) std::this_thread::yield();
}

TEST(SingleFlight, ALeaderThatGivesUpForItselfHandsOver) {
  SingleFlight<int> flights;
  std::latch leading(1);
  std::latch release(1);
  Result<int> led = 0;
  std::thread leader([&] {
    // Its deadline passes while it works: that says nothing of the work.
    led = flights.run("k", Deadline::after(milliseconds{0}), {}, [&]() -> Result<int> {
      leading.count_down();
      release.wait();
      return fail(ErrorKind::kTimeout, "the leader's own deadline");
    });
  });
  leading.wait();
  Result<int> followed = 0;
  std::thread follower(
      [&] { followed = flights.run("k", kSoon, {}, []() -> Result<int> { return 42; }); });
  until_waiting(flights, 1);
  release.count_down();
  leader.join();
  follower.join();
  ASSERT_FALSE(led);
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_EQ(*followed, 42);
}

TEST(SingleFlight, AFollowerLeavesOnItsOwnDeadlineOrStop) {
  SingleFlight<int> flights;
  std::latch leading(1);
  std::latch release(1);
  std::atomic<int> works{0};
  std::thread leader([&] {
    const auto led = flights.run("k", kSoon, {}, [&]() -> Result<int> {
      ++works;
      leading.count_down();
      release.wait();
      return 1;
    });
    EXPECT_TRUE(led);
  });
  leading.wait();
  const auto another = [&]() -> Result<int> { return ++works; };
  const auto late = flights.run("k", Deadline::after(milliseconds{5}), {}, another);
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = flights.run("k", kSoon, stop.get_token(), another);
  release.count_down();
  leader.join();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kTimeout);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind, ErrorKind::kCanceled);
  EXPECT_EQ(works, 1);
}

TEST(SingleFlight, AnswersAllWhoWaitAlsoWithAnError) {
  SingleFlight<int> flights;
  std::atomic<int> works{0};
  std::atomic<int> timeouts{0};
  std::latch release(1);
  const auto ask = [&] {
    const auto result = flights.run("k", kSoon, {}, [&]() -> Result<int> {
      ++works;
      release.wait();
      return fail(ErrorKind::kTimeout, "the attempt's timeout");
    });
    if (!result && result.error().message == "the attempt's timeout") ++timeouts;
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) threads.emplace_back(ask);
    until_waiting(flights, 7);
    release.count_down();
  }
  EXPECT_EQ(works, 1);
  EXPECT_EQ(timeouts, 8);
  // The flight is over: the next one works again.
  EXPECT_EQ(flights.run("k", kSoon, {}, []() -> Result<int> { return 2; }).value(), 2);
}

TEST(SingleFlight, WhatALeaderFindsByLookingOnceMoreIsItsOwn) {
  SingleFlight<int> flights;
  std::latch looking(1);
  std::latch release(1);
  Result<int> led = 0;
  std::thread leader([&] {
    const auto look = [&]() -> std::optional<Result<int>> {
      looking.count_down();
      release.wait();
      return 1;
    };
    led = flights.run("k", kSoon, {}, look, []() -> Result<int> { return 2; });
  });
  looking.wait();
  Result<int> followed = 0;
  std::thread follower(
      [&] { followed = flights.run("k", kSoon, {}, []() -> Result<int> { return 42; }); });
  until_waiting(flights, 1);
  release.count_down();
  leader.join();
  follower.join();
  EXPECT_EQ(led.value(), 1);
  EXPECT_EQ(followed.value(), 42) << "who waited may want it newer";
}

TEST(LruMap, ForgetsWhatWasUsedLongestAgo) {
  LruMap<int> map(2);
  map.put("a", 1);
  map.put("b", 2);
  ASSERT_NE(map.find("a"), nullptr);
  map.put("c", 3);
  EXPECT_EQ(map.find("b"), nullptr);
  EXPECT_EQ(*map.find("a"), 1);
  map.put("a", 4);
  EXPECT_EQ(*map.find("a"), 4);
  EXPECT_EQ(map.size(), 2U);
  map.erase("a");
  map.erase("a");
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_EQ(map.size(), 1U);
}

Error error_of(int status, std::string body, net::Headers headers = {},
               const Credential& credential = {}, std::string_view authorization = {}) {
  return answer_error({.status = status, .headers = std::move(headers), .body = std::move(body)},
                      FakeClock().wall_now(), credential, authorization);
}

TEST(AnswerError, MapsStatusesToKinds) {
  const std::vector<std::pair<int, ErrorKind>> cases = {
      {400, ErrorKind::kInvalid},  {401, ErrorKind::kUnauthorized}, {403, ErrorKind::kForbidden},
      {404, ErrorKind::kNotFound}, {405, ErrorKind::kInvalid},      {408, ErrorKind::kUnavailable},
      {429, ErrorKind::kTooMany},  {500, ErrorKind::kUnavailable},  {503, ErrorKind::kUnavailable},
      {302, ErrorKind::kInvalid},
  };
  for (const auto& [status, kind] : cases) {
    EXPECT_EQ(error_of(status, "").kind, kind) << status;
    EXPECT_EQ(error_of(status, "").http_status, status);
  }
  EXPECT_EQ(error_of(429, "", {{"Retry-After", "7"}}).retry_after, seconds{7});
}

TEST(AnswerError, QuotesTheRegistrysWords) {
  EXPECT_EQ(error_of(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown",)"
                          R"("detail":{"Tag":"x"}}]})")
                .message,
            "not found (404): MANIFEST_UNKNOWN: manifest unknown");
  EXPECT_EQ(error_of(401, R"({"errors":[{"code":"A"},{"message":"b"},7,{"code":"D"}]})").message,
            "unauthorized (401): A; b");
  EXPECT_EQ(error_of(400, R"({"error":"invalid_grant","error_description":"no"})").message,
            "unexpected answer (400): invalid_grant: no");
  for (const std::string body : {"", "<html>", "[]", R"({"errors":{}})", R"({"errors":[[]]})"}) {
    EXPECT_EQ(error_of(503, body).message, "registry error (503)") << body;
  }
}

TEST(AnswerError, LosesSecretsQueriesAndControlCharacters) {
  const Credential credential{.username = "u", .password = "hunter2", .identity_token = "refresh"};
  const std::string message =
      error_of(403,
               R"({"errors":[{"code":"X","message":"hunter2 refresh abc.def.ghi )"
               R"(https://s3.test/x?sig=1 bye\n\u001b[31m"}]})",
               {}, credential, "Bearer abc.def.ghi")
          .message;
  EXPECT_EQ(message, "forbidden (403): X: *** *** *** https://s3.test/x?*** bye  [31m");
  const std::string longer =
      error_of(500, R"({"errors":[{"message":")" + std::string(5000, 'x') + R"("}]})").message;
  EXPECT_LT(longer.size(), 200U);
  EXPECT_TRUE(longer.ends_with("..."));
}

TEST(RegistryMetrics, NamesABoundedNumberOfRegistries) {
  Metrics metrics;
  RegistryMetrics registry(metrics);
  for (int i = 0; i < 500; ++i) {
    const std::string host = "r" + std::to_string(i) + ".test";
    registry.count_request(host, Operation::kHead, "ok");
    registry.observe_resolve(host, CacheOutcome::kMiss, milliseconds{3});
  }
  const std::string text = metrics.expose();
  EXPECT_NE(text.find(R"(registry="r0.test")"), std::string::npos);
  EXPECT_NE(text.find(R"(registry="r99.test")"), std::string::npos);
  EXPECT_EQ(text.find(R"(registry="r100.test")"), std::string::npos);
  EXPECT_EQ(metrics
                .counter("tidemark_registry_requests_total",
                         "Requests to registries and their token servers.")
                .with({{"registry", "other"}, {"operation", "head"}, {"outcome", "ok"}})
                .value(),
            400.0);
}

class EndpointsTest : public ::testing::Test {
 protected:
  Result<Endpoints> make(std::vector<RegistryOptions> registries) {
    ResolverOptions options;
    options.registries = std::move(registries);
    return Endpoints::make(options, [this](const net::ClientOptions& client) {
      made_.push_back(client);
      clients_.push_back(std::make_shared<testing::FakeHttpClient>());
      return Result<std::shared_ptr<net::HttpClient>>(clients_.back());
    });
  }
  static net::Url url(std::string_view text) { return net::Url::parse(text).value(); }

  std::vector<net::ClientOptions> made_;
  std::vector<std::shared_ptr<net::HttpClient>> clients_;
};

TEST_F(EndpointsTest, KnowsWhereARegistryAnswers) {
  const auto endpoints = make({{.host = "plain.test:5000", .plain_http = true},
                               {.host = "*.test", .max_concurrency = 3},
                               {.host = "a.test", .endpoint = "https://mirror.test/prefix/"}});
  ASSERT_TRUE(endpoints) << endpoints.error().message;
  const auto base = [&](std::string_view registry) {
    const Endpoint endpoint = endpoints->find(registry).value();
    return endpoint.base.host_header() + endpoint.base.target + (endpoint.base.tls ? "" : " plain");
  };
  EXPECT_EQ(base("docker.io"), "registry-1.docker.io");
  EXPECT_EQ(base("ghcr.io"), "ghcr.io");
  EXPECT_EQ(base("plain.test:5000"), "plain.test:5000 plain");
  EXPECT_EQ(base("a.test"), "mirror.test/prefix");
  EXPECT_EQ(base("[2001:db8::1]:5000"), "[2001:db8::1]:5000");
  EXPECT_EQ(endpoints->find("b.test")->max_concurrency, 3U);
  EXPECT_EQ(endpoints->find("a.test")->max_concurrency, 8U);
  EXPECT_TRUE(endpoints->find("plain.test:5000")->plain_http);
  EXPECT_FALSE(endpoints->find("b.test")->plain_http);
  EXPECT_EQ(endpoints->find("host:99999").error().kind, ErrorKind::kInvalid);
}

TEST_F(EndpointsTest, TrustsARegistrysRootsForThatHostAlone) {
  const auto endpoints =
      make({{.host = "own.test", .ca_pem = "PEM"},
            {.host = "lax.test:5000", .insecure_skip_verify = true},
            {.host = "shared.test"},
            {.host = "docker.io", .ca_pem = "HUB"},
            {.host = "far.test", .ca_pem = "FAR", .endpoint = "https://mirror.test"}});
  ASSERT_TRUE(endpoints);
  ASSERT_EQ(made_.size(), 5U);
  EXPECT_EQ(made_[0].trust.ca_pem, "");
  EXPECT_EQ(made_[1].trust.ca_pem, "PEM");
  EXPECT_TRUE(made_[1].trust.system_roots);
  EXPECT_FALSE(made_[1].trust.insecure_skip_verify);
  EXPECT_TRUE(made_[2].trust.insecure_skip_verify);
  const auto client = [&](std::string_view text) { return endpoints->client_for(url(text)).get(); };
  EXPECT_EQ(client("https://own.test/v2/"), clients_[1].get());
  EXPECT_EQ(client("https://own.test:444/"), clients_[0].get());
  EXPECT_EQ(client("https://lax.test:5000/"), clients_[2].get());
  EXPECT_EQ(client("https://lax.test/"), clients_[0].get());
  EXPECT_EQ(client("https://shared.test/"), clients_[0].get());
  EXPECT_EQ(client("https://auth.own.test/"), clients_[0].get());
  EXPECT_EQ(client("https://registry-1.docker.io/"), clients_[3].get());
  EXPECT_EQ(client("https://mirror.test/"), clients_[4].get());
  EXPECT_EQ(client("https://far.test/"), clients_[0].get());
}

TEST_F(EndpointsTest, RefusesOptionsThatCannotWork) {
  EXPECT_EQ(make({{.host = ""}}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(make({{.host = "a", .max_concurrency = 0}}).error().kind, ErrorKind::kInvalid);
  const auto bad = make({{.host = "a.test", .endpoint = "ftp://x"}});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message.find("a.test"), std::string::npos);
  EXPECT_FALSE(make({{.host = "a.test", .endpoint = "https://x/?q"}}));
}

}  // namespace
}  // namespace tidemark::registry
