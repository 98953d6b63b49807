#include "sweeper/adopt.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

constexpr char kOld = 'a';
constexpr char kNow = 'b';
constexpr char kChild = 'c';  // the manifest of one platform, in the index that the tag names

// A workload without stamps, all of whose pods are up.
Spec unstamped(std::string kind = "Deployment") {
  Spec spec{.kind = std::move(kind), .containers = {{.stamp = ""}}};
  spec.spec = {{"replicas", 2}};
  return spec;
}

json complete_status(const Spec& spec) {
  if (spec.kind == "DaemonSet") {
    return {{"desiredNumberScheduled", 2}, {"updatedNumberScheduled", 2}, {"numberAvailable", 2}};
  }
  return {{"replicas", 2}, {"updatedReplicas", 2}, {"availableReplicas", 2}, {"readyReplicas", 2}};
}

class Adopt : public ::testing::Test {
 protected:
  Adopt() { serve(kNow); }

  void put(const Spec& spec) {
    json object = object_of(spec);
    object["status"] = complete_status(spec);
    cluster_.api.put(path_of(spec), object.dump());
  }
  void put_pod(const Spec& spec, const std::string& name, const std::string& image_id,
               const std::string& container = "app") {
    cluster_.put_pod(spec, name, image_id, container);
  }
  static std::string running(char digest) { return "any.test/x@" + fake_digest(digest).str(); }
  // The tag names an index of kChild.
  void serve(char digest) {
    cluster_.resolver.answer(kImage,
                             [digest](const registry::Query& query, Deadline,
                                      const std::stop_token&) -> Result<registry::Resolution> {
                               registry::Resolution out{.digest = fake_digest(digest)};
                               if (query.with_platforms) out.platforms = {fake_digest(kChild)};
                               return out;
                             });
  }
  SlotPlan sweep_slot() {
    auto report = cluster_.sweep();
    EXPECT_TRUE(report) << report.error().message;
    last_ = std::move(*report);
    return last_.plans.at(0).slots.at(0);
  }
  std::string baseline(const Spec& spec) const {
    const auto found = workload::parse_baseline(cluster_.annotation(spec, workload::kBaselineKey));
    const auto slot = found.find("app");
    return slot == found.end() ? "" : slot->second.str();
  }

  Cluster cluster_;
  SweepReport last_;
};

TEST_F(Adopt, WhatRunsTheCurrentDigestIsUpToDateAndNothingRolls) {
  for (const char* kind : {"Deployment", "StatefulSet", "DaemonSet"}) {
    const Spec spec = unstamped(kind);
    put(spec);
    put_pod(spec, "one", running(kNow));
    EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate) << kind;
    EXPECT_TRUE(last_.rolls.empty());
    EXPECT_EQ(last_.adopted.size(), 1U);
    EXPECT_EQ(cluster_.stamp(spec), "") << "the template stays as it is";
    EXPECT_EQ(baseline(spec), stamp_text(kImage, kNow));
    const auto history = workload::parse_history(cluster_.annotation(spec, workload::kHistoryKey));
    ASSERT_EQ(history.size(), 1U);
    EXPECT_EQ(history[0].why, "adopted");
    EXPECT_EQ(history[0].from, "");
    cluster_.api.erase(path_of(spec));
  }
}

TEST_F(Adopt, HistoryGivesWayWhereAnnotationsAreNearlyFull) {
  Spec spec = unstamped();
  const std::string entry_key = "note";
  const auto put_with_room_for = [&](std::size_t bytes) {
    spec.annotations[entry_key] = std::string(workload::kMaxAnnotationsBytes - bytes, 'x');
    put(spec);
    put_pod(spec, "one", running(kNow));
    (void)sweep_slot();
  };
  put_with_room_for(300);  // the baseline alone
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kNow));
  EXPECT_EQ(cluster_.annotation(spec, workload::kHistoryKey), "");
  put_with_room_for(100);  // nothing
  EXPECT_EQ(baseline(spec), "");
  EXPECT_EQ(last_.plans.at(0).slots.at(0).verdict, Verdict::kNoStamp);
}

TEST_F(Adopt, OnceAdoptedNoPodIsReadAndNothingWritten) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kNow));
  (void)sweep_slot();
  cluster_.api.forget_calls();
  EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
  EXPECT_EQ(cluster_.pod_lists(), 0U);
  EXPECT_TRUE(cluster_.api.calls("patch").empty());
}

TEST_F(Adopt, APlatformsManifestIsWhatTheTagMeansToo) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kChild));
  put_pod(spec, "two", running(kNow));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kNow));
  EXPECT_TRUE(last_.plans[0].problems.empty()) << "no difference worth telling";
}

