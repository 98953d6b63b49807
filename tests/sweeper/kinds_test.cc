// Kinds of the configuration in a sweep.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sweeper/cluster.h"
#include "sweeper/manifest.h"
#include "sweeper/options.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using ::testing::HasSubstr;
using Call = tidemark::testing::FakeKubeApi::Call;

constexpr const char* kPath = "/apis/argoproj.io/v1alpha1/namespaces/team-a/rollouts/web";

workload::KindTable kinds() {
  return workload::KindTable::with(
             {workload::make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template")
                  .value()})
      .value();
}

TEST(Kinds, AMovedTagOfACustomKindIsRolledOnce) {
  Cluster cluster;
  cluster.options.kinds = kinds();
  cluster.api.put(kPath, object_of({}).dump());
  cluster.resolver.serve(kImage, fake_digest('b'));
  const auto report = cluster.sweep();
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->rolls.size(), 1U);
  EXPECT_EQ(report->rolls[0].kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(report->rolls[0].plan.label(), "rollout.argoproj.io/web");
  EXPECT_TRUE(cluster.sweep()->rolls.empty());
  EXPECT_EQ(cluster.api.calls("patch").size(), 1U);
  EXPECT_EQ(cluster.api.calls("patch")[0].path, kPath);
}

TEST(Kinds, OneThatIsNotInstalledIsToldAndTheSweepGoesOn) {
  for (const auto& [error, everything] :
       {std::pair{ErrorKind::kNotFound, true}, std::pair{ErrorKind::kForbidden, false}}) {
    Cluster cluster;
    cluster.options.kinds = kinds();
    cluster.put({});
    cluster.resolver.serve(kImage, fake_digest('b'));
    cluster.api.before([kind = error](const Call& call) -> std::optional<Error> {
      if (!call.path.ends_with("/rollouts")) return std::nullopt;
      return Error{.kind = kind, .message = "refused"};
    });
    const auto report = cluster.sweep();
    ASSERT_TRUE(report);
    EXPECT_EQ(cluster.stamp({}), stamp_text(kImage, 'b'));
    ASSERT_EQ(report->problems.size(), 1U);
    EXPECT_THAT(report->problems[0].what, HasSubstr("rollouts"));
    EXPECT_EQ(report->read_everything, everything);
  }
}

TEST(Kinds, AreTargetsByTheNamesThatKubectlTakes) {
  const auto table = kinds();
  EXPECT_EQ(parse_target("rollout/web", table)->kind->group, "argoproj.io");
  EXPECT_EQ(parse_target("rollouts.argoproj.io/web", table)->kind->kind, "Rollout");
  EXPECT_FALSE(parse_target("rollout/web", {}));
}

TEST(Kinds, HaveARoleOfTheirOwn) {
  const std::string role = kinds_role(kinds());
  EXPECT_THAT(role, HasSubstr("  - apiGroups: [argoproj.io]\n    resources: [rollouts]\n"
                              "    verbs: [get, list, watch, patch]\n---\n"));
  EXPECT_EQ(kinds_role({}), "");
}

}  // namespace
}  // namespace tidemark::sweeper
