#include "cloud/expiring_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_clock.h"

namespace tidemark::cloud {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class ExpiringCacheTest : public ::testing::Test {
 protected:
  Result<std::string> get(const std::string& key = "k") {
    return cache_.get(key, Deadline::after(seconds{10}), {},
                      [&]() -> Result<Expiring<std::string>> {
                        ++asked_;
                        if (error_) return fail(*error_);
                        return Expiring<std::string>{.value = "v" + std::to_string(asked_),
                                                     .lifetime = lifetime_};
                      });
  }
  static Error down() {
    return {.kind = ErrorKind::kUnavailable, .message = "step answered 503", .http_status = 503};
  }

  testing::FakeClock clock_;
  std::vector<std::string> lines_;
  ExpiringCache<std::string> cache_{
      "token", clock_, Logger::to_sink(LogLevel::kDebug, [this](std::string_view line) {
        lines_.emplace_back(line);
      })};
  std::optional<Error> error_;
  seconds lifetime_ = hours{12};
  int asked_ = 0;
};

TEST_F(ExpiringCacheTest, AsksOnceAndAgainAtFourFifthsOfItsLife) {
  EXPECT_EQ(cache_.known("k"), std::nullopt);
  EXPECT_EQ(get(), "v1");
  clock_.advance(hours{9});
  EXPECT_EQ(get(), "v1");
  EXPECT_EQ(cache_.known("k"), "v1");
  clock_.advance(minutes{36});
  EXPECT_EQ(cache_.known("k"), "v1");
  EXPECT_EQ(get(), "v2");
  EXPECT_EQ(get(), "v2");
  EXPECT_EQ(get("other"), "v3");
  EXPECT_EQ(asked_, 3);
}

TEST_F(ExpiringCacheTest, AFailedRenewalKeepsTheOldValueToItsEnd) {
  EXPECT_EQ(get(), "v1");
  clock_.advance(hours{10});
  error_ = down();
  EXPECT_EQ(get(), "v1");
  EXPECT_EQ(get(), "v1");
  EXPECT_EQ(asked_, 2) << "not at once again";
  EXPECT_EQ(lines_.size(), 1U);
  clock_.advance(seconds{60});
  EXPECT_EQ(get(), "v1");
  EXPECT_EQ(asked_, 3);
  clock_.advance(minutes{117});
  EXPECT_EQ(get(), "v1");
  EXPECT_EQ(cache_.known("k"), "v1");
  clock_.advance(minutes{1});
  EXPECT_EQ(cache_.known("k"), std::nullopt) << "a minute before its end";
  const auto ended = get();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::kUnavailable);
  error_.reset();
  clock_.advance(seconds{15});
  EXPECT_TRUE(get());
}

TEST_F(ExpiringCacheTest, AFailureIsRememberedForAWhile) {
  error_ = down();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(get());
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(lines_.size(), 1U);
  EXPECT_NE(lines_[0].find("step answered 503"), std::string::npos) << lines_[0];
  clock_.advance(seconds{15});
  EXPECT_FALSE(get());
  EXPECT_EQ(asked_, 2);
}

TEST_F(ExpiringCacheTest, ATimeoutOfOnesOwnSaysNothing) {
  const auto late = [&] {
    return cache_.get("k", Deadline::after(seconds{0}), {}, [&]() -> Result<Expiring<std::string>> {
      ++asked_;
      return fail(ErrorKind::kTimeout, "no time");
    });
  };
  EXPECT_FALSE(late());
  EXPECT_EQ(get(), "v2");
  EXPECT_TRUE(lines_.empty());
  std::stop_source stop;
  stop.request_stop();
  const auto stopped = cache_.get(
      "s", Deadline::after(seconds{10}), stop.get_token(),
      [&]() -> Result<Expiring<std::string>> { return fail(ErrorKind::kCanceled, "c"); });
  EXPECT_EQ(stopped.error().kind, ErrorKind::kCanceled);
  EXPECT_TRUE(get("s"));
}

TEST_F(ExpiringCacheTest, AStampedeIsOneRequest) {
  constexpr int kCallers = 16;
  std::atomic<int> asked{0};
  std::atomic<int> good{0};
  std::latch all(kCallers);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kCallers; ++i) {
      threads.emplace_back([&] {
        all.arrive_and_wait();
        const auto value = cache_.get("k", Deadline::after(seconds{10}), {},
                                      [&]() -> Result<Expiring<std::string>> {
                                        ++asked;
                                        return Expiring<std::string>{"v", hours{1}};
                                      });
        if (value) ++good;
      });
    }
  }
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(good, kCallers);
}

TEST_F(ExpiringCacheTest, OneRenewsWhileAllOthersGoOnWithTheOldValue) {
  EXPECT_EQ(get(), "v1");
  clock_.advance(hours{10});
  std::latch begun(1);
  std::latch others_done(1);
  std::jthread renewer([&] {
    const auto value =
        cache_.get("k", Deadline::after(seconds{10}), {}, [&]() -> Result<Expiring<std::string>> {
          begun.count_down();
          others_done.wait();
          return Expiring<std::string>{"new", hours{12}};
        });
    EXPECT_EQ(value, "new");
  });
  begun.wait();
  EXPECT_EQ(get(), "v1");
  others_done.count_down();
  renewer.join();
  EXPECT_EQ(get(), "new");
  EXPECT_EQ(asked_, 1);
}

}  // namespace
}  // namespace tidemark::cloud
