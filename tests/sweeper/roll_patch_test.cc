#include "sweeper/roll_patch.h"

#include <gtest/gtest.h>

#include <functional>

#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

const WallTime kNow = tidemark::testing::FakeClock().wall_now();

WorkloadPlan plan_to_b(const Spec& spec) {
  const Workload workload = tracked(spec);
  Answers answers;
  for (const TrackedSlot& slot : workload.slots) {
    if (slot.reference) answers.put(*slot.reference, workload.pull_source(), fake_digest('b'));
  }
  return plan_workload(share(workload), answers, kNow);
}

json patch_of(const Spec& spec) {
  return json::parse(make_roll_patch(parsed(spec), plan_to_b(spec), kNow).str());
}

// The patch as the API server applies it: the fake knows where that differs from RFC 6902.
Result<json> patched(const Spec& spec, const json& stored) {
  tidemark::testing::FakeKubeApi api;
  api.put(path_of(spec), stored.dump());
  const auto answer =
      api.patch(path_of(spec), patch_of(spec).dump(), {}, Deadline::after(std::chrono::seconds{1}));
  if (!answer) return fail(answer.error());
  return json::parse(*answer);
}

TEST(RollPatch, WritesStampHistoryAndChangeCauseTogether) {
  const Spec spec;
  const auto after = patched(spec, object_of(spec));
  ASSERT_TRUE(after) << after.error().message;
  const json& annotations = (*after)["metadata"]["annotations"];
  EXPECT_EQ((*after)["spec"]["template"]["metadata"]["annotations"]["digest.tidemark.dev/app"],
            stamp_text(kImage, 'b'));
  EXPECT_EQ((*after)["spec"]["template"]["spec"]["containers"][0]["image"], kImage);
  EXPECT_EQ(annotations["kubernetes.io/change-cause"],
            "tidemark: app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
  const std::vector<workload::HistoryEntry> expected = {{.time = "2026-01-01T00:00:00Z",
                                                         .slot = "app",
                                                         .from = stamp_text(kImage, 'a'),
                                                         .to = stamp_text(kImage, 'b'),
                                                         .why = "moved",
                                                         .by = "tidemark-sweeper"}};
  EXPECT_EQ(workload::parse_history(annotations["tidemark.dev/history"].get<std::string>()),
            expected);
}

TEST(RollPatch, WritesRestartedAtWhereItIsAskedFor) {
  Spec spec;
  const auto without = patched(spec, object_of(spec));
  spec.annotations["tidemark.dev/restarted-at"] = "true";
  const auto with = patched(spec, object_of(spec));
  ASSERT_TRUE(without && with);
  const json::json_pointer key(
      "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt");
  EXPECT_FALSE(without->contains(key));
  EXPECT_EQ(with->at(key), "2026-01-01T00:00:00Z");
  // Somebody else's restart meanwhile is not overwritten.
  json restarted = object_of(spec);
  restarted[key] = "2025-12-31T00:00:00Z";
  EXPECT_FALSE(patched(spec, restarted));
}

TEST(RollPatch, LeavesAllElseUntouched) {
  const Spec spec;
  json expected = object_of(spec);
  json after = *patched(spec, expected);
  after["metadata"].erase("resourceVersion");
  after["metadata"]["annotations"].erase("tidemark.dev/history");
  after["metadata"]["annotations"].erase("kubernetes.io/change-cause");
  expected["spec"]["template"]["metadata"]["annotations"]["digest.tidemark.dev/app"] =
      stamp_text(kImage, 'b');
  EXPECT_EQ(after, expected);
}

TEST(RollPatch, WorksWithoutAnyAnnotationOfTheWorkload) {
  const Spec spec{.annotations = json::object()};
  Workload workload = tracked(spec);
  workload.settings.sweep = workload::SweepMode::kRoll;
  Answers answers;
  answers.put(*workload.slots[0].reference, workload.pull_source(), fake_digest('b'));
  const std::string patch =
      make_roll_patch(parsed(spec), plan_workload(share(workload), answers, kNow), kNow).str();
  tidemark::testing::FakeKubeApi api;
  api.put(path_of(spec), object_of(spec).dump());
  const auto after = api.patch(path_of(spec), patch, {}, Deadline::after(std::chrono::seconds{1}));
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_TRUE(json::parse(*after)["metadata"]["annotations"].contains("tidemark.dev/history"));
}

TEST(RollPatch, KeepsAChangeCauseOfTheUsersOwn) {
  const Spec spec{
      .annotations = {{"tidemark.dev/sweep", "roll"}, {"kubernetes.io/change-cause", "release 7"}}};
  EXPECT_EQ(
      (*patched(spec, object_of(spec)))["metadata"]["annotations"]["kubernetes.io/change-cause"],
      "release 7");
}

TEST(RollPatch, ReplacesAChangeCauseOfOurOwn) {
  const Spec spec{.annotations = {{"tidemark.dev/sweep", "roll"},
                                  {"kubernetes.io/change-cause", "tidemark: app moved x -> y"}}};
  EXPECT_EQ(
      (*patched(spec, object_of(spec)))["metadata"]["annotations"]["kubernetes.io/change-cause"],
      "tidemark: app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
}

TEST(RollPatch, EndsTheHoldsOfARolledSlotOnly) {
  const std::string since = "2025-12-31T00:00:00Z";
  const Spec spec{
      .annotations = {{"tidemark.dev/sweep", "roll"},
                      {"tidemark.dev/held",
                       workload::dump_held({{"app", {{fake_digest('c'), "undone", since}}},
                                            {"gone", {{fake_digest('c'), "undone", since}}}})}}};
  const json after = *patched(spec, object_of(spec));
  EXPECT_EQ(workload::parse_held(
                after["metadata"]["annotations"]["tidemark.dev/held"].get<std::string>()),
            (workload::Held{{"gone", {{fake_digest('c'), "undone", since}}}}));
}

TEST(RollPatch, PinModeWritesImageAndStampTogether) {
  const Spec spec{.kind = "CronJob",
                  .containers = {{.image = workload::pinned_image(kImage, fake_digest('a'))}},
                  .annotations = {{"tidemark.dev/sweep", "roll"}, {"tidemark.dev/mode", "pin"}}};
  const json after = *patched(spec, object_of(spec));
  const json& pod_template = after["spec"]["jobTemplate"]["spec"]["template"];
  EXPECT_EQ(pod_template["spec"]["containers"][0]["image"],
            workload::pinned_image(kImage, fake_digest('b')));
  EXPECT_EQ(pod_template["metadata"]["annotations"]["digest.tidemark.dev/app"],
            stamp_text(kImage, 'b'));
}

TEST(RollPatch, RollsImageVolumesAndInitContainers) {
  Spec spec{.containers = {Container{}, {.name = "first", .init = true}},
            .pod_spec = {{"volumes",
                          {{{"name", "data"},
                            {"image", {{"reference", kImage}, {"pullPolicy", "Always"}}}}}}}};
  json stored = object_of(spec);
  stored["spec"]["template"]["metadata"]["annotations"]["volume-digest.tidemark.dev/data"] =
      stamp_text(kImage, 'a');
  const auto object = workload::parse_object(stored.dump(), kind_of(spec)).value();
  Workload workload = track(object);
  settle(workload, {}, {});
  Answers answers;
  answers.put(image::Reference::parse(kImage).value(), workload.pull_source(), fake_digest('b'));
  const std::string patch =
      make_roll_patch(object, plan_workload(share(workload), answers, kNow), kNow).str();
  tidemark::testing::FakeKubeApi api;
  api.put(path_of(spec), stored.dump());
  const auto answer = api.patch(path_of(spec), patch, {}, Deadline::after(std::chrono::seconds{1}));
  ASSERT_TRUE(answer) << answer.error().message << patch;
  const json after = json::parse(*answer);
  for (const char* key : {"digest.tidemark.dev/app", "digest.tidemark.dev/first",
                          "volume-digest.tidemark.dev/data"}) {
    EXPECT_EQ(after["spec"]["template"]["metadata"]["annotations"][key], stamp_text(kImage, 'b'))
        << key;
  }
}

TEST(RollPatch, HistoryGivesWayAtTheLimitOfAnnotations) {
  Spec spec{.annotations = {{"tidemark.dev/sweep", "roll"}}};
  std::vector<workload::HistoryEntry> old(9, {.time = "2025-12-31T00:00:00Z",
                                              .slot = "app",
                                              .from = stamp_text(kImage, 'c'),
                                              .to = stamp_text(kImage, 'a'),
                                              .why = "edited",
                                              .by = "somebody"});
  spec.annotations["tidemark.dev/history"] = workload::dump_history(old);
  spec.annotations["example.com/big"] = std::string(workload::kMaxAnnotationsBytes - 1500, 'x');
  const json after = *patched(spec, object_of(spec));
  const auto annotations = after["metadata"]["annotations"].get<workload::StringMap>();
  EXPECT_LE(workload::annotations_bytes(annotations), workload::kMaxAnnotationsBytes);
  const auto history = workload::parse_history(annotations.at("tidemark.dev/history"));
  ASSERT_FALSE(history.empty());
  EXPECT_LT(history.size(), 10U);
  EXPECT_EQ(history.front().why, "moved");
}

// The API server compares a tested string as bytes with what Go's encoding/json wrote: seen
// on 1.34, where a change-cause of our own ("... -> ...") made every second roll fail.
TEST(RollPatch, TestsStringsInTheSpellingOfTheApiServer) {
  const Spec spec{.annotations = {{"tidemark.dev/sweep", "roll"},
                                  {"kubernetes.io/change-cause",
                                   "tidemark: <a> & \"b\" \\ \t\x01 \u00e9 \u2028"}}};
  const std::string patch = make_roll_patch(parsed(spec), plan_to_b(spec), kNow).str();
  EXPECT_NE(patch.find(R"({"op":"test","path":"/metadata/annotations/kubernetes.io~1change-cause",)"
                       R"("value":"tidemark: \u003ca\u003e \u0026 \"b\" \\ \t\u0001 )"
                       "\u00e9"
                       R"( \u2028"})"),
            std::string::npos)
      << patch;
  EXPECT_TRUE(patched(spec, object_of(spec)));
}

struct Edit {
  std::string name;
  std::function<void(json&)> apply;
};

class ConcurrentEdit : public ::testing::TestWithParam<Edit> {};

TEST_P(ConcurrentEdit, MakesThePatchFail) {
  const Spec spec;
  json stored = object_of(spec);
  GetParam().apply(stored);
  const auto after = patched(spec, stored);
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().kind, ErrorKind::kConflict);
}

