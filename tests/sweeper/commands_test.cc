#include "sweeper/commands.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sweeper/cluster.h"
#include "sweeper/output.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

struct Printed {
  int code = 0;
  std::string out;
  std::string err;
};

using Function = int (*)(const SweepContext&, const Options&, Streams, std::stop_token);

Printed call(Function command, Cluster& cluster, const Options& options) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = command(cluster.context(), options, {out, err}, {});
  return {code, out.str(), err.str()};
}

Options for_web() {
  Options options;
  options.target = {
      .kind = workload::KindTable().find("apps", "Deployment"), .ns = "team-a", .name = "web"};
  return options;
}

TEST(Once, PrintsWhatItDid) {
  Cluster cluster;
  cluster.put({});
  cluster.put({.name = "quiet", .containers = {{.stamp = stamp_text(kImage, 'b')}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  const Printed printed = call(once, cluster, {});
  EXPECT_EQ(printed.code, kExitOk);
  EXPECT_EQ(printed.out,
            "NAMESPACE   WORKLOAD           SLOT   IMAGE                 STATE\n"
            "team-a      deployment/quiet   app    registry.test/app:1   ok\n"
            "team-a      deployment/web     app    registry.test/app:1   updated to " +
                fake_digest('b').str() + "\n");
}

TEST(Once, DryRunPrintsWhatItWouldDo) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options;
  options.dry_run = true;
  options.exit_code = ExitCode::kMovedOrFailed;
  const Printed printed = call(once, cluster, options);
  EXPECT_EQ(printed.code, kExitMovedOrFailed);
  EXPECT_NE(printed.out.find("has to be updated to " + fake_digest('b').str()), std::string::npos);
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(Once, ExitCodeIsZeroWhereNothingMoved) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('a'));
  Options options;
  options.exit_code = ExitCode::kMovedOrFailed;
  EXPECT_EQ(call(once, cluster, options).code, kExitOk);
}

TEST(Once, ExitCodeTellsWhatMovedFromWhatFailed) {
  const auto exit_code = [](ExitCode wanted, Result<image::Digest> answer) {
    Cluster cluster;
    cluster.put({});
    if (answer) {
      cluster.resolver.serve(kImage, *answer);
    } else {
      cluster.resolver.refuse(kImage, answer.error());
    }
    Options options;
    options.exit_code = wanted;
    return call(once, cluster, options).code;
  };
  const image::Digest moved = fake_digest('b');
  const Error down{.kind = ErrorKind::kUnavailable, .message = "connection refused"};
  EXPECT_EQ(exit_code(ExitCode::kMovedOrFailed, moved), kExitMovedOrFailed);
  EXPECT_EQ(exit_code(ExitCode::kMovedOrFailed, fail(down)), kExitMovedOrFailed);
  EXPECT_EQ(exit_code(ExitCode::kFailed, moved), kExitOk);
  EXPECT_EQ(exit_code(ExitCode::kFailed, fail(down)), kExitMovedOrFailed);
  EXPECT_EQ(exit_code(ExitCode::kNone, fail(down)), kExitOk);
}

TEST(Once, AnApiServerThatIsDownIsAnErrorAlways) {
  Cluster cluster;
  cluster.api.before([](const auto&) {
    return std::optional<Error>(Error{.kind = ErrorKind::kUnavailable, .message = "refused"});
  });
  const Printed printed = call(once, cluster, {});
  EXPECT_EQ(printed.code, kExitMovedOrFailed);
  EXPECT_EQ(printed.err, "error: listing namespaces: refused\n");
}

TEST(Once, JsonAndYamlCarryTheSame) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options;
  options.dry_run = true;
  options.format = Format::kJson;
  const json printed = json::parse(call(once, cluster, options).out);
  const json slot = printed.at("workloads").at(0).at("slots").at(0);
  EXPECT_EQ(slot.at("verdict"), "roll");
  EXPECT_EQ(slot.at("stamp"), stamp_text(kImage, 'a'));
  EXPECT_EQ(slot.at("digest"), fake_digest('b').str());
  options.format = Format::kYaml;
  const std::string yaml = call(once, cluster, options).out;
  EXPECT_NE(yaml.find("verdict: \"roll\""), std::string::npos);
  EXPECT_NE(yaml.find("referencesAsked: 1"), std::string::npos);
}

