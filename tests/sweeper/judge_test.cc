#include "sweeper/judge.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "sweeper/cluster.h"
#include "sweeper/pods.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

constexpr char kOld = 'a';
constexpr char kNow = 'b';

// A StatefulSet of two pods that was rolled to kNow, and is not done.
Spec rolling(const WallTime rolled) {
  Spec spec{.kind = "StatefulSet", .containers = {{.stamp = stamp_text(kImage, kNow)}}};
  spec.annotations["tidemark.dev/history"] =
      workload::dump_history({{.time = to_rfc3339(rolled),
                               .slot = "app",
                               .from = stamp_text(kImage, kOld),
                               .to = stamp_text(kImage, kNow),
                               .why = std::string(workload::kWhyMoved),
                               .by = "tidemark-sweeper"}});
  spec.spec = {{"replicas", 2}, {"selector", {{"matchLabels", {{"app", "web"}}}}}};
  return spec;
}

json crashing() {
  return {{"name", "app"},
          {"ready", false},
          {"restartCount", 3},
          {"state", {{"waiting", {{"reason", "CrashLoopBackOff"}}}}}};
}

class Judge : public ::testing::Test {
 protected:
  Judge() { answer(kNow); }

  void answer(char digest) {
    cluster_.resolver.answer(kImage,
                             [digest](const registry::Query&, Deadline,
                                      const std::stop_token&) -> Result<registry::Resolution> {
                               return registry::Resolution{.digest = fake_digest(digest)};
                             });
  }
  void put(const Spec& spec) {
    json object = object_of(spec);
    object["status"] = {
        {"currentRevision", "web-1"}, {"updateRevision", "web-2"}, {"readyReplicas", 1}};
    cluster_.api.put(path_of(spec), object.dump());
  }
  void put_pod(json container, char stamp = kNow, const std::string& unready_since = "") {
    json pod{
        {"metadata",
         {{"annotations", {{"digest.tidemark.dev/app", stamp_text(kImage, stamp)}}},
          {"ownerReferences", {{{"kind", "StatefulSet"}, {"name", "web"}, {"controller", true}}}}}},
        {"status", {{"phase", "Running"}, {"containerStatuses", {std::move(container)}}}}};
    if (!unready_since.empty()) {
      pod["status"]["conditions"] = {
          {{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", unready_since}}};
    }
    cluster_.api.put("/api/v1/namespaces/team-a/pods/web-1", pod.dump());
  }
  std::string ago(std::chrono::seconds age) const {
    return to_rfc3339(cluster_.clock.wall_now() - age);
  }
  Spec rolled(std::chrono::seconds age) const { return rolling(cluster_.clock.wall_now() - age); }
  WorkloadPlan sweep() {
    auto report = cluster_.sweep();
    EXPECT_TRUE(report) << report.error().message;
    last_ = std::move(*report);
    return last_.plans.at(0);
  }

  Cluster cluster_;
  SweepReport last_;
};

TEST_F(Judge, ACrashLoopOfARolledSlotIsAFailedRollout) {
  put(rolled(std::chrono::seconds{40}));
  put_pod(crashing());
  const WorkloadPlan plan = sweep();
  EXPECT_EQ(plan.of->rollout, workload::RolloutState::kFailed);
  EXPECT_EQ(plan.of->failure, "pod web-1: app crashed 3 times");
  const auto lists = cluster_.api.calls("list");
  EXPECT_TRUE(std::ranges::any_of(
      lists, [](const auto& call) { return call.label_selector == "app=web"; }));
  const auto notes = cluster_.events.notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].reason, "RolloutFailed");
  EXPECT_TRUE(notes[0].warning);
  const notify::Notification& told = cluster_.audience.sweeps().at(0).at(0);
  EXPECT_EQ(told.reason, "RolloutFailed");
  EXPECT_EQ(told.standing, notes[0].decision);
  ASSERT_EQ(told.moves.size(), 1U);
  EXPECT_EQ(told.moves[0].from, "");
  EXPECT_EQ(told.moves[0].to, plan.slots.at(0).from()->digest().str());
}

TEST_F(Judge, ItIsTakenBackWhereAsked) {
  Spec spec = rolled(std::chrono::seconds{40});
  spec.annotations["tidemark.dev/on-failure"] = "undo";
  put(spec);
  put_pod(crashing());
  EXPECT_EQ(sweep().slots.at(0).verdict, Verdict::kUndo);
  ASSERT_EQ(last_.rolls.size(), 1U);
  EXPECT_EQ(last_.rolls[0].kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(kImage, kOld));
}

TEST_F(Judge, NoOtherWorkloadIsRolledToTheDigest) {
  cluster_.options.pace.waves = true;
  put(rolled(std::chrono::seconds{40}));
  put_pod(crashing());
  cluster_.put({.name = "other"});
  EXPECT_EQ(sweep().ns(), "team-a");
  ASSERT_EQ(last_.plans.size(), 2U);
  EXPECT_EQ(last_.plans[0].slots.at(0).verdict, Verdict::kHeld);
  EXPECT_EQ(last_.plans[0].slots.at(0).reason,
            "the rollout of team-a statefulset/web to this digest failed");
}

TEST_F(Judge, WhatDoesNotComeUpForTenMinutesHasFailed) {
  put(rolled(std::chrono::minutes{20}));
  json pulling{{"name", "app"},
               {"ready", false},
               {"state", {{"waiting", {{"reason", "ImagePullBackOff"}}}}}};
  put_pod(pulling, kNow, ago(std::chrono::minutes{9}));
  EXPECT_EQ(sweep().of->failure, "");
  put_pod(pulling, kNow, ago(std::chrono::minutes{10}));
  EXPECT_EQ(sweep().of->failure, "pod web-1: app is not ready since " +
                                     ago(std::chrono::minutes{10}) + " (ImagePullBackOff)");
}

TEST_F(Judge, WhatProvesNothingIsNoFailure) {
  put(rolled(std::chrono::minutes{20}));
  const auto fails = [&] { return !sweep().of->failure.empty(); };
  put_pod(crashing(), kOld);
  EXPECT_FALSE(fails()) << "of the old template";
  json sidecar = crashing();
  sidecar["name"] = "sidecar";
  put_pod(sidecar);
  EXPECT_FALSE(fails()) << "a container that was not rolled";
  json twice = crashing();
  twice["restartCount"] = 2;
  put_pod(twice);
  EXPECT_FALSE(fails()) << "it may come up";
  // Its node is lost: the condition is the node controller's, the containers are the kubelet's.
  put_pod({{"name", "app"}, {"ready", true}}, kNow, ago(std::chrono::minutes{15}));
  EXPECT_FALSE(fails());
}

TEST_F(Judge, PodsAreReadOnlyOfARolloutOfOursThatIsUnderWay) {
  put(rolled(std::chrono::seconds{20}));
  put_pod(crashing());
  EXPECT_EQ(sweep().of->failure, "") << "just begun";
  EXPECT_EQ(cluster_.pod_lists(), 0U);
  Spec edited = rolled(std::chrono::seconds{40});
  edited.annotations.erase("tidemark.dev/history");
  put(edited);
  EXPECT_EQ(sweep().of->failure, "") << "its owner's own rollout";
  EXPECT_EQ(cluster_.pod_lists(), 0U);
  put(rolled(std::chrono::seconds{40}));
  cluster_.options.judge.enabled = false;
  EXPECT_EQ(sweep().of->failure, "");
  EXPECT_EQ(cluster_.pod_lists(), 0U);
}

TEST_F(Judge, PodsThatCannotBeReadAreToldOnceANamespace) {
  put(rolled(std::chrono::seconds{40}));
  Spec second = rolled(std::chrono::seconds{40});
  second.name = "second";
  put(second);
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.path.find("/pods") == std::string::npos) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "no"};
  });
  EXPECT_EQ(sweep().of->rollout, workload::RolloutState::kProgressing);
  ASSERT_EQ(last_.problems.size(), 1U);
  EXPECT_EQ(last_.problems[0].what, "pods");
}

TEST(LabelSelector, IsWrittenAsTheApiServerReadsIt) {
  EXPECT_EQ(label_selector_of(R"({"spec":{"selector":{"matchLabels":{"app":"web","tier":"a"}}}})"),
            "app=web,tier=a");
  EXPECT_EQ(label_selector_of(R"({"spec":{"selector":{"matchExpressions":[
                {"key":"a","operator":"In","values":["x","y"]},
                {"key":"b","operator":"NotIn","values":["z"]},
                {"key":"c","operator":"Exists"},
                {"key":"d","operator":"DoesNotExist"}]}}})"),
            "a in (x,y),b notin (z),c,!d");
  for (const char* none : {"{}", "[]", "x", R"({"spec":{"selector":7}})"}) {
    EXPECT_EQ(label_selector_of(none), "") << none;
  }
}

}  // namespace
}  // namespace tidemark::sweeper
