// How the questions of a check share what may be under way at once.
#include "sweeper/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sweeper/cluster.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using std::chrono::seconds;

constexpr int kTags = 12;  // of each registry

// Registries whose answers can be held back; all questions have the same long time.
class CheckTest : public ::testing::Test {
 protected:
  using Wait = std::function<bool()>;

  // Answers of this registry come once `ready` says so, which is asked with the lock; nullptr: at
  // once.
  void add(const std::string& registry, const Wait& ready = nullptr) {
    for (int i = 0; i < kTags; ++i) {
      const std::string image = registry + "/app:" + std::to_string(i);
      workloads_.push_back(
          share(tracked({.name = "web-" + std::to_string(workloads_.size()),
                         .containers = {{.image = image, .stamp = stamp_text(image, 'a')}}})));
      cluster_.resolver.answer(
          image, [=, this](const registry::Query&, Deadline deadline, const std::stop_token&) {
            return answer(registry, ready, deadline);
          });
    }
  }
  CheckResult check(std::size_t concurrency) {
    PullCredentials credentials(nullptr, cluster_.clock);
    return sweeper::check(workloads_, cluster_.resolver, credentials, Answers{},
                          {.concurrency = concurrency, .one = seconds{30}, .order = 1});
  }

  Cluster cluster_;
  Workloads workloads_;
  std::map<std::string, int> under_way_;
  std::map<std::string, int> most_;  // at once, of answers that were held back
  std::map<std::string, int> answered_;
  std::vector<std::string> order_;

 private:
  Result<registry::Resolution> answer(const std::string& registry, const Wait& ready,
                                      Deadline deadline) {
    std::unique_lock lock(mutex_);
    order_.push_back(registry);
    ++under_way_[registry];
    if (ready && !ready()) most_[registry] = std::max(most_[registry], under_way_[registry]);
    changed_.notify_all();
    const bool good =
        changed_.wait_until(lock, deadline.point(), [&] { return !ready || ready(); });
    --under_way_[registry];
    ++answered_[registry];
    changed_.notify_all();
    if (!good) return fail(ErrorKind::kTimeout, "held back for too long");
    return registry::Resolution{.digest = fake_digest('a')};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

TEST_F(CheckTest, ARegistryThatHangsKeepsItsOwnPartOnly) {
  add("hangs.test", [this] { return answered_["well.test"] == kTags; });
  add("well.test", [this] { return most_["hangs.test"] >= 2; });
  const CheckResult result = check(4);
  EXPECT_EQ(result.asked, std::size_t{2 * kTags});
  EXPECT_EQ(result.failed, 0U) << "the one that is well waited for the one that hangs";
  EXPECT_EQ(most_["hangs.test"], 2);
}

TEST_F(CheckTest, MoreRegistriesThanMayBeUnderWay) {
  for (const char* host : {"a.test", "b.test", "c.test", "d.test", "e.test"}) {
    if (host == std::string("c.test")) {
      add(host, [this] {
        return answered_["a.test"] + answered_["b.test"] + answered_["d.test"] +
                   answered_["e.test"] ==
               4 * kTags;
      });
    } else {
      add(host);
    }
  }
  EXPECT_EQ(check(2).failed, 0U);
  EXPECT_EQ(most_["c.test"], 1);
}

TEST_F(CheckTest, OneRegistryAloneHasAllOfIt) {
  add("one.test", [this] { return most_["one.test"] == 4; });
  EXPECT_EQ(check(4).failed, 0U);
}

TEST_F(CheckTest, WhatAnotherNoLongerNeedsIsUsed) {
  add("long.test", [this] { return answered_["short.test"] == kTags && most_["long.test"] == 4; });
  add("short.test");
  EXPECT_EQ(check(4).failed, 0U);
}

TEST_F(CheckTest, RegistriesTakeTurns) {
  add("a.test");
  add("b.test");
  EXPECT_EQ(check(1).failed, 0U);
  ASSERT_EQ(order_.size(), std::size_t{2 * kTags});
  for (std::size_t i = 0; i < order_.size(); i += 2) EXPECT_NE(order_[i], order_[i + 1]);
}

}  // namespace
}  // namespace tidemark::sweeper
