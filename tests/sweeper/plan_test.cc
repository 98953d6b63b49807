#include "sweeper/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

const WallTime kNow = tidemark::testing::FakeClock().wall_now();

Answers answering(const Workload& workload, std::string_view image, Result<image::Digest> answer) {
  Answers answers;
  answers.put(image::Reference::parse(image).value(), workload.pull_source(), std::move(answer));
  return answers;
}

// The plan of one workload where the registry serves digest b for kImage.
WorkloadPlan plan_moved(const Spec& spec, const workload::Metadata& ns = {}) {
  const Workload workload = tracked(spec, ns);
  return plan_workload(share(workload), answering(workload, kImage, fake_digest('b')), kNow);
}

std::string entry(std::string_view slot, const std::string& from, const std::string& to,
                  std::string_view why, std::string_view time = "2025-12-31T00:00:00Z") {
  return workload::dump_history({{.time = std::string(time),
                                  .slot = std::string(slot),
                                  .from = from,
                                  .to = to,
                                  .why = std::string(why),
                                  .by = "somebody"}});
}

std::string held(char digest) {
  return workload::dump_held({{"app", {{fake_digest(digest), "test", "2025-12-31T00:00:00Z"}}}});
}

std::string pinned(char digest) { return workload::pinned_image(kImage, fake_digest(digest)); }

json with(json annotations) {
  annotations["tidemark.dev/sweep"] = annotations.value("tidemark.dev/sweep", "roll");
  return annotations;
}

struct Case {
  std::string name;
  Spec spec;
  Verdict verdict;
  std::string to_image = "";
};

// Admission stamped the slot (a restart, an edit) at 00:00:10; the registry was asked at `asked`.
Verdict planned_with_answer_of(const std::string& asked, WallTime now = kNow) {
  const std::string at = "2025-12-31T00:00:10Z";
  const Workload workload =
      tracked({.annotations = with({{"tidemark.dev/history",
                                     entry("app", "", stamp_text(kImage, 'a'), "edited", at)}})});
  Answers answers;
  answers.put(image::Reference::parse(kImage).value(), workload.pull_source(), fake_digest('b'),
              parse_rfc3339(asked).value());
  return plan_workload(share(workload), answers, now).slots.at(0).verdict;
}

TEST(Plan, AnAnswerThatIsOlderThanTheStampRollsNothing) {
  EXPECT_EQ(planned_with_answer_of("2025-12-31T00:00:09Z"), Verdict::kUnresolved);
  EXPECT_EQ(planned_with_answer_of("2025-12-31T00:00:10Z"), Verdict::kRoll);
  EXPECT_EQ(planned_with_answer_of("2025-12-31T00:00:11Z"), Verdict::kRoll);
  EXPECT_EQ(
      planned_with_answer_of("2025-12-31T00:00:05Z", parse_rfc3339("2025-12-31T00:00:06Z").value()),
      Verdict::kRoll)
      << "a history that is ahead of the clock says nothing";
}

class MovedTag : public ::testing::TestWithParam<Case> {};

TEST_P(MovedTag, GetsItsVerdict) {
  const WorkloadPlan plan = plan_moved(GetParam().spec);
  ASSERT_EQ(plan.slots.size(), 1U);
  EXPECT_EQ(to_string(plan.slots[0].verdict), to_string(GetParam().verdict))
      << plan.slots[0].reason;
  EXPECT_EQ(plan.slots[0].to_image, GetParam().to_image);
  EXPECT_EQ(plan.rolls(), GetParam().verdict == Verdict::kRoll);
}

