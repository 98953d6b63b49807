#include "registry/caching_resolver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_clock.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fake_digest;
using testing::FakeClock;
using testing::FakeResolver;
using Freshness = Resolution::Freshness;

constexpr std::string_view kName = "r.test/app:1";
const Credential kAlice{.username = "alice", .password = "a", .source = "alice"};
const Credential kBob{.username = "bob", .password = "b", .source = "bob"};

class CachingResolverTest : public ::testing::Test {
 protected:
  CachingResolverTest() { inner_.serve(kName, fake_digest('a')); }

  static Query query(milliseconds max_age = seconds{30}, std::vector<Credential> credentials = {},
                     std::string_view name = kName) {
    return {.reference = image::Reference::parse(name).value(),
            .credentials = std::move(credentials),
            .max_age = max_age};
  }
  Result<Resolution> resolve(milliseconds max_age = seconds{30},
                             std::vector<Credential> credentials = {}) {
    return caching_.resolve(query(max_age, std::move(credentials)), Deadline::after(seconds{60}));
  }
  std::size_t asked() const { return inner_.calls().size(); }
  void until_waiting(std::size_t count) const {
    while (caching_.waiting() != count) std::this_thread::yield();
  }

  FakeClock clock_;
  Metrics metrics_;
  RegistryMetrics registry_metrics_{metrics_};
  FakeResolver inner_;
  CachingResolver caching_{{.cache_ttl = seconds{30},
                            .negative_ttl = seconds{5},
                            .stale_if_error = seconds{600},
                            .entries = 3},
                           inner_,
                           clock_,
                           registry_metrics_};
};

