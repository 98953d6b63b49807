// Tag policies from end to end: lists of tags, what is chosen, what is rolled and what is not.

#include "sweeper/choose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <tuple>
#include <vector>

#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

constexpr const char* kRepository = "registry.test/app";

std::string image_of(const std::string& tag) { return std::string(kRepository) + ":" + tag; }

// One Deployment of app:<tag>, stamped with digest `stamp`, under a policy.
Spec following(const std::string& policy, const std::string& tag = "1.2.0", char stamp = 'a') {
  Spec spec;
  spec.containers = {{.image = image_of(tag), .stamp = stamp_text(image_of(tag), stamp)}};
  spec.annotations["policy.tidemark.dev/app"] = policy;
  return spec;
}

class ChooseTest : public ::testing::Test {
 protected:
  ChooseTest() {
    cluster_.resolver.serve_tags(kRepository, {"1.2.0", "1.10.0", "1.9.0", "2.0.0", "latest"});
    cluster_.resolver.serve(image_of("1.2.0"), fake_digest('a'));
    cluster_.resolver.serve(image_of("1.10.0"), fake_digest('b'));
    cluster_.resolver.serve(image_of("2.0.0"), fake_digest('c'));
  }

  // A sweep of this one workload: its only slot as planned, and how many rolls there were.
  SlotPlan swept() {
    const auto report = cluster_.sweep();
    EXPECT_TRUE(report) << report.error().message;
    rolls_ = report->rolls.size();
    return report->plans.at(0).slots.at(0);
  }
  std::string image(const Spec& spec) {
    return cluster_.api.object(path_of(spec))
        .at("/spec/template/spec/containers/0/image"_json_pointer)
        .get<std::string>();
  }
  std::vector<workload::HistoryEntry> history(const Spec& spec) {
    return workload::parse_history(cluster_.annotation(spec, workload::kHistoryKey));
  }

  Cluster cluster_;
  std::size_t rolls_ = 0;
};

TEST_F(ChooseTest, RollsToTheChosenTagInOnePatchAndOnlyOnce) {
  const Spec spec = following("semver: ^1.2");
  cluster_.put(spec);
  const SlotPlan slot = swept();
  EXPECT_EQ(rolls_, 1U);
  EXPECT_EQ(slot.followed->chosen, "1.10.0");
  EXPECT_EQ(slot.followed->tags, 5U);
  EXPECT_EQ(slot.followed->fitting, 3U);
  EXPECT_EQ(move_text(slot), "app moved 1.2.0@aaaaaaaaaaaa -> 1.10.0@bbbbbbbbbbbb");
  EXPECT_EQ(image(spec), image_of("1.10.0"));
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(image_of("1.10.0"), 'b'));
  ASSERT_EQ(history(spec).size(), 1U);
  EXPECT_EQ(history(spec)[0].why, "policy");
  EXPECT_EQ(history(spec)[0].from, stamp_text(image_of("1.2.0"), 'a'));
  EXPECT_EQ(history(spec)[0].to, stamp_text(image_of("1.10.0"), 'b'));
  EXPECT_EQ(cluster_.annotation(spec, workload::kWrittenImagesKey),
            R"({"app":"registry.test/app:1.2.0"})");
  EXPECT_EQ(cluster_.annotation(spec, workload::kChangeCauseKey),
            "tidemark: app moved 1.2.0@aaaaaaaaaaaa -> 1.10.0@bbbbbbbbbbbb");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(swept().verdict, Verdict::kUpToDate);
    EXPECT_EQ(rolls_, 0U);
  }
  EXPECT_EQ(cluster_.api.calls("patch").size(), 1U);
}

TEST_F(ChooseTest, TheOwnersImageStaysKnownFromRollToRoll) {
  const Spec spec = following("semver: 1.x");
  cluster_.put(spec);
  (void)swept();
  cluster_.resolver.serve_tags(kRepository, {"1.2.0", "1.10.0", "1.11.0"});
  cluster_.resolver.serve(image_of("1.11.0"), fake_digest('d'));
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("1.11.0"));
  EXPECT_EQ(cluster_.annotation(spec, workload::kWrittenImagesKey),
            R"({"app":"registry.test/app:1.2.0"})");
}