TEST_F(Adopt, WhatRunsAnOldDigestIsRolledOnceFromItsBaseline) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll);
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(kImage, kNow));
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kOld)) << "an undo goes back there";
  const auto history = workload::parse_history(cluster_.annotation(spec, workload::kHistoryKey));
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].why, "moved");
  EXPECT_EQ(history[0].from, stamp_text(kImage, kOld));

  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
    EXPECT_TRUE(last_.rolls.empty());
  }
  serve('d');
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll);
  EXPECT_EQ(baseline(spec), "") << "gone with the second roll";
}

TEST_F(Adopt, ReportModeAdoptsAndRollsNothing) {
  Spec spec = unstamped();
  spec.annotations = json::object();
  put(spec);
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kReported);
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kOld));
  cluster_.api.forget_calls();
  EXPECT_EQ(sweep_slot().verdict, Verdict::kReported);
  EXPECT_EQ(cluster_.pod_lists(), 0U);
}

TEST_F(Adopt, PodsThatStartedAnewSinceAreNotRolled) {
  const Spec spec = unstamped();
  serve(kOld);
  put(spec);
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
  serve(kNow);
  put_pod(spec, "one", running(kNow));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
  EXPECT_EQ(cluster_.stamp(spec), "");
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kNow));
}

TEST_F(Adopt, OnePodThatIsNotCurrentDecidesAndTheDifferenceIsTold) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kNow));
  put_pod(spec, "two", running(kNow));
  put_pod(spec, "three", running(kOld));
  EXPECT_EQ(sweep_slot().from()->digest(), fake_digest(kOld));
  EXPECT_EQ(last_.plans[0].problems,
            std::vector<std::string>{
                "pods run different digests of app: 1 of aaaaaaaaaaaa, 2 of bbbbbbbbbbbb"});
}

TEST_F(Adopt, WhatNobodyCanTellIsNotAdopted) {
  const Spec spec = unstamped();
  put(spec);
  EXPECT_EQ(sweep_slot().reason, "no stamp, and it has no pod that says what runs");
  put_pod(spec, "one", "sha256:" + std::string(64, 'a'));
  EXPECT_EQ(sweep_slot().reason, "no stamp, and its pods name no digest of a registry");
  put_pod(spec, "one", running(kOld), "sidecar-of-a-webhook");
  EXPECT_EQ(sweep_slot().reason, "no stamp, and its pods name no digest of a registry");
  EXPECT_EQ(baseline(spec), "");
  EXPECT_EQ(last_.plans[0].slots[0].verdict, Verdict::kNoStamp);
}

TEST_F(Adopt, PodsOfOthersDoNotCount) {
  const Spec spec = unstamped();
  put(spec);
  put_pod({.name = "web-5d4f"}, "other", running(kOld));  // "web-5d4f-5d4f"
  put_pod({.kind = "StatefulSet"}, "same-name", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kNoStamp);
}

TEST_F(Adopt, WaitsForARolloutThatIsUnderWay) {
  const Spec spec = unstamped();
  json object = object_of(spec);
  object["status"] = complete_status(spec);
  object["status"]["updatedReplicas"] = 1;
  cluster_.api.put(path_of(spec), object.dump());
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().reason, "no stamp, and its rollout is not complete");
  EXPECT_EQ(cluster_.pod_lists(), 0U);
}

TEST_F(Adopt, ABaselineIsNotRolledAwayWhileTheOwnersRolloutIsUnderWay) {
  Spec spec = unstamped();
  spec.annotations["tidemark.dev/baseline"] =
      workload::dump_baseline({{"app", workload::Stamp::parse(stamp_text(kImage, kOld)).value()}});
  json object = object_of(spec);
  object["status"] = complete_status(spec);
  object["status"]["updatedReplicas"] = 1;
  cluster_.api.put(path_of(spec), object.dump());
  EXPECT_EQ(sweep_slot().verdict, Verdict::kNoStamp);
  EXPECT_TRUE(last_.rolls.empty());
}

TEST_F(Adopt, WhatRunsNothingHasTheBaselineOfItsNextPod) {
  Spec spec = unstamped("CronJob");
  put(spec);
  EXPECT_EQ(sweep_slot().verdict, Verdict::kUpToDate);
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kNow));
  serve('d');
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll) << "nothing is replaced by it";
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(kImage, 'd'));

  Spec cached = unstamped("CronJob");
  cached.name = "a-cached";
  cached.containers[0].policy = "IfNotPresent";
  put(cached);
  EXPECT_EQ(sweep_slot().reason, "no stamp, and nothing runs that says which image nodes have");
}

