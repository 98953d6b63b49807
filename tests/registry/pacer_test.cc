// Pacer and Quotas: how far apart requests are.
#include "registry/pacer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "registry/quota.h"
#include "support/fake_clock.h"

namespace tidemark::registry {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kWindow = hours{6};

class PacerTest : public ::testing::Test {
 protected:
  Status wait(const std::string& key, milliseconds spacing, milliseconds budget = seconds{1}) {
    return pacer_.wait(key, spacing, Deadline::after(budget), {});
  }
  testing::FakeClock clock_;
  Pacer pacer_{clock_};
};

TEST_F(PacerTest, TheNextTurnComesAfterTheSpacing) {
  EXPECT_TRUE(wait("r", seconds{10}));
  const auto early = wait("r", seconds{10});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(early.error().retry_after, seconds{10});
  clock_.advance(seconds{4});
  EXPECT_EQ(wait("r", seconds{10}).error().retry_after, seconds{6});
  EXPECT_TRUE(wait("other", seconds{10}));
  clock_.advance(seconds{6});
  EXPECT_TRUE(wait("r", seconds{10})) << "who was refused took no turn";
}

TEST_F(PacerTest, NothingIsSavedUpForABurst) {
  EXPECT_TRUE(wait("r", seconds{10}));
  clock_.advance(hours{1});
  EXPECT_TRUE(wait("r", seconds{10}));
  EXPECT_FALSE(wait("r", seconds{10}));
}

TEST_F(PacerTest, ATurnWithinTheDeadlineIsWaitedFor) {
  EXPECT_TRUE(wait("r", milliseconds{2}));
  EXPECT_TRUE(wait("r", milliseconds{2})) << "two milliseconds later";
  EXPECT_FALSE(wait("r", milliseconds{2}, milliseconds{1})) << "two turns are taken";
}

TEST_F(PacerTest, LeavesWhenStopped) {
  EXPECT_TRUE(wait("r", hours{1}));
  std::stop_source stop;
  stop.request_stop();
  const auto left = pacer_.wait("r", hours{1}, Deadline::after(hours{2}), stop.get_token());
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().kind, ErrorKind::kCanceled);
}

class QuotasTest : public ::testing::Test {
 protected:
  void head(const std::string& left) { quotas_.learn("k", true, told(left)); }
  void get(const std::string& left) { quotas_.learn("k", false, told(left)); }
  // As Docker Hub writes it, and Go's canonical spelling of it.
  static net::Headers told(const std::string& left) {
    return {{"ratelimit-limit", "100;w=21600"},
            {"ratelimit-remaining", left + ";w=21600"},
            {"docker-ratelimit-source", "192.0.2.1"}};
  }
  milliseconds of_head() { return quotas_.spacing("k", true); }
  milliseconds of_get() { return quotas_.spacing("k", false); }

  testing::FakeClock clock_;
  Quotas quotas_{clock_};
};

TEST_F(QuotasTest, WhatIsLeftIsSpreadOverTheWindowOnceHalfIsUsed) {
  EXPECT_EQ(of_get(), milliseconds{0}) << "nothing is known";
  get("76");
  EXPECT_EQ(of_get(), milliseconds{0}) << "more than half is there";
  get("50");
  EXPECT_EQ(of_get(), kWindow / 49);
  get("2");
  EXPECT_EQ(of_get(), hours{6});
  get("1");
  EXPECT_EQ(of_get(), hours{6}) << "the last one is not taken";
  get("0");
  EXPECT_EQ(of_get(), hours{6});
  clock_.advance(hours{3});
  EXPECT_EQ(of_get(), hours{3});
  clock_.advance(hours{3});
  EXPECT_EQ(of_get(), milliseconds{0}) << "the window is over";
}

TEST_F(QuotasTest, AQuotaIsNeverUsedUpByWhoObeysIt) {
  // A registry that counts every request, asked as often as it may be.
  int left = 100;
  SteadyTime last = clock_.steady_now();
  const SteadyTime end = last + hours{6};
  while (clock_.steady_now() < end) {
    for (const bool is_head : {true, false}) {
      const SteadyTime turn = last + quotas_.spacing("k", is_head);
      if (turn > clock_.steady_now()) continue;
      last = clock_.steady_now();
      --left;
      quotas_.learn("k", is_head, told(std::to_string(left)));
      ASSERT_GT(left, 0);
    }
    clock_.advance(seconds{1});
  }
}

TEST_F(QuotasTest, HeadsThatCostNothingAreNotHeldBack) {
  head("20");
  EXPECT_EQ(of_head(), milliseconds{0}) << "one more shows whether they count";
  EXPECT_GT(of_head(), seconds{0}) << "and no third";
  head("20");
  EXPECT_EQ(of_head(), milliseconds{0});
  EXPECT_EQ(of_head(), milliseconds{0});
  EXPECT_EQ(of_get(), kWindow / 19) << "a GET counts";
  head("3");  // nodes pull meanwhile
  EXPECT_EQ(of_head(), milliseconds{0});
}

TEST_F(QuotasTest, HeadsThatCountAreSpacedInPairs) {
  head("20");
  EXPECT_EQ(of_head(), milliseconds{0});
  head("19");
  EXPECT_EQ(of_head(), kWindow * 2 / 18);
  head("18");
  EXPECT_EQ(of_head(), milliseconds{0}) << "tried once more";
  EXPECT_EQ(of_head(), kWindow * 2 / 17);
}

TEST_F(QuotasTest, ResetsAreTakenAtTheirWordAndNonsenseIsNot) {
  quotas_.learn(
      "k", false,
      {{"RateLimit-Limit", "10"}, {"RateLimit-Remaining", "3"}, {"RateLimit-Reset", "60"}});
  EXPECT_EQ(of_get(), seconds{30});
  quotas_.learn("k", false, {{"RateLimit-Remaining", "many"}, {"RateLimit-Reset", "1"}});
  EXPECT_EQ(of_get(), seconds{30}) << "what is no number changes nothing";
  quotas_.learn("k", false,
                {{"RateLimit-Remaining", "2"}, {"RateLimit-Reset", "99999999999999999999999"}});
  EXPECT_EQ(of_get(), hours{24}) << "no quota is waited for longer than a day";
  quotas_.learn("other", false, {});
  EXPECT_EQ(quotas_.spacing("other", false), milliseconds{0});
}

TEST_F(QuotasTest, WhatIsKnownIsToldUntilItIsOver) {
  get("76");
  clock_.advance(hours{1});
  ASSERT_EQ(quotas_.known().size(), 1U);
  const Quotas::Left known = quotas_.known().front();
  EXPECT_EQ(known.key, "k");
  EXPECT_EQ(known.limit, 100U);
  EXPECT_EQ(known.left, 76U);
  EXPECT_EQ(known.to_come, hours{5});
  clock_.advance(hours{5});
  EXPECT_TRUE(quotas_.known().empty());
}

}  // namespace
}  // namespace tidemark::registry