TEST_F(ChooseTest, TheChosenTagIsRolledWhereItMoves) {
  const Spec spec = following("semver: ^1.2", "1.10.0", 'a');
  cluster_.put(spec);
  EXPECT_EQ(move_text(swept()), "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
  EXPECT_EQ(history(spec).at(0).why, "moved");
  EXPECT_EQ(cluster_.annotation(spec, workload::kWrittenImagesKey), "");
}

TEST_F(ChooseTest, NeverAnOlderTagUnlessAllowed) {
  const Spec spec = following("semver: ^1.2", "2.0.0", 'c');
  cluster_.put(spec);
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUpToDate);
  EXPECT_EQ(slot.reason, "its policy would choose 1.10.0, which is older (allow-downgrade)");
  EXPECT_EQ(rolls_, 0U);
  cluster_.put(following("semver: ^1.2\nallow-downgrade: true", "2.0.0", 'c'));
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("1.10.0"));
}

TEST_F(ChooseTest, ATagThatThePolicyCannotCompareGivesWay) {
  cluster_.resolver.serve(image_of("latest"), fake_digest('a'));
  const Spec spec = following("semver: '*'", "latest", 'a');
  cluster_.put(spec);
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("2.0.0"));
}

TEST_F(ChooseTest, AnotherTagOfTheSameContentReplacesNoPods) {
  cluster_.resolver.serve(image_of("1.10.0"), fake_digest('a'));
  cluster_.put(following("semver: ^1.2"));
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUpToDate);
  EXPECT_EQ(slot.reason, "1.10.0 has the digest that stands");
  EXPECT_EQ(rolls_, 0U);
}

TEST_F(ChooseTest, WhereNothingFitsTheOwnTagIsSwept) {
  cluster_.resolver.serve(image_of("1.2.0"), fake_digest('d'));
  const Spec spec = following("semver: ^7");
  cluster_.put(spec);
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("1.2.0"));
  EXPECT_EQ(swept().reason, "none of 5 tags fits the policy");
}

TEST_F(ChooseTest, NothingIsRolledForAListThatCannotBeHad) {
  cluster_.resolver.refuse_tags(kRepository, {ErrorKind::kTimeout, "tags: timed out"});
  cluster_.resolver.serve(image_of("1.2.0"), fake_digest('d'));
  cluster_.put(following("semver: ^1.2"));
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUnresolved);
  EXPECT_EQ(slot.reason, "tags: timed out");
  EXPECT_EQ(rolls_, 0U);
}

TEST_F(ChooseTest, APolicyThatCannotBeReadRollsNothing) {
  cluster_.resolver.serve(image_of("1.2.0"), fake_digest('d'));
  cluster_.put(following("semver: one"));
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUnresolved);
  EXPECT_EQ(slot.reason,
            R"(its policy: semver: "one" is not a range of versions: unexpected "one")");
  EXPECT_EQ(cluster_.resolver.lists(), 0U);
}

TEST_F(ChooseTest, ThePolicyDigestIsNone) {
  cluster_.resolver.serve(image_of("1.2.0"), fake_digest('d'));
  const Spec spec = following("digest");
  cluster_.put(spec);
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("1.2.0"));
  EXPECT_EQ(cluster_.resolver.lists(), 0U);
}

TEST_F(ChooseTest, APolicyOfNoContainerIsTold) {
  Spec spec;
  spec.annotations["policy.tidemark.dev/ap"] = "semver: 1.x";
  cluster_.put(spec);
  cluster_.resolver.serve(kImage, fake_digest('a'));
  const auto report = cluster_.sweep();
  ASSERT_EQ(report->plans.at(0).problems.size(), 1U);
  EXPECT_EQ(report->plans[0].problems[0], "policy.tidemark.dev/ap: there is no such container");
}

TEST_F(ChooseTest, AHeldDigestIsNotChosen) {
  Spec spec = following("semver: ^1.2");
  workload::Held held;
  held["app"].push_back(
      {.digest = fake_digest('b'), .reason = "x", .since = "2026-01-01T00:00:00Z"});
  spec.annotations[std::string(workload::kHeldKey)] = workload::dump_held(held);
  cluster_.put(spec);
  EXPECT_EQ(swept().verdict, Verdict::kHeld);
  cluster_.resolver.serve_tags(kRepository, {"1.2.0", "1.10.0", "1.11.0"});
  cluster_.resolver.serve(image_of("1.11.0"), fake_digest('d'));
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(cluster_.annotation(spec, workload::kHeldKey), "");
}

// Taken back while no webhook looked: the template is the former one, the history is not.
TEST_F(ChooseTest, WhatWasTakenBackUnseenIsNotRolledAgain) {
  const Spec spec = following("semver: ^1.2");
  cluster_.put(spec);
  (void)swept();
  auto object = cluster_.api.object(path_of(spec));
  object["spec"] = object_of(spec)["spec"];
  cluster_.api.put(path_of(spec), object.dump());
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kHeld);
  EXPECT_EQ(slot.reason, "it was rolled to this digest before, and taken back");
}