TEST_F(Adopt, WithoutAnAnswerNothingIsAdopted) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kOld));
  cluster_.resolver.refuse(kImage, ErrorKind::kTimeout, "timed out");
  EXPECT_EQ(sweep_slot().reason, "no stamp, and the registry does not say what its tag means");
  EXPECT_EQ(cluster_.pod_lists(), 0U);
  // The HEAD is answered, and the GET for the platforms is not.
  cluster_.resolver.answer(kImage,
                           [](const registry::Query& query, Deadline,
                              const std::stop_token&) -> Result<registry::Resolution> {
                             if (query.with_platforms) return fail(ErrorKind::kTimeout, "slow");
                             return registry::Resolution{.digest = fake_digest(kNow)};
                           });
  EXPECT_EQ(sweep_slot().reason, "no stamp, and what its pods run cannot be told: slow");
}

TEST_F(Adopt, PodsThatMayNotBeListedAreOneProblem) {
  const Spec spec = unstamped();
  put(spec);
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.path.find("/pods") == std::string::npos) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not"};
  });
  EXPECT_EQ(sweep_slot().reason, "no stamp, and pods cannot be read: may not");
  ASSERT_EQ(last_.problems.size(), 1U);
  EXPECT_EQ(last_.problems[0].what, "pods");
}

TEST_F(Adopt, DryRunPlansByWhatItWouldWrite) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kOld));
  cluster_.options.dry_run = true;
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll);
  EXPECT_EQ(last_.adopted.size(), 1U);
  EXPECT_TRUE(cluster_.api.calls("patch").empty());
}

TEST_F(Adopt, WritesAreBoundedAndTheRestWaits) {
  cluster_.options.adopt.max_writes = 1;
  for (const char* name : {"web-1", "web-2"}) {
    Spec spec = unstamped();
    spec.name = name;
    put(spec);
    put_pod(spec, name, running(kOld));
  }
  (void)sweep_slot();
  EXPECT_EQ(last_.adopted.size(), 1U);
  EXPECT_EQ(last_.rolls.size(), 1U) << "what has no baseline yet is not rolled";
  (void)sweep_slot();
  EXPECT_EQ(last_.adopted.size(), 1U);
}

TEST_F(Adopt, AnEditMeanwhileIsNotAdopted) {
  const Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kOld));
  bool edited = false;
  cluster_.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.verb != "patch" || std::exchange(edited, true)) return std::nullopt;
    json object = cluster_.api.object(path_of(spec));
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.test/other:1";
    object["metadata"]["annotations"]["tidemark.dev/history"] = "[]";
    cluster_.api.put(path_of(spec), object.dump());
    return std::nullopt;
  });
  (void)sweep_slot();
  EXPECT_EQ(baseline(spec), "");
  EXPECT_EQ(cluster_.stamp(spec), "");
}

TEST_F(Adopt, AStampForAnotherImageGivesWayToTheFirstRoll) {
  Spec spec = unstamped();
  spec.containers[0].stamp = stamp_text("registry.test/app:0", 'e');
  put(spec);
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll);
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(kImage, kNow));
  EXPECT_EQ(baseline(spec), stamp_text(kImage, kOld));
}

TEST_F(Adopt, SwitchedOffOrToldNotToSweepAsksForNothing) {
  Spec spec = unstamped();
  put(spec);
  put_pod(spec, "one", running(kOld));
  cluster_.options.adopt.enabled = cluster_.options.check.adopt = false;
  EXPECT_EQ(sweep_slot().verdict, Verdict::kNoStamp);
  cluster_.options.adopt.enabled = cluster_.options.check.adopt = true;
  spec.annotations["tidemark.dev/sweep"] = "off";
  put(spec);
  EXPECT_EQ(sweep_slot().verdict, Verdict::kNoStamp);
  EXPECT_TRUE(cluster_.resolver.calls().empty());
  EXPECT_EQ(cluster_.pod_lists(), 0U);
}

TEST_F(Adopt, ATemplateWithoutMetadataGetsItsFirstStamp) {
  const Spec spec = unstamped();
  json object = object_of(spec);
  object["status"] = complete_status(spec);
  object["spec"]["template"].erase("metadata");
  cluster_.api.put(path_of(spec), object.dump());
  put_pod(spec, "one", running(kOld));
  EXPECT_EQ(sweep_slot().verdict, Verdict::kRoll);
  EXPECT_EQ(cluster_.stamp(spec), stamp_text(kImage, kNow));
}

}  // namespace
}  // namespace tidemark::sweeper