const std::vector<Case> kCases = {
    {"Rolls", {}, Verdict::kRoll},
    {"UpToDate", {.containers = {{.stamp = stamp_text(kImage, 'b')}}}, Verdict::kUpToDate},
    {"DefaultIsReport", {.annotations = json::object()}, Verdict::kReported},
    {"Report", {.annotations = {{"tidemark.dev/sweep", "report"}}}, Verdict::kReported},
    {"Off", {.annotations = {{"tidemark.dev/sweep", "off"}}}, Verdict::kOff},
    {"HoldByHand", {.annotations = with({{"tidemark.dev/hold", "true"}})}, Verdict::kHeld},
    {"HeldDigest", {.annotations = with({{"tidemark.dev/held", held('b')}})}, Verdict::kHeld},
    {"HoldEndsWhenTheTagMovedOn",
     {.annotations = with({{"tidemark.dev/held", held('c')}})},
     Verdict::kRoll},
    {"TakenBackIsNotRolledAgain",
     {.annotations = with({{"tidemark.dev/history", entry("app", stamp_text(kImage, 'a'),
                                                          stamp_text(kImage, 'b'), "moved")}})},
     Verdict::kHeld},
    {"TagThatMovedBackIsRolledAgain",
     {.annotations = with({{"tidemark.dev/history", entry("app", stamp_text(kImage, 'b'),
                                                          stamp_text(kImage, 'a'), "moved")}})},
     Verdict::kRoll},
    {"HistoryOfAnotherReferenceSaysNothing",
     {.annotations = with({{"tidemark.dev/history",
                            entry("app", "", stamp_text("registry.test/app:2", 'b'), "edited")}})},
     Verdict::kRoll},
    {"IfNotPresent", {.containers = {{.policy = "IfNotPresent"}}}, Verdict::kNotAlways},
    {"Never", {.containers = {{.policy = "Never"}}}, Verdict::kNotAlways},
    {"PinModePins",
     {.containers = {{.image = pinned('a')}}, .annotations = with({{"tidemark.dev/mode", "pin"}})},
     Verdict::kRoll,
     pinned('b')},
    {"PinModeNeedsNoAlways",
     {.containers = {{.image = pinned('a'), .policy = "IfNotPresent"}},
      .annotations = with({{"tidemark.dev/mode", "pin"}})},
     Verdict::kRoll,
     pinned('b')},
    {"PinModeOfAnUnpinnedSlot",
     {.annotations = with({{"tidemark.dev/mode", "pin"}})},
     Verdict::kRoll,
     pinned('b')},
    {"PinOfARollbackIsTakenBack", {.containers = {{.image = pinned('a')}}}, Verdict::kRoll, kImage},
    {"PinOfARollbackStaysWhereOnlyItMakesTheNodePull",
     {.containers = {{.image = pinned('a'), .policy = "IfNotPresent"}}},
     Verdict::kRoll,
     pinned('b')},
    {"DigestOfTheOwner", {.containers = {{.image = pinned('c'), .stamp = ""}}}, Verdict::kByDigest},
    {"NoStamp", {.containers = {{.stamp = ""}}}, Verdict::kNoStamp},
    {"StampForAnotherTag",
     {.containers = {{.stamp = stamp_text("registry.test/app:2", 'a')}}},
     Verdict::kNoStamp},
    {"StampingIsOff", {.annotations = with({{"tidemark.dev/stamp", "off"}})}, Verdict::kIgnored},
    {"IgnoredContainer",
     {.annotations = with({{"tidemark.dev/ignore-containers", "app"}})},
     Verdict::kIgnored},
    {"EmptyImage", {.containers = {{.image = "", .stamp = ""}}}, Verdict::kLeftAlone},
    {"UnreadableImage", {.containers = {{.image = "No Image", .stamp = ""}}}, Verdict::kUnreadable},
    {"Paused", {.spec = {{"paused", true}}}, Verdict::kPaused},
    {"OnDelete",
     {.kind = "StatefulSet", .spec = {{"updateStrategy", {{"type", "OnDelete"}}}}},
     Verdict::kOnDelete},
    {"Partitioned",
     {.kind = "StatefulSet",
      .spec = {{"updateStrategy",
                {{"type", "RollingUpdate"}, {"rollingUpdate", {{"partition", 2}}}}}}},
     Verdict::kPartitioned},
    {"PartitionZeroRolls",
     {.kind = "StatefulSet",
      .spec = {{"updateStrategy",
                {{"type", "RollingUpdate"}, {"rollingUpdate", {{"partition", 0}}}}}}},
     Verdict::kRoll},
    {"CronJob", {.kind = "CronJob"}, Verdict::kRoll},
    {"DaemonSet", {.kind = "DaemonSet"}, Verdict::kRoll},
    // The clock stands at midnight, on a Thursday.
    {"WindowIsClosed",
     {.annotations = with({{"tidemark.dev/window", "0 2 * * * 1h"}})},
     Verdict::kWindow},
    {"WindowIsOpen",
     {.annotations = with({{"tidemark.dev/window", "0 22 * * wed 4h"}})},
     Verdict::kRoll},
    {"WindowThatCannotBeRead",
     {.annotations = with({{"tidemark.dev/window", "0 2 * * *"}})},
     Verdict::kWindow},
    {"Cooldown",
     {.annotations = with(
          {{"tidemark.dev/cooldown", "1h"},
           {"tidemark.dev/history", entry("app", stamp_text(kImage, 'c'), stamp_text(kImage, 'a'),
                                          "moved", "2025-12-31T23:30:00Z")}})},
     Verdict::kCooldown},
    {"CooldownIsOver",
     {.annotations = with(
          {{"tidemark.dev/cooldown", "10m"},
           {"tidemark.dev/history", entry("app", stamp_text(kImage, 'c'), stamp_text(kImage, 'a'),
                                          "moved", "2025-12-31T23:30:00Z")}})},
     Verdict::kRoll},
    {"CooldownByAClockThatIsAhead",
     {.annotations = with(
          {{"tidemark.dev/cooldown", "10m"},
           {"tidemark.dev/history", entry("app", stamp_text(kImage, 'c'), stamp_text(kImage, 'a'),
                                          "moved", "2026-01-01T00:05:00Z")}})},
     Verdict::kCooldown},
    {"CooldownByAClockThatIsWrong",
     {.annotations = with(
          {{"tidemark.dev/cooldown", "10m"},
           {"tidemark.dev/history", entry("app", stamp_text(kImage, 'c'), stamp_text(kImage, 'a'),
                                          "moved", "2026-01-01T02:00:00Z")}})},
     Verdict::kRoll},
};

