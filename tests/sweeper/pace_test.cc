#include "sweeper/pace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/fake_clock.h"
#include "support/fake_resolver.h"

namespace tidemark::sweeper {
namespace {

using tidemark::testing::fake_digest;
using workload::RolloutState;

const WallTime kNow = tidemark::testing::FakeClock().wall_now();

workload::Stamp stamp(const std::string& image, char digest) {
  return workload::Stamp::make(image::Reference::parse(image).value(), fake_digest(digest));
}

// A workload of one slot: rolled to `digest` already, or to be rolled to it.
WorkloadPlan workload_plan(const std::string& name, bool done, RolloutState rollout,
                           const std::string& ns = "team-a",
                           const std::string& image = "registry.test/app:1", char digest = 'b') {
  Workload workload;
  static const workload::KindTable kKinds;
  workload.kind = kKinds.find("apps", "Deployment");
  workload.ns = ns;
  workload.name = name;
  workload.uid = "uid-of-" + name;
  workload.rollout = rollout;
  workload.rolled_last = done;
  TrackedSlot& slot = workload.slots.emplace_back();
  slot.id = "app";
  slot.written = image;
  slot.stamp = stamp(image, done ? digest : 'a');
  WorkloadPlan plan{.of = share(workload)};
  plan.slots.push_back({.of = std::make_shared<const TrackedSlot>(slot),
                        .verdict = done ? Verdict::kUpToDate : Verdict::kRoll,
                        .to = fake_digest(digest)});
  return plan;
}

// Another workload's facts in its place.
void change(WorkloadPlan& plan, const std::function<void(Workload&)>& how) {
  Workload changed = *plan.of;
  how(changed);
  plan.of = share(std::move(changed));
}

void ignore_failure(Workload& workload) {
  workload.settings.on_failure = workload::OnFailure::kIgnore;
}

std::vector<WorkloadPlan> many(std::size_t count, std::size_t done, RolloutState rollout_of_done,
                               const std::string& ns = "team-a") {
  std::vector<WorkloadPlan> plans;
  for (std::size_t i = 0; i < count; ++i) {
    plans.push_back(workload_plan("w" + std::to_string(i), i < done,
                                  i < done ? rollout_of_done : RolloutState::kComplete, ns));
  }
  return plans;
}

std::size_t count(const std::vector<WorkloadPlan>& plans, Verdict verdict) {
  return static_cast<std::size_t>(std::ranges::count_if(
      plans, [&](const WorkloadPlan& plan) { return plan.slots[0].verdict == verdict; }));
}

std::vector<WorkloadPlan> paced(std::vector<WorkloadPlan> plans, const PaceOptions& options = {}) {
  pace(plans, options, kNow);
  return plans;
}

TEST(Pace, OneGoesFirstThenATenthThenTheRest) {
  constexpr PaceOptions kRoomy{
      .max_rollouts = 1000, .max_rollouts_per_namespace = 1000, .max_rollouts_per_image = 1000};
  EXPECT_EQ(count(paced(many(50, 0, {}), kRoomy), Verdict::kRoll), 1U);
  EXPECT_EQ(count(paced(many(50, 1, RolloutState::kProgressing), kRoomy), Verdict::kRoll), 0U);
  EXPECT_EQ(count(paced(many(50, 1, RolloutState::kComplete), kRoomy), Verdict::kRoll), 4U);
  EXPECT_EQ(count(paced(many(50, 5, RolloutState::kProgressing), kRoomy), Verdict::kRoll), 0U);
  EXPECT_EQ(count(paced(many(50, 5, RolloutState::kComplete), kRoomy), Verdict::kRoll), 45U);
  EXPECT_EQ(count(paced(many(2, 1, RolloutState::kComplete), kRoomy), Verdict::kRoll), 1U);
  EXPECT_EQ(count(paced(many(1, 0, {}), kRoomy), Verdict::kRoll), 1U);
}

TEST(Pace, TellsWhatItWaitsFor) {
  const auto plans = paced(many(3, 1, RolloutState::kProgressing));
  EXPECT_EQ(plans[1].slots[0].verdict, Verdict::kPaced);
  EXPECT_EQ(plans[1].slots[0].reason, "it waits for team-a deployment/w0");
  EXPECT_TRUE(is_moved(plans[1].slots[0].verdict));
}

TEST(Pace, ADigestWhoseRolloutFailedIsHeldEverywhere) {
  auto plans = many(20, 3, RolloutState::kComplete);
  change(plans[1], [](Workload& its) { its.rollout = RolloutState::kFailed; });
  plans.push_back(
      workload_plan("other", false, RolloutState::kComplete, "team-b", "registry.test/other:1"));
  plans.push_back(workload_plan("job", false, RolloutState::kIdle));
  const auto out = paced(plans);
  EXPECT_EQ(count(out, Verdict::kHeld), 18U) << "17 of the image, and the one without pods";
  EXPECT_EQ(out[5].slots[0].reason, "the rollout of team-a deployment/w1 to this digest failed");
  EXPECT_EQ(count(out, Verdict::kRoll), 1U) << "another image goes on";

  PaceOptions careless;
  careless.waves = false;
  EXPECT_EQ(count(paced(plans, careless), Verdict::kHeld), 0U);
}

TEST(Pace, WhatWasTakenBackStillHoldsTheDigestElsewhere) {
  auto plans = many(3, 0, {});
  plans[0].slots[0].verdict = Verdict::kHeld;
  plans[0].slots[0].failed = true;
  change(plans[0], [](Workload& its) { its.rollout = RolloutState::kIdle; });  // scaled down since
  EXPECT_EQ(count(paced(plans), Verdict::kHeld), 3U);
  change(plans[0], ignore_failure);
  EXPECT_EQ(count(paced(plans), Verdict::kHeld), 1U);
}

TEST(Pace, WhatIsTakenBackInThisVerySweepIsRolledNowhereElse) {
  auto plans = many(3, 1, RolloutState::kFailed);
  plans[0].slots[0].verdict = Verdict::kUndo;
  plans[0].slots[0].to = fake_digest('a');
  const auto out = paced(plans);
  EXPECT_EQ(count(out, Verdict::kUndo), 1U);
  EXPECT_EQ(count(out, Verdict::kHeld), 2U);
}

TEST(Pace, AFailureThatIsToBeIgnoredSaysNothing) {
  auto plans = many(3, 1, RolloutState::kFailed);
  change(plans[0], ignore_failure);
  EXPECT_EQ(count(paced(plans), Verdict::kHeld), 0U);
}

TEST(Pace, AFailureOfTheOwnersOwnSaysNothingOfTheImage) {
  auto plans = many(3, 1, RolloutState::kFailed);
  change(plans[0], [](Workload& its) { its.rolled_last = false; });
  EXPECT_EQ(count(paced(plans), Verdict::kRoll), 1U);
}

TEST(Pace, BudgetsCountWhatIsUnderWay) {
  PaceOptions options{.max_rollouts = 4, .waves = false};
  EXPECT_EQ(count(paced(many(20, 0, {}), options), Verdict::kRoll), 4U);
  EXPECT_EQ(count(paced(many(20, 3, RolloutState::kProgressing), options), Verdict::kRoll), 1U);
  EXPECT_EQ(count(paced(many(20, 6, RolloutState::kProgressing), options), Verdict::kRoll), 0U);
  EXPECT_EQ(count(paced(many(20, 6, RolloutState::kComplete), options), Verdict::kRoll), 4U);

  options = {.max_rollouts_per_namespace = 2, .waves = false};
  auto plans = many(5, 0, {});
  for (auto& plan : many(5, 0, {}, "team-b")) plans.push_back(plan);
  EXPECT_EQ(count(paced(plans, options), Verdict::kRoll), 4U) << "two in each namespace";

  options = {.max_rollouts_per_image = 3, .waves = false};
  plans = many(5, 0, {});
  plans.push_back(
      workload_plan("other", false, RolloutState::kComplete, "team-a", "registry.test/b:1"));
  const auto out = paced(plans, options);
  EXPECT_EQ(count(out, Verdict::kRoll), 4U) << "three of the one image, one of the other";
  EXPECT_EQ(std::ranges::count_if(out,
                                  [](const WorkloadPlan& plan) {
                                    return plan.slots[0].reason ==
                                           "3 rollouts are under way of registry.test/app:1";
                                  }),
            2);
}

TEST(Pace, WhatHasNoPodsWaitsForNobody) {
  std::vector<WorkloadPlan> plans;
  for (int i = 0; i < 40; ++i) {
    plans.push_back(workload_plan("job" + std::to_string(i), false, RolloutState::kIdle));
  }
  EXPECT_EQ(count(paced(plans), Verdict::kRoll), 40U);
}

TEST(Pace, WhatWasBrokenBeforeIsNotTheFirstToTry) {
  auto plans = many(10, 0, {});
  for (std::size_t i = 0; i < 9; ++i) {
    change(plans[i], [](Workload& its) { its.rollout = RolloutState::kProgressing; });
  }
  const auto out = paced(plans);
  EXPECT_EQ(out[9].slots[0].verdict, Verdict::kRoll);
  EXPECT_EQ(count(out, Verdict::kRoll), 1U);
}

TEST(Pace, AWorkloadRollsWithAllItsSlotsOrNone) {
  auto plan = workload_plan("two", false, RolloutState::kComplete);
  plan.slots.push_back(plan.slots[0]);
  TrackedSlot side = *plan.slots[1].of;
  side.id = "side";
  side.stamp = stamp("registry.test/side:1", 'a');
  plan.slots[1].of = std::make_shared<const TrackedSlot>(std::move(side));
  std::vector<WorkloadPlan> plans{plan, workload_plan("side", true, RolloutState::kProgressing,
                                                      "team-a", "registry.test/side:1")};
  const auto out = paced(plans);
  EXPECT_EQ(out[0].slots[0].verdict, Verdict::kPaced);
  EXPECT_EQ(out[0].slots[1].verdict, Verdict::kPaced);
}

TEST(Pace, TheOrderVariesByTheHourAndOnlyByTheHour) {
  const auto first = [](WallTime now) {
    auto plans = many(30, 0, {});
    pace(plans, {}, now);
    return std::string(std::ranges::find_if(plans, &WorkloadPlan::rolls)->name());
  };
  EXPECT_EQ(first(kNow), first(kNow + std::chrono::minutes(5)));
  std::set<std::string> names;
  for (int hour = 0; hour < 24; ++hour) names.insert(first(kNow + std::chrono::hours(hour)));
  EXPECT_GT(names.size(), 5U);
}

// A cluster that goes through its rollouts by chance: whatever happens, budgets hold, nothing is
// rolled after a failure, and what does not fail ends everywhere.
TEST(Pace, KeepsItsBoundsHoweverRolloutsGo) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    const unsigned failures = seed % 4 == 0 ? 5 : 0;
    std::vector<WorkloadPlan> plans;
    for (int i = 0; i < 60; ++i) {
      plans.push_back(workload_plan("w" + std::to_string(i), false, RolloutState::kComplete,
                                    "team-" + std::to_string(random() % 4),
                                    "registry.test/app:" + std::to_string(random() % 3)));
    }
    const PaceOptions options{
        .max_rollouts = 7, .max_rollouts_per_namespace = 4, .max_rollouts_per_image = 5};
    std::set<std::string> failed;
    for (int round = 0; round < 100; ++round) {
      auto out = plans;
      pace(out, options, kNow + std::chrono::minutes(round));
      std::map<std::string, std::size_t> under_way;
      for (std::size_t i = 0; i < out.size(); ++i) {
        const bool begins = out[i].rolls();
        if (begins) {
          ASSERT_FALSE(failed.contains(plans[i].slots[0].image())) << "seed " << seed;
          plans[i] = workload_plan(plans[i].name(), true, RolloutState::kProgressing, plans[i].ns(),
                                   plans[i].slots[0].image());
        }
        if (plans[i].of->rollout != RolloutState::kProgressing) continue;
        ++under_way[""];
        ++under_way[plans[i].ns()];
        ++under_way[plans[i].slots[0].image()];
      }
      for (const auto& [what, rollouts] : under_way) {
        ASSERT_LE(rollouts, what.empty() ? 7U : what.starts_with("team") ? 4U : 5U) << what;
      }
      for (WorkloadPlan& plan : plans) {
        if (plan.of->rollout != RolloutState::kProgressing || !chance(50)) continue;
        const bool fails = chance(failures);
        change(plan, [&](Workload& its) {
          its.rollout = fails ? RolloutState::kFailed : RolloutState::kComplete;
        });
        if (fails) failed.insert(plan.slots[0].image());
      }
    }
    for (const WorkloadPlan& plan : plans) {
      if (failed.contains(plan.slots[0].image())) continue;
      EXPECT_EQ(plan.slots[0].verdict, Verdict::kUpToDate) << "seed " << seed << " " << plan.name();
    }
  }
}

}  // namespace
}  // namespace tidemark::sweeper