TEST_F(ChooseTest, AFailedRolloutGoesBackToTheFormerTag) {
  Spec spec = following("semver: ^1.2");
  spec.annotations["tidemark.dev/on-failure"] = "undo";
  cluster_.put(spec);
  (void)swept();
  auto object = cluster_.api.object(path_of(spec));
  object["metadata"]["generation"] = 2;
  object["status"] = {
      {"observedGeneration", 2},
      {"conditions",
       {{{"type", "Progressing"}, {"status", "False"}, {"reason", "ProgressDeadlineExceeded"}}}}};
  cluster_.api.put(path_of(spec), object.dump());
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUndo);
  EXPECT_EQ(move_text(slot), "app rolled back 1.10.0@bbbbbbbbbbbb -> 1.2.0@aaaaaaaaaaaa");
  EXPECT_EQ(image(spec), image_of("1.2.0") + "@" + fake_digest('a').str());
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(image_of("1.2.0"), 'a'));
  EXPECT_EQ(swept().verdict, Verdict::kHeld);
}

TEST_F(ChooseTest, APinFollowsTheChosenTag) {
  Spec spec = following("semver: ^1.2");
  spec.annotations["tidemark.dev/mode"] = "pin";
  spec.containers[0].image = image_of("1.2.0") + "@" + fake_digest('a').str();
  cluster_.put(spec);
  (void)swept();
  EXPECT_EQ(image(spec), image_of("1.10.0") + "@" + fake_digest('b').str());
  EXPECT_EQ(cluster_.annotation(spec, workload::kWrittenImagesKey),
            R"({"app":"registry.test/app:1.2.0"})");
}

TEST_F(ChooseTest, AnotherTagIsPulledWhateverThePullPolicy) {
  Spec spec = following("semver: ^1.2");
  spec.containers[0].policy = "IfNotPresent";
  cluster_.put(spec);
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec), image_of("1.10.0"));
}

TEST_F(ChooseTest, OneListForEachRepositoryHoweverManyFollow) {
  for (int i = 0; i < 50; ++i) {
    Spec spec = following(i % 2 == 0 ? "semver: ^1.2" : "semver: 1.x");
    spec.name = "web-" + std::to_string(i);
    cluster_.put(spec);
  }
  const auto report = cluster_.sweep();
  EXPECT_EQ(report->rolls.size(), 50U);
  EXPECT_EQ(cluster_.resolver.lists(), 1U);
  EXPECT_EQ(cluster_.resolver.calls_for(image_of("1.10.0")), 1U);
  EXPECT_EQ(cluster_.resolver.calls().size(), 1U);
}

TEST_F(ChooseTest, ChoicesAreRememberedForAWhile) {
  TagChoices choices;
  SweepContext context = cluster_.context();
  context.choices = &choices;
  cluster_.put(following("semver: ^1.2", "1.10.0", 'b'));
  const auto sweeps = [&](int times) {
    for (int i = 0; i < times; ++i) EXPECT_TRUE(sweep(context, cluster_.options));
    return cluster_.resolver.lists();
  };
  EXPECT_EQ(sweeps(3), 1U);
  cluster_.clock.advance(cluster_.options.choose.max_age + std::chrono::seconds{1});
  EXPECT_EQ(sweeps(3), 2U);
  // What failed is asked again at once.
  cluster_.clock.advance(cluster_.options.choose.max_age + std::chrono::seconds{1});
  cluster_.resolver.refuse_tags(kRepository, {ErrorKind::kUnavailable, "down"});
  EXPECT_EQ(sweeps(2), 4U);
}

TEST_F(ChooseTest, APushedTagListsItsRepositoryAtOnce) {
  TagChoices choices;
  SweepContext context = cluster_.context();
  context.choices = &choices;
  const Spec spec = following("semver: ^1.2", "1.10.0", 'b');
  cluster_.put(spec);
  const auto first = sweep(context, cluster_.options);
  ASSERT_TRUE(first);
  cluster_.resolver.serve_tags(kRepository, {"1.10.0", "1.11.0"});
  cluster_.resolver.serve(image_of("1.11.0"), fake_digest('d'));
  cluster_.resolver.clear_calls();
  const auto pushed = sweep_pushed(context, cluster_.options, cluster_.source(), first->answers,
                                   {{image_of("1.11.0"), cluster_.clock.steady_now()}}, {});
  ASSERT_TRUE(pushed);
  ASSERT_TRUE(*pushed) << "a repository under a policy is somebody's";
  EXPECT_EQ((*pushed)->rolls.size(), 1U);
  EXPECT_EQ(image(spec), image_of("1.11.0"));
  EXPECT_EQ(cluster_.resolver.calls().size(), 1U);
}

