#include "sweeper/due.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "support/fake_clock.h"

namespace tidemark::sweeper {
namespace {

using std::chrono::milliseconds;
using tidemark::testing::FakeClock;

std::vector<std::string> names(const std::map<std::string, SteadyTime>& taken) {
  std::vector<std::string> out;
  for (const auto& [name, time] : taken) out.push_back(name);
  return out;
}

TEST(Due, WhatIsUsedIsTakenAtOnceAndEqualNamesAreOne) {
  FakeClock clock;
  Due due(clock);
  due.know({"a", "b"});
  EXPECT_EQ(due.add("a"), Due::Added::kDue);
  EXPECT_EQ(due.add("a"), Due::Added::kDue);
  EXPECT_TRUE(due.wait(std::chrono::hours{1}, {}));
  EXPECT_EQ(names(due.take()), std::vector<std::string>{"a"});
  EXPECT_TRUE(due.take().empty());
}

TEST(Due, TheTimeIsThatOfTheFirst) {
  FakeClock clock;
  Due due(clock);
  due.know({"a"});
  const SteadyTime first = clock.steady_now();
  (void)due.add("a");
  clock.advance(milliseconds{500});
  (void)due.add("a");
  EXPECT_EQ(due.take().at("a"), first);
}

TEST(Due, HoweverOftenATagIsPushedItIsTakenOnlyAsOftenAsTheGapAllows) {
  FakeClock clock;
  Due due(clock, {.gap = milliseconds{200}});
  due.know({"a"});
  (void)due.add("a");
  EXPECT_EQ(due.take().size(), 1U);
  (void)due.add("a");
  EXPECT_TRUE(due.take().empty());
  clock.advance(milliseconds{200});
  EXPECT_EQ(due.take().size(), 1U);
}

TEST(Due, ANameThatNobodyUsesIsLookedUpOnceASecondAndForgotten) {
  FakeClock clock;
  Due due(clock);
  EXPECT_EQ(due.add("new"), Due::Added::kUnknown);
  EXPECT_EQ(names(due.take()), std::vector<std::string>{"new"});
  for (int i = 0; i < 1000; ++i) (void)due.add("other" + std::to_string(i));
  clock.advance(milliseconds{999});
  EXPECT_TRUE(due.take().empty());
  clock.advance(milliseconds{1});
  EXPECT_EQ(due.take().size(), 1000U);
  clock.advance(std::chrono::hours{1});
  EXPECT_TRUE(due.take().empty());
}

TEST(Due, ANameThatTurnsOutToBeUsedIsDue) {
  FakeClock clock;
  Due due(clock);
  (void)due.take();
  (void)due.add("first");
  (void)due.take();
  EXPECT_EQ(due.add("new"), Due::Added::kUnknown);
  due.know({"new"});
  clock.advance(milliseconds{200});
  EXPECT_EQ(names(due.take()), std::vector<std::string>{"new"});
}

TEST(Due, IsBounded) {
  FakeClock clock;
  Due due(clock, {.max_names = 2});
  due.know({"a"});
  EXPECT_EQ(due.add("x"), Due::Added::kUnknown);
  EXPECT_EQ(due.add("y"), Due::Added::kUnknown);
  EXPECT_EQ(due.add("z"), Due::Added::kFull);
  EXPECT_EQ(due.add("a"), Due::Added::kDue) << "unknown names leave room for those that are used";
}

TEST(Due, WaitEndsAtTheTimeTheStopOrTheFirstName) {
  const SystemClock clock;
  Due due(clock);
  due.know({"a"});
  EXPECT_TRUE(due.wait(milliseconds{1}, {}));
  EXPECT_TRUE(due.take().empty());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(due.wait(std::chrono::hours{1}, stop.get_token()));
  std::jthread other([&due] { (void)due.add("a"); });
  EXPECT_TRUE(due.wait(std::chrono::hours{1}, {}));
  EXPECT_EQ(due.take().size(), 1U);
}

}  // namespace
}  // namespace tidemark::sweeper