json& pod_template(json& object) { return object["spec"]["template"]; }

INSTANTIATE_TEST_SUITE_P(
    RollPatch, ConcurrentEdit,
    ::testing::Values(
        Edit{"Image",
             [](json& o) { pod_template(o)["spec"]["containers"][0]["image"] = "other:2"; }},
        Edit{"ContainerName",
             [](json& o) { pod_template(o)["spec"]["containers"][0]["name"] = "other"; }},
        Edit{"ContainerBefore",
             [](json& o) {
               auto& containers = pod_template(o)["spec"]["containers"];
               containers.insert(containers.begin(), json{{"name", "new"}, {"image", "new:1"}});
             }},
        Edit{"Stamp",
             [](json& o) {
               pod_template(o)["metadata"]["annotations"]["digest.tidemark.dev/app"] =
                   stamp_text(kImage, 'c');
             }},
        Edit{"StampGone", [](json& o) { pod_template(o)["metadata"].erase("annotations"); }},
        Edit{"HistoryAppeared",
             [](json& o) { o["metadata"]["annotations"]["tidemark.dev/history"] = "[]"; }},
        Edit{"ChangeCauseAppeared",
             [](json& o) { o["metadata"]["annotations"]["kubernetes.io/change-cause"] = "mine"; }},
        Edit{"AnotherObject", [](json& o) { o["metadata"]["uid"] = "another"; }}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace tidemark::sweeper