TEST_F(ChooseTest, AWaveIsOfTheTagToComeWhateverTagsStand) {
  cluster_.options.pace.waves = true;
  for (const char* tag : {"1.2.0", "1.9.0"}) {
    Spec spec = following("semver: ^1.2", tag);
    spec.name = std::string("web-") + tag[2];
    cluster_.put(spec);
  }
  const auto report = cluster_.sweep();
  EXPECT_EQ(report->rolls.size(), 1U) << "the first wave is one workload";
  EXPECT_TRUE(report->paced());
}

// Three builds named after commits, made in another order than they are listed.
class NewestTest : public ChooseTest {
 protected:
  NewestTest() {
    cluster_.resolver.serve_tags(kRepository, {"3f1c9a7", "9b2e01c", "0d4fbb2", "latest"});
    const WallTime now = cluster_.clock.wall_now();
    for (const auto& [tag, digest, age] :
         {std::tuple("3f1c9a7", 'a', 3), std::tuple("9b2e01c", 'b', 1),
          std::tuple("0d4fbb2", 'c', 2)}) {
      cluster_.resolver.serve(image_of(tag), fake_digest(digest));
      cluster_.resolver.serve_creation(fake_digest(digest), now - std::chrono::hours(age));
    }
    context_.choices = &choices_;
    spec_ = following("newest\nfilter: ^[0-9a-f]{7}$", "3f1c9a7");
    cluster_.put(spec_);
  }
  SlotPlan swept_with_memory() {
    const auto report = sweep(context_, cluster_.options);
    EXPECT_TRUE(report);
    return report->plans.at(0).slots.at(0);
  }

  TagChoices choices_;
  SweepContext context_ = cluster_.context();
  Spec spec_;
};

TEST_F(NewestTest, TheImageThatWasMadeLastIsChosen) {
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec_), image_of("9b2e01c"));
}

TEST_F(NewestTest, ADigestIsAskedOnceForItsTime) {
  cluster_.options.choose.max_age = std::chrono::milliseconds{0};
  (void)swept_with_memory();
  EXPECT_EQ(cluster_.resolver.creations_asked(), 3U);
  cluster_.clock.advance(std::chrono::seconds{1});
  cluster_.resolver.serve_tags(kRepository, {"3f1c9a7", "9b2e01c", "0d4fbb2", "1111111"});
  cluster_.resolver.serve(image_of("1111111"), fake_digest('d'));
  cluster_.resolver.serve_creation(fake_digest('d'), cluster_.clock.wall_now());
  EXPECT_EQ(swept_with_memory().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec_), image_of("1111111"));
  EXPECT_EQ(cluster_.resolver.creations_asked(), 4U);
}

TEST_F(NewestTest, ATimeThatCannotBeHadChoosesNothing) {
  cluster_.resolver.serve_creation(fake_digest('b'),
                                   tidemark::fail(ErrorKind::kTimeout, "timed out"));
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUnresolved);
  EXPECT_EQ(slot.reason, "timed out");
}

TEST_F(NewestTest, AnImageThatSaysNoTimeIsPassedOver) {
  cluster_.resolver.serve_creation(fake_digest('b'), tidemark::fail(ErrorKind::kInvalid, "none"));
  EXPECT_EQ(swept().verdict, Verdict::kRoll);
  EXPECT_EQ(image(spec_), image_of("0d4fbb2"));
}

TEST_F(NewestTest, NeverBackToAnOlderImage) {
  cluster_.put(following("newest\nfilter: ^(3f|0d)", "0d4fbb2", 'c'));
  EXPECT_EQ(swept().verdict, Verdict::kUpToDate);
}

TEST_F(NewestTest, TooManyTagsWantAFilter) {
  std::vector<std::string> tags;
  for (std::size_t i = 0; i <= kMaxDated; ++i) tags.push_back("t" + std::to_string(i));
  cluster_.resolver.serve_tags(kRepository, tags);
  cluster_.put(following("newest", "t1"));
  const SlotPlan slot = swept();
  EXPECT_EQ(slot.verdict, Verdict::kUnresolved);
  EXPECT_EQ(slot.reason,
            "501 tags are too many to be asked when they were made: a filter may leave 500");
  EXPECT_TRUE(cluster_.resolver.calls().empty());
}

}  // namespace
}  // namespace tidemark::sweeper
