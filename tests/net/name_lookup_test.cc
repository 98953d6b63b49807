#include "net/name_lookup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <semaphore>
#include <thread>

#include "support/fake_clock.h"

namespace tidemark::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Deadline soon() { return Deadline::after(seconds{10}); }

Addresses one(const std::string& text) { return {*SocketAddress::parse(text)}; }

// A resolver that answers when told to; what it shares outlives the lookup, as its threads may.
struct SlowResolver {
  std::counting_semaphore<64> started{0};
  std::counting_semaphore<64> may_answer{0};
  std::atomic<int> calls{0};

  static auto function(const std::shared_ptr<SlowResolver>& self) {
    return [self](const std::string&) -> Result<Addresses> {
      ++self->calls;
      self->started.release();
      self->may_answer.acquire();
      return one("192.0.2.7");
    };
  }
};

TEST(NameLookupTest, LiteralsAreTheirOwnAnswer) {
  NameLookup lookup({.resolve = [](const std::string& host) -> Result<Addresses> {
    return fail(ErrorKind::kInternal, "asked for " + host);
  }});
  EXPECT_EQ(lookup.lookup("192.0.2.1", soon())->at(0).str(), "192.0.2.1");
  EXPECT_EQ(lookup.lookup("2001:db8::1", soon())->at(0).str(), "2001:db8::1");
  EXPECT_EQ(lookup.lookup("::ffff:192.0.2.1", soon())->at(0).str(), "192.0.2.1");
  EXPECT_EQ(lookup.lookup("127.1", soon())->at(0).str(), "127.0.0.1");
}

TEST(NameLookupTest, TheRealResolverKnowsLocalhost) {
  NameLookup lookup;
  const auto addresses = lookup.lookup("localhost", soon());
  ASSERT_TRUE(addresses.has_value()) << addresses.error().message;
  for (const SocketAddress& address : *addresses) EXPECT_TRUE(address.is_loopback());
}

TEST(NameLookupTest, AnAnswerIsKeptForItsTimeToLive) {
  auto clock = std::make_shared<testing::FakeClock>();
  auto calls = std::make_shared<std::atomic<int>>(0);
  NameLookup lookup({.ttl = seconds{30},
                     .resolve = [calls](const std::string&) -> Result<Addresses> {
                       return one("192.0.2." + std::to_string(++*calls));
                     },
                     .clock = clock});
  EXPECT_EQ(lookup.lookup("a.example", soon())->at(0).str(), "192.0.2.1");
  clock->advance(seconds{29});
  EXPECT_EQ(lookup.lookup("a.example", soon())->at(0).str(), "192.0.2.1");
  clock->advance(seconds{1});
  EXPECT_EQ(lookup.lookup("a.example", soon())->at(0).str(), "192.0.2.2");
}

TEST(NameLookupTest, FailuresAreNotKept) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  NameLookup lookup({.resolve = [calls](const std::string&) -> Result<Addresses> {
    if (++*calls == 1) return fail(ErrorKind::kUnavailable, "no such name");
    return one("192.0.2.1");
  }});
  const auto first = lookup.lookup("a.example", soon());
  ASSERT_FALSE(first.has_value());
  EXPECT_EQ(first.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(lookup.lookup("a.example", soon()).has_value());
}

TEST(NameLookupTest, TheCacheIsBounded) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  NameLookup lookup({.max_cached = 4, .resolve = [calls](const std::string&) -> Result<Addresses> {
                       ++*calls;
                       return one("192.0.2.1");
                     }});
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(lookup.lookup(std::to_string(i) + ".example", soon()).has_value());
  }
  const int before = *calls;
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(lookup.lookup(std::to_string(i) + ".example", soon()).has_value());
  }
  EXPECT_GE(*calls - before, 16);
}

TEST(NameLookupTest, AHangingResolverCostsNoMoreThanTheDeadline) {
  auto resolver = std::make_shared<SlowResolver>();
  {
    NameLookup lookup({.resolve = SlowResolver::function(resolver)});
    const auto answer = lookup.lookup("a.example", Deadline::after(milliseconds{50}));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().kind, ErrorKind::kTimeout);
    EXPECT_NE(answer.error().message.find("a.example"), std::string::npos);
  }  // and the destructor does not wait for it either
  resolver->may_answer.release();
}

TEST(NameLookupTest, AStopEndsTheWaitAtOnce) {
  auto resolver = std::make_shared<SlowResolver>();
  NameLookup lookup({.resolve = SlowResolver::function(resolver)});
  std::stop_source stop;
  const std::jthread stopper([&] {
    resolver->started.acquire();
    stop.request_stop();
  });
  const auto answer = lookup.lookup("a.example", soon(), stop.get_token());
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::kCanceled);
  resolver->may_answer.release();
}

TEST(NameLookupTest, CallersOfOneNameShareOneCall) {
  auto resolver = std::make_shared<SlowResolver>();
  NameLookup lookup({.resolve = SlowResolver::function(resolver)});
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 8; ++i) {
      callers.emplace_back([&] {
        if (lookup.lookup("a.example", soon())) ++answered;
      });
    }
    resolver->started.acquire();
    resolver->may_answer.release();
  }
  EXPECT_EQ(answered, 8);
  EXPECT_EQ(resolver->calls, 1);
}

TEST(NameLookupTest, AHangingNameDoesNotDelayAnother) {
  auto resolver = std::make_shared<SlowResolver>();
  const auto slow = SlowResolver::function(resolver);
  NameLookup lookup({.resolve = [slow](const std::string& host) -> Result<Addresses> {
    return host == "slow.example" ? slow(host) : Result<Addresses>(one("192.0.2.2"));
  }});
  const std::jthread waiting(
      [&] { EXPECT_TRUE(lookup.lookup("slow.example", soon()).has_value()); });
  resolver->started.acquire();
  EXPECT_TRUE(lookup.lookup("fast.example", soon()).has_value());
  resolver->may_answer.release();
}

TEST(NameLookupTest, TheQueueIsBounded) {
  auto resolver = std::make_shared<SlowResolver>();
  NameLookup lookup(
      {.max_threads = 1, .max_waiting = 2, .resolve = SlowResolver::function(resolver)});
  const auto give_up = [] { return Deadline::after(milliseconds{1}); };
  EXPECT_EQ(lookup.lookup("a.example", give_up()).error().kind, ErrorKind::kTimeout);
  resolver->started.acquire();  // its thread is busy from here on
  EXPECT_EQ(lookup.lookup("b.example", give_up()).error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(lookup.lookup("c.example", give_up()).error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(lookup.lookup("d.example", give_up()).error().kind, ErrorKind::kUnavailable);
  // Names of callers that gave up are still looked up, for those who come back.
  resolver->may_answer.release(3);
  EXPECT_TRUE(lookup.lookup("c.example", soon()).has_value());
}

TEST(NameLookupTest, ManyThreadsAskForManyNames) {
  NameLookup lookup({.max_threads = 4, .resolve = [](const std::string&) -> Result<Addresses> {
                       return one("192.0.2.1");
                     }});
  std::atomic<int> answered{0};
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 32; ++i) {
      callers.emplace_back([&, i] {
        for (int name = 0; name < 50; ++name) {
          if (lookup.lookup(std::to_string((name + i) % 60) + ".example", soon())) ++answered;
        }
      });
    }
  }
  EXPECT_EQ(answered, 32 * 50);
}

}  // namespace
}  // namespace tidemark::net