TEST_F(CachingResolverTest, AsksOnceWhileTheAnswerIsYoungEnough) {
  EXPECT_EQ(resolve()->freshness, Freshness::kFresh);
  clock_.advance(milliseconds{29'999});
  EXPECT_EQ(resolve()->freshness, Freshness::kCached);
  EXPECT_EQ(asked(), 1U);
  inner_.serve(kName, fake_digest('b'));
  clock_.advance(milliseconds{1});
  EXPECT_EQ(resolve()->digest, fake_digest('b'));
  EXPECT_EQ(asked(), 2U);
}

// At the second look at it, which is between a caller's look into the cache and its turn to ask,
// another caller has come and has got its answer.
class OvertakingClock final : public Clock {
 public:
  SteadyTime steady_now() const override {
    if (++looks_ == 2) overtake();
    return clock_.steady_now();
  }
  WallTime wall_now() const override { return clock_.wall_now(); }

  std::function<void()> overtake;

 private:
  FakeClock clock_;
  mutable int looks_ = 0;
};

TEST_F(CachingResolverTest, AsksOnceWhereAnotherWasAnsweredBetweenLookAndTurn) {
  OvertakingClock clock;
  CachingResolver caching({.entries = 3}, inner_, clock, registry_metrics_);
  const auto ask = [&] { return caching.resolve(query(), Deadline::after(seconds{60})); };
  clock.overtake = [&] { EXPECT_EQ(ask()->freshness, Freshness::kFresh); };
  EXPECT_EQ(ask()->freshness, Freshness::kCached);
  EXPECT_EQ(asked(), 1U);
}

TEST_F(CachingResolverTest, ObeysTheQuerysOwnMaxAge) {
  ASSERT_TRUE(resolve());
  clock_.advance(seconds{10});
  EXPECT_EQ(resolve(seconds{11})->freshness, Freshness::kCached);
  EXPECT_EQ(resolve(seconds{10})->freshness, Freshness::kFresh);
  EXPECT_EQ(resolve(seconds{0})->freshness, Freshness::kFresh);
  EXPECT_EQ(asked(), 3U);
  clock_.advance(seconds{40});
  EXPECT_EQ(resolve(seconds{3600})->freshness, Freshness::kFresh) << "the TTL is the upper bound";
}

TEST_F(CachingResolverTest, WhatADigestNamesIsKeptForADayAndATagsAnswerIsNot) {
  const std::string by_digest = "registry.test/app@" + fake_digest('a').str();
  inner_.serve(by_digest, fake_digest('a'));
  const auto ask = [&](std::string_view name, milliseconds max_age) {
    return caching_.resolve(query(max_age, {}, name), Deadline::after(seconds{60}))->freshness;
  };
  const milliseconds day = std::chrono::hours{24};
  EXPECT_EQ(ask(by_digest, day), Freshness::kFresh);
  EXPECT_EQ(ask(kName, day), Freshness::kFresh);
  clock_.advance(std::chrono::hours{23});
  EXPECT_EQ(ask(by_digest, day), Freshness::kCached);
  EXPECT_EQ(ask(kName, day), Freshness::kFresh);
  EXPECT_EQ(ask(by_digest, seconds{30}), Freshness::kFresh) << "the query's own bound";
  clock_.advance(day);
  EXPECT_EQ(ask(by_digest, day), Freshness::kFresh);
}

TEST_F(CachingResolverTest, ACachedAnswerNeedsNoTime) {
  ASSERT_TRUE(resolve());
  EXPECT_TRUE(caching_.resolve(query(), Deadline::after(milliseconds{0})));
}

TEST_F(CachingResolverTest, KeepsCredentialsApart) {
  inner_.answer(kName, [](const Query& q, Deadline, const std::stop_token&) -> Result<Resolution> {
    if (q.credentials.empty()) return fail(ErrorKind::kUnauthorized, "no");
    return Resolution{.digest = fake_digest(q.credentials.front().username == "alice" ? 'a' : 'b'),
                      .credential_source = q.credentials.front().source};
  });
  EXPECT_EQ(resolve(seconds{30}, {kAlice})->digest, fake_digest('a'));
  EXPECT_FALSE(resolve(seconds{30}));
  EXPECT_EQ(resolve(seconds{30}, {kBob})->digest, fake_digest('b'));
  EXPECT_EQ(resolve(seconds{30}, {kAlice})->digest, fake_digest('a'));
  EXPECT_EQ(asked(), 3U);
  // The same secret under another name is the same credential.
  Credential renamed = kAlice;
  renamed.source = "elsewhere";
  EXPECT_TRUE(resolve(seconds{30}, {renamed}));
  EXPECT_EQ(asked(), 3U);
}

TEST_F(CachingResolverTest, NamesOfTheSameImageShareAnAnswer) {
  inner_.serve("nginx", fake_digest('c'));
  for (const std::string_view name : {"nginx", "docker.io/library/nginx:latest"}) {
    EXPECT_TRUE(caching_.resolve(query(seconds{30}, {}, name), Deadline::after(seconds{1})));
  }
  EXPECT_EQ(asked(), 1U);
}

TEST_F(CachingResolverTest, KeepsRefusalsBriefly) {
  for (const ErrorKind kind :
       {ErrorKind::kNotFound, ErrorKind::kUnauthorized, ErrorKind::kForbidden, ErrorKind::kInvalid,
        ErrorKind::kTls, ErrorKind::kTooLarge}) {
    inner_.refuse(kName, kind, "no");
    clock_.advance(seconds{60});
    inner_.clear_calls();
    EXPECT_EQ(resolve().error().kind, kind);
    clock_.advance(milliseconds{4'999});
    EXPECT_EQ(resolve().error().kind, kind);
    EXPECT_EQ(asked(), 1U);
    clock_.advance(milliseconds{1});
    EXPECT_EQ(resolve().error().kind, kind);
    EXPECT_EQ(asked(), 2U);
    EXPECT_FALSE(resolve(milliseconds{0}));
    EXPECT_EQ(asked(), 3U);
  }
}

TEST_F(CachingResolverTest, DoesNotKeepFailuresThatMayPass) {
  for (const ErrorKind kind :
       {ErrorKind::kTimeout, ErrorKind::kUnavailable, ErrorKind::kTooMany, ErrorKind::kCanceled}) {
    inner_.refuse(kName, kind, "later");
    inner_.clear_calls();
    EXPECT_EQ(resolve().error().kind, kind);
    EXPECT_EQ(resolve().error().kind, kind);
    EXPECT_EQ(asked(), 2U) << to_string(kind);
  }
}

TEST_F(CachingResolverTest, AnOldAnswerStandsInForAFailureThatMayPass) {
  ASSERT_TRUE(resolve());
  inner_.refuse(kName, ErrorKind::kUnavailable, "down");
  clock_.advance(seconds{599});
  const auto old = resolve();
  ASSERT_TRUE(old);
  EXPECT_EQ(old->digest, fake_digest('a'));
  EXPECT_EQ(old->freshness, Freshness::kStale);
  EXPECT_EQ(asked(), 2U);
  EXPECT_EQ(resolve(seconds{0}).error().kind, ErrorKind::kUnavailable)
      << "who wants the registry's own word gets no other";
  clock_.advance(seconds{1});
  EXPECT_EQ(resolve().error().kind, ErrorKind::kUnavailable);
}

TEST_F(CachingResolverTest, AnOldAnswerStandsInOnlyWhereItMay) {
  ASSERT_TRUE(resolve());
  clock_.advance(seconds{30});
  inner_.refuse(kName, ErrorKind::kUnavailable, "down");
  Query strict = query();
  strict.stale_ok = false;
  const auto answer = caching_.resolve(strict, Deadline::after(seconds{60}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(resolve()->freshness, Freshness::kStale);
}

TEST_F(CachingResolverTest, WhatTheRegistryTakesAwayDoesNotComeBack) {
  ASSERT_TRUE(resolve());
  clock_.advance(seconds{30});
  inner_.refuse(kName, ErrorKind::kForbidden, "withdrawn");
  EXPECT_EQ(resolve().error().kind, ErrorKind::kForbidden);
  clock_.advance(seconds{5});
  inner_.refuse(kName, ErrorKind::kUnavailable, "down");
  EXPECT_EQ(resolve().error().kind, ErrorKind::kUnavailable);
}

TEST_F(CachingResolverTest, HoldsABoundedNumberOfAnswers) {
  for (const std::string_view name : {"a", "b", "c", "a", "d"}) {
    inner_.serve(name, fake_digest('a'));
    ASSERT_TRUE(caching_.resolve(query(seconds{30}, {}, name), Deadline::after(seconds{1})));
  }
  EXPECT_EQ(asked(), 4U);
  ASSERT_TRUE(caching_.resolve(query(seconds{30}, {}, "a"), Deadline::after(seconds{1})));
  EXPECT_EQ(asked(), 4U) << "used lately, so kept";
  ASSERT_TRUE(caching_.resolve(query(seconds{30}, {}, "b"), Deadline::after(seconds{1})));
  EXPECT_EQ(asked(), 5U) << "used longest ago, so gone";
}

TEST_F(CachingResolverTest, ManyWhoAskAtOnceAskOnce) {
  std::latch release(1);
  inner_.answer(kName, [&](const Query&, Deadline, const std::stop_token&) -> Result<Resolution> {
    release.wait();
    return Resolution{.digest = fake_digest('a')};
  });
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        // Zero asks the registry, but still once for all.
        if (resolve(milliseconds{0})) ++good;
      });
    }
    until_waiting(15);
    release.count_down();
  }
  EXPECT_EQ(good, 16);
  EXPECT_EQ(asked(), 1U);
}

TEST_F(CachingResolverTest, DifferentCredentialsNeverShareAQuestion) {
  std::latch both(2);
  inner_.answer(kName, [&](const Query& q, Deadline, const std::stop_token&) -> Result<Resolution> {
    both.arrive_and_wait();  // ends only where both are asking
    return Resolution{.digest = fake_digest(q.credentials.front().username == "alice" ? 'a' : 'b')};
  });
  Result<Resolution> bobs = fail(ErrorKind::kInternal, "");
  std::jthread bob([&] { bobs = resolve(seconds{30}, {kBob}); });
  EXPECT_EQ(resolve(seconds{30}, {kAlice})->digest, fake_digest('a'));
  bob.join();
  EXPECT_EQ(bobs->digest, fake_digest('b'));
}

TEST_F(CachingResolverTest, AWaitingCallerLeavesOnItsOwnDeadlineWithAnOldAnswerIfThereIsOne) {
  ASSERT_TRUE(resolve());
  clock_.advance(seconds{60});
  std::latch asking(1);
  std::latch release(1);
  inner_.answer(kName, [&](const Query&, Deadline, const std::stop_token&) -> Result<Resolution> {
    asking.count_down();
    release.wait();
    return Resolution{.digest = fake_digest('b')};
  });
  Result<Resolution> led = fail(ErrorKind::kInternal, "");
  std::jthread leader([&] { led = resolve(); });
  asking.wait();
  const auto impatient = caching_.resolve(query(), Deadline::after(milliseconds{5}));
  const auto strict = caching_.resolve(query(milliseconds{0}), Deadline::after(milliseconds{5}));
  release.count_down();
  leader.join();
  ASSERT_TRUE(impatient);
  EXPECT_EQ(impatient->freshness, Freshness::kStale);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().kind, ErrorKind::kTimeout);
  ASSERT_TRUE(led);
  EXPECT_EQ(led->digest, fake_digest('b'));
}

TEST_F(CachingResolverTest, AnImpatientLeaderSpoilsNothingForThoseWhoWait) {
  std::latch asking(1);
  std::latch release(1);
  std::atomic<int> round{0};
  inner_.answer(kName,
                [&](const Query&, Deadline deadline, const std::stop_token&) -> Result<Resolution> {
                  if (round++ > 0) return Resolution{.digest = fake_digest('a')};
                  asking.count_down();
                  release.wait();
                  while (!deadline.expired()) std::this_thread::yield();
                  return fail(ErrorKind::kTimeout, "out of time");
                });
  Result<Resolution> led = fail(ErrorKind::kInternal, "");
  // Zero: it does not take the follower's answer as an old one that stands in.
  std::jthread leader(
      [&] { led = caching_.resolve(query(milliseconds{0}), Deadline::after(milliseconds{50})); });
  asking.wait();
  Result<Resolution> followed = fail(ErrorKind::kInternal, "");
  std::jthread follower([&] { followed = resolve(); });
  until_waiting(1);
  release.count_down();
  leader.join();
  follower.join();
  ASSERT_FALSE(led);
  EXPECT_EQ(led.error().kind, ErrorKind::kTimeout);
  ASSERT_TRUE(followed) << followed.error().message;
  EXPECT_EQ(asked(), 2U);
}

TEST_F(CachingResolverTest, CountsEveryOutcome) {
  ASSERT_TRUE(resolve());  // miss
  ASSERT_TRUE(resolve());  // hit
  clock_.advance(seconds{30});
  inner_.refuse(kName, ErrorKind::kUnavailable, "down");
  ASSERT_TRUE(resolve());                  // stale
  ASSERT_FALSE(resolve(milliseconds{0}));  // error
  inner_.refuse(kName, ErrorKind::kNotFound, "gone");
  ASSERT_FALSE(resolve());  // error
  ASSERT_FALSE(resolve());  // negative
  const std::string text = metrics_.expose();
  for (const auto& [outcome, count] : std::vector<std::pair<std::string, std::string>>{
           {"miss", "1"}, {"hit", "1"}, {"stale", "1"}, {"error", "2"}, {"negative", "1"}}) {
    EXPECT_NE(text.find("tidemark_resolve_seconds_count{cache=\"" + outcome +
                        "\",registry=\"r.test\"} " + count),
              std::string::npos)
        << outcome << "\n"
        << text;
  }
}

TEST_F(CachingResolverTest, AnAnswerWithoutPlatformsIsNoneWithThem) {
  (void)resolve();
  Query with = query();
  with.with_platforms = true;
  EXPECT_TRUE(caching_.resolve(with, Deadline::after(seconds{60})));
  EXPECT_EQ(asked(), 2U);
}

}  // namespace
}  // namespace tidemark::registry