TEST(Explain, TellsWhy) {
  Cluster cluster;
  cluster.put({.containers = {{.policy = "IfNotPresent"}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  const Printed printed = call(explain, cluster, for_web());
  EXPECT_EQ(printed.code, kExitOk);
  EXPECT_EQ(printed.out,
            "team-a deployment/web\n"
            "  app: registry.test/app:1\n"
            "    stamp:      " +
                fake_digest('a').str() +
                "\n"
                "    registry:   " +
                fake_digest('b').str() +
                "\n"
                "    credential: none\n"
                "    verdict:    not-always (imagePullPolicy is not Always: nodes may keep "
                "the old image)\n");
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(Explain, TellsWhatThePodsRunAndWhereThatIsNotWhatIsStamped) {
  Cluster cluster;
  Spec spec{.kind = "StatefulSet"};
  spec.spec = {{"selector", {{"matchLabels", {{"app", "web"}}}}}};
  cluster.put(spec);
  const auto put_pod = [&](const std::string& name, char digest) {
    cluster.api.put(
        "/api/v1/namespaces/team-a/pods/" + name,
        json{{"metadata",
              {{"annotations", {{"digest.tidemark.dev/app", stamp_text(kImage, 'a')}}},
               {"ownerReferences",
                {{{"kind", "StatefulSet"}, {"name", "web"}, {"controller", true}}}}}},
             {"status",
              {{"containerStatuses",
                {{{"name", "app"}, {"imageID", "x.test/y@" + fake_digest(digest).str()}}}}}}}
            .dump());
  };
  put_pod("web-0", 'a');
  put_pod("web-1", 'c');
  bool is_child = false;
  cluster.resolver.answer(kImage,
                          [&](const registry::Query& query, Deadline,
                              const std::stop_token&) -> Result<registry::Resolution> {
                            registry::Resolution out{.digest = fake_digest('a')};
                            if (query.with_platforms && is_child)
                              out.platforms = {fake_digest('c')};
                            return out;
                          });
  Options options = for_web();
  options.target.kind = workload::KindTable().find("apps", "StatefulSet");
  const std::string skewed = call(explain, cluster, options).out;
  EXPECT_NE(skewed.find("    running:    " + fake_digest('a').str() + " (1 pod), " +
                        fake_digest('c').str() + " (1 pod)\n"),
            std::string::npos)
      << skewed;
  EXPECT_NE(skewed.find("runs in web-1"), std::string::npos) << skewed;
  is_child = true;
  const std::string of_platform = call(explain, cluster, options).out;
  EXPECT_EQ(of_platform.find("runs in web-1"), std::string::npos) << of_platform;

  options.format = Format::kJson;
  const json printed = json::parse(call(explain, cluster, options).out);
  EXPECT_EQ(printed["slots"][0]["running"],
            json({{{"digest", fake_digest('a').str()}, {"pods", 1}},
                  {{"digest", fake_digest('c').str()}, {"pods", 1}}}));
}

TEST(Explain, TellsWhatAPacedRollWaitsFor) {
  Cluster cluster;
  cluster.put({});
  cluster.put({.name = "first", .containers = {{.stamp = stamp_text(kImage, 'a')}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options = for_web();
  options.target.name = "first";
  cluster.options.pace.waves = true;
  ASSERT_EQ(cluster.sweep()->rolls.size(), 1U);
  const bool first_was_web = cluster.stamp({}) == stamp_text(kImage, 'b');
  options.target.name = first_was_web ? "first" : "web";
  const std::string waits_for = first_was_web ? "web" : "first";
  EXPECT_NE(call(explain, cluster, options)
                .out.find("paced (it waits for team-a deployment/" + waits_for + ")"),
            std::string::npos);

  // Who may not list cannot know what goes before.
  cluster.api.before([](const auto& asked) -> std::optional<Error> {
    if (asked.verb != "list") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not list"};
  });
  const std::string alone = call(explain, cluster, options).out;
  EXPECT_NE(alone.find("verdict:    roll"), std::string::npos) << alone;
  EXPECT_NE(alone.find("pacing is not considered: "), std::string::npos) << alone;
}

TEST(Explain, AMissingWorkloadIsAnError) {
  Cluster cluster;
  const Printed printed = call(explain, cluster, for_web());
  EXPECT_EQ(printed.code, kExitMovedOrFailed);
  EXPECT_FALSE(printed.err.empty());
}

TEST(History, PrintsWhatASweepRecorded) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  (void)cluster.sweep();
  Options options = for_web();
  options.format = Format::kJson;
  const json printed = json::parse(call(history, cluster, options).out);
  ASSERT_EQ(printed.size(), 1U);
  EXPECT_EQ(printed[0].at("why"), "moved");
  EXPECT_EQ(printed[0].at("by"), "tidemark-sweeper");
  options.format = Format::kTable;
  EXPECT_NE(call(history, cluster, options).out.find("2026-01-01T00:00:00Z"), std::string::npos);
}

TEST(HoldCommand, HoldsUntilResumeAndTellsBoth) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options = for_web();
  options.hold.reason = "freeze";
  EXPECT_EQ(call(hold, cluster, options).out, "team-a Deployment/web held\n");
  EXPECT_EQ(call(hold, cluster, options).out, "team-a Deployment/web unchanged\n");
  EXPECT_EQ(cluster.annotation(spec, "tidemark.dev/hold-reason"), "freeze");
  EXPECT_TRUE(cluster.sweep()->rolls.empty());

  EXPECT_EQ(call(resume, cluster, for_web()).out, "team-a Deployment/web resumed\n");
  EXPECT_EQ(cluster.sweep()->rolls.size(), 1U);
  EXPECT_EQ(cluster.stamp(spec), stamp_text(kImage, 'b'));
}

TEST(HoldCommand, ADryRunWritesNothing) {
  Cluster cluster;
  cluster.put({});
  Options options = for_web();
  options.dry_run = true;
  EXPECT_EQ(call(hold, cluster, options).out, "team-a Deployment/web held (dry run)\n");
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(HoldCommand, OfANamespaceHoldsItsWorkloadsAndResumeTellsSo) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options;
  options.target = {.kind = &namespace_kind(), .ns = "ignored", .name = "team-a"};
  EXPECT_EQ(call(hold, cluster, options).out, "namespace/team-a held\n");
  EXPECT_TRUE(cluster.sweep()->rolls.empty());
  EXPECT_EQ(call(resume, cluster, for_web()).out,
            "team-a Deployment/web unchanged\n"
            "still held: tidemark.dev/hold is set on the namespace\n");
  EXPECT_EQ(call(resume, cluster, options).out, "namespace/team-a resumed\n");
  EXPECT_EQ(cluster.sweep()->rolls.size(), 1U);
}

TEST(HoldCommand, OfTheWholeClusterHoldsAllAndExplainAndResumeTellSo) {
  Cluster cluster;
  cluster.put({});
  cluster.add_namespace("tidemark-system", {{"name", "tidemark-system"}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Options options = for_web();
  options.system_namespace = "tidemark-system";
  Options all = options;
  all.target = {.kind = &namespace_kind(), .ns = "", .name = "tidemark-system", .is_cluster = true};
  all.hold.reason = "freeze";
  EXPECT_EQ(call(hold, cluster, all).out, "the whole cluster held\n");
  EXPECT_TRUE(cluster.sweep()->rolls.empty());
  const std::string order = "tidemark.dev/hold is set for the whole cluster: freeze";
  EXPECT_NE(call(explain, cluster, options).out.find(order), std::string::npos);
  EXPECT_EQ(call(resume, cluster, options).out,
            "team-a Deployment/web unchanged\nstill held: " + order + "\n");
  EXPECT_EQ(call(resume, cluster, all).out, "the whole cluster resumed\n");
  EXPECT_EQ(cluster.sweep()->rolls.size(), 1U);
}

TEST(HoldCommand, GoesRoundAConflictAndEndsWithOneThatDoesNot) {
  for (const int conflicts : {1, 100}) {
    Cluster cluster;
    cluster.put({});
    int patches = 0;
    cluster.api.before(
        [&](const tidemark::testing::FakeKubeApi::Call& call) -> std::optional<Error> {
          if (call.verb != "patch" || patches++ >= conflicts) return std::nullopt;
          return Error{.kind = ErrorKind::kConflict, .message = "changed meanwhile"};
        });
    const Printed printed = call(hold, cluster, for_web());
    EXPECT_EQ(printed.code, conflicts == 1 ? kExitOk : kExitMovedOrFailed);
    EXPECT_EQ(patches, conflicts == 1 ? 2 : 5);
  }
}

TEST(Output, NoControlByteReachesATerminal) {
  const std::string printed = print_history(
      {{.time = "t", .slot = "app", .from = "", .to = "x", .why = "edited", .by = "evil\x1b[2J\n"}},
      Format::kTable);
  EXPECT_EQ(printed.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace tidemark::sweeper