INSTANTIATE_TEST_SUITE_P(Plan, MovedTag, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

class ErrorAnswer : public ::testing::TestWithParam<ErrorKind> {};

TEST_P(ErrorAnswer, NeverRolls) {
  const Workload workload = tracked({});
  const WorkloadPlan plan = plan_workload(
      share(workload), answering(workload, kImage, fail(GetParam(), "because")), kNow);
  EXPECT_EQ(plan.slots.at(0).verdict, Verdict::kUnresolved);
  EXPECT_EQ(plan.slots.at(0).reason, "because");
  EXPECT_FALSE(plan.rolls());
}

INSTANTIATE_TEST_SUITE_P(Plan, ErrorAnswer,
                         ::testing::Values(ErrorKind::kInvalid, ErrorKind::kNotFound,
                                           ErrorKind::kUnauthorized, ErrorKind::kForbidden,
                                           ErrorKind::kConflict, ErrorKind::kTooMany,
                                           ErrorKind::kTooLarge, ErrorKind::kGone,
                                           ErrorKind::kTimeout, ErrorKind::kCanceled,
                                           ErrorKind::kUnavailable, ErrorKind::kTls,
                                           ErrorKind::kInternal),
                         [](const auto& test) { return std::string(to_string(test.param)); });

TEST(Plan, NotAskedIsNotRolled) {
  EXPECT_EQ(plan_workload(share(tracked({})), Answers(), kNow).slots.at(0).verdict,
            Verdict::kUnresolved);
}

TEST(Plan, AnswersOfOtherCredentialsDoNotCount) {
  const Workload mine = tracked({.pod_spec = {{"imagePullSecrets", {{{"name", "mine"}}}}}});
  const Workload other = tracked({});
  const auto plan = plan_workload(share(mine), answering(other, kImage, fake_digest('b')), kNow);
  EXPECT_EQ(plan.slots.at(0).verdict, Verdict::kUnresolved);
}

Container sidecar() {
  return {.name = "side",
          .image = "registry.test/side:1",
          .stamp = stamp_text("registry.test/side:1", 'a')};
}

TEST(Plan, WaitsForASlotWithoutAnAnswer) {
  const Workload workload = tracked({.containers = {Container{}, sidecar()}});
  Answers answers = answering(workload, kImage, fake_digest('b'));
  answers.put(image::Reference::parse("registry.test/side:1").value(), workload.pull_source(),
              fail(ErrorKind::kUnavailable, "down"));
  const WorkloadPlan plan = plan_workload(share(workload), answers, kNow);
  EXPECT_EQ(plan.slots.at(0).verdict, Verdict::kWaits);
  EXPECT_EQ(plan.slots.at(1).verdict, Verdict::kUnresolved);
}

TEST(Plan, RollsBesideAHeldSlotOnlyIfThatIsPinned) {
  const std::string holds =
      workload::dump_held({{"side", {{fake_digest('b'), "rolled back", "2025-12-31T00:00:00Z"}}}});
  Container side = sidecar();
  for (const bool is_pinned : {false, true}) {
    if (is_pinned) side.image = workload::pinned_image(side.image, fake_digest('a'));
    const Workload workload = tracked(
        {.containers = {Container{}, side}, .annotations = with({{"tidemark.dev/held", holds}})});
    Answers answers = answering(workload, kImage, fake_digest('b'));
    answers.put(image::Reference::parse("registry.test/side:1").value(), workload.pull_source(),
                fake_digest('b'));
    const WorkloadPlan plan = plan_workload(share(workload), answers, kNow);
    EXPECT_EQ(plan.slots.at(0).verdict, is_pinned ? Verdict::kRoll : Verdict::kWaits);
    EXPECT_EQ(plan.slots.at(1).verdict, Verdict::kHeld);
  }
}

TEST(Plan, NamespaceOptsIn) {
  const workload::Metadata ns{.annotations = {}, .labels = {{"tidemark.dev/sweep", "roll"}}};
  EXPECT_TRUE(plan_moved({.annotations = json::object()}, ns).rolls());
  EXPECT_FALSE(plan_moved({.annotations = {{"tidemark.dev/sweep", "off"}}}, ns).rolls());
}

TEST(Plan, OrderDoesNotDependOnTheInput) {
  Workloads workloads = {share(tracked({.ns = "b", .name = "x"})),
                         share(tracked({.kind = "DaemonSet", .ns = "a", .name = "x"})),
                         share(tracked({.ns = "a", .name = "z"})),
                         share(tracked({.ns = "a", .name = "y"}))};
  const auto labels = [&workloads] {
    std::vector<std::string> out;
    for (const WorkloadPlan& one : plan(workloads, Answers(), kNow)) {
      out.push_back(one.ns() + " " + one.label());
    }
    return out;
  };
  const std::vector<std::string> expected = {"a daemonset/x", "a deployment/y", "a deployment/z",
                                             "b deployment/x"};
  EXPECT_EQ(labels(), expected);
  std::ranges::reverse(workloads);
  EXPECT_EQ(labels(), expected);
}

}  // namespace
}  // namespace tidemark::sweeper
