#include "sweeper/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "sweeper/cluster.h"
#include "sweeper/ops.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using std::chrono::milliseconds;

// Runs `sweeps` sweeps, with no time between them, and gives the pauses that were asked for.
std::vector<milliseconds> pauses(Cluster& cluster, Readiness& readiness, std::size_t sweeps) {
  std::vector<milliseconds> out;
  RunOptions options{.sweep = cluster.options, .interval = milliseconds{60'000}, .seed = 7};
  run_sweeps(cluster.context(), options, cluster.source(), readiness,
             [&](milliseconds pause, const std::stop_token&) {
               out.push_back(pause);
               return out.size() < sweeps;
             },
             {});
  return out;
}

Error unavailable() { return {.kind = ErrorKind::kUnavailable, .message = "no route to host"}; }

TEST(Run, SweepsAtTheIntervalWithJitter) {
  Cluster cluster;
  Readiness readiness(cluster.clock, milliseconds{180'000});
  const auto waited = pauses(cluster, readiness, 20);
  ASSERT_EQ(waited.size(), 20U);
  for (const milliseconds pause : waited) {
    EXPECT_GE(pause, milliseconds{54'000});
    EXPECT_LE(pause, milliseconds{66'000});
  }
  EXPECT_NE(waited[0], waited[1]);
}

TEST(Run, SweepsWhenTheScheduleSaysSo) {
  Cluster cluster;  // at midnight
  Readiness readiness(cluster.clock, milliseconds{180'000});
  std::vector<milliseconds> waited;
  std::vector<std::size_t> listed;
  RunOptions options{.sweep = cluster.options, .seed = 7};
  options.schedule = Cron::parse("30 */10 * * * *").value();
  run_sweeps(cluster.context(), options, cluster.source(), readiness,
             [&](milliseconds pause, const std::stop_token&) {
               waited.push_back(pause);
               listed.push_back(cluster.api.calls("list").size());
               cluster.clock.advance(pause);
               return waited.size() < 3;
             },
             {});
  EXPECT_EQ(waited, (std::vector<milliseconds>{std::chrono::seconds{30}, std::chrono::minutes{10},
                                               std::chrono::minutes{10}}));
  EXPECT_EQ(listed.front(), 0U) << "it waits for its first time, too";
  EXPECT_EQ(readiness_patience(options, cluster.clock.wall_now()),
            3 * std::chrono::minutes{10} + options.sweep.check.whole);
  options.schedule = Cron::parse("0 8-17 * * mon-fri").value();
  EXPECT_EQ(readiness_patience(options, cluster.clock.wall_now()),
            3 * std::chrono::hours{63} + options.sweep.check.whole)
      << "the weekend";
}

TEST(Run, BacksOffWhereASweepCannotBeMade) {
  Cluster cluster;
  cluster.api.before([](const auto&) { return std::optional<Error>(unavailable()); });
  Readiness readiness(cluster.clock, milliseconds{180'000});
  const auto waited = pauses(cluster, readiness, 10);
  EXPECT_EQ(waited.front(), milliseconds{1'000});
  for (const milliseconds pause : waited) EXPECT_LE(pause, milliseconds{66'000});
  EXPECT_EQ(readiness.problem(), "listing namespaces: no route to host");
}

TEST(Run, EndsWithoutAnotherRequestOnceStopped) {
  Cluster cluster;
  Readiness readiness(cluster.clock, milliseconds{180'000});
  std::stop_source stop;
  cluster.api.before([&stop](const auto&) {
    stop.request_stop();
    return std::optional<Error>(Error{.kind = ErrorKind::kCanceled, .message = "stopped"});
  });
  run_sweeps(
      cluster.context(), {.sweep = cluster.options}, cluster.source(), readiness,
      [](milliseconds, const std::stop_token&) {
        ADD_FAILURE() << "slept after the stop";
        return false;
      },
      stop.get_token());
  EXPECT_EQ(cluster.api.calls().size(), 1U);
}

// A Deployment whose pods have all followed its template.
void finish(Cluster& cluster, const Spec& spec) {
  json object = cluster.api.object(path_of(spec));
  object["status"] = {
      {"observedGeneration", 1}, {"replicas", 1}, {"updatedReplicas", 1}, {"availableReplicas", 1}};
  cluster.api.put(path_of(spec), object.dump());
}

TEST(Run, PacedRollsGoOnBetweenTwoSweepsWithoutARegistry) {
  Cluster cluster;
  std::vector<Spec> specs;
  for (const char* name : {"one", "two", "three"}) {
    specs.push_back({.name = name});
    cluster.put(specs.back());
    finish(cluster, specs.back());
  }
  cluster.options.pace.waves = true;
  cluster.resolver.serve(kImage, fake_digest('b'));
  Readiness readiness(cluster.clock, milliseconds{180'000});
  std::vector<milliseconds> waited;
  std::vector<std::size_t> rolled;
  const RunOptions options{.sweep = cluster.options, .interval = milliseconds{60'000}, .seed = 7};
  run_sweeps(cluster.context(), options, cluster.source(), readiness,
             [&](milliseconds pause, const std::stop_token&) {
               waited.push_back(pause);
               rolled.push_back(
                   static_cast<std::size_t>(std::ranges::count_if(specs, [&](const Spec& spec) {
                     return cluster.stamp(spec) == stamp_text(kImage, 'b');
                   })));
               // The second step finds the first workload still under way.
               if (waited.size() == 1) {
                 for (const Spec& spec : specs) {
                   if (cluster.stamp(spec) != stamp_text(kImage, 'b')) continue;
                   json object = cluster.api.object(path_of(spec));
                   object["status"]["availableReplicas"] = 0;
                   cluster.api.put(path_of(spec), object.dump());
                 }
               } else {
                 for (const Spec& spec : specs) finish(cluster, spec);
               }
               return rolled.back() < 3;
             },
             {});
  EXPECT_EQ(rolled, (std::vector<std::size_t>{1, 1, 3}));
  EXPECT_EQ(waited[0], milliseconds{2'000});
  EXPECT_EQ(waited[1], milliseconds{2'000});
  EXPECT_GT(waited[2], milliseconds{45'000}) << "what is left of the interval";
  EXPECT_EQ(cluster.resolver.calls().size(), 1U);
}

class RunWithPushes : public ::testing::Test {
 protected:
  // Runs until `step`, called in place of each wait, says that it is enough.
  void run(const std::function<bool(int)>& step) {
    Readiness readiness(cluster_.clock, milliseconds{180'000});
    const RunOptions options{
        .sweep = cluster_.options, .interval = milliseconds{60'000}, .due = &due_, .seed = 7};
    const Source source = [this, from = cluster_.source()](const std::stop_token& stop) {
      auto collected = from(stop);
      if (collected) due_.know(references_of(collected->workloads));
      return collected;
    };
    int waits = 0;
    run_sweeps(cluster_.context(), options, source, readiness,
               [&](milliseconds time, const std::stop_token&) {
                 waited_.push_back(time);
                 cluster_.clock.advance(std::min(time, milliseconds{1'000}));
                 return step(++waits);
               },
               {});
  }

  Cluster cluster_;
  Due due_{cluster_.clock};
  std::vector<milliseconds> waited_;
};

TEST_F(RunWithPushes, APushIsRolledBetweenTwoSweepsForOneQuestion) {
  cluster_.put({});
  cluster_.put({.name = "other",
                .containers = {{.image = "registry.test/other:1",
                                .stamp = stamp_text("registry.test/other:1", 'a')}}});
  cluster_.resolver.serve(kImage, fake_digest('a'));
  cluster_.resolver.serve("registry.test/other:1", fake_digest('a'));
  run([&](int waits) {
    if (waits > 1) return false;
    EXPECT_EQ(cluster_.resolver.calls().size(), 2U);
    cluster_.resolver.serve(kImage, fake_digest('b'));
    EXPECT_EQ(due_.add(kImage), Due::Added::kDue);
    return true;
  });
  EXPECT_EQ(cluster_.stamp({}), stamp_text(kImage, 'b'));
  EXPECT_EQ(cluster_.resolver.calls().size(), 3U);
  EXPECT_EQ(waited_.at(1), waited_.at(0) - milliseconds{1'000}) << "what is left of the interval";
  EXPECT_NE(cluster_.metrics.expose().find("tidemark_push_to_roll_seconds_count 1"),
            std::string::npos);
}

TEST_F(RunWithPushes, ANameThatNobodyUsesAsksNoRegistry) {
  cluster_.put({});
  cluster_.resolver.serve(kImage, fake_digest('a'));
  run([&](int waits) {
    for (int i = 0; i < 100; ++i) {
      (void)due_.add("elsewhere.test/" + std::to_string(waits) + "/" + std::to_string(i) + ":1");
    }
    return waits < 5;
  });
  EXPECT_EQ(cluster_.resolver.calls().size(), 1U);
}

TEST_F(RunWithPushes, AWorkloadThatIsNewerThanTheLastSweepIsFound) {
  run([&](int waits) {
    if (waits > 1) return false;
    cluster_.put({});
    cluster_.resolver.serve(kImage, fake_digest('b'));
    EXPECT_EQ(due_.add(kImage), Due::Added::kUnknown);
    return true;
  });
  EXPECT_EQ(cluster_.stamp({}), stamp_text(kImage, 'b'));
}

TEST_F(RunWithPushes, ARegistryThatFailsRollsNothingAndTheNextSweepAsksAgain) {
  cluster_.put({});
  cluster_.resolver.serve(kImage, fake_digest('a'));
  run([&](int waits) {
    if (waits > 1) return false;
    cluster_.resolver.refuse(kImage, unavailable());
    (void)due_.add(kImage);
    return true;
  });
  EXPECT_EQ(cluster_.stamp({}), stamp_text(kImage, 'a'));
}

TEST(Readiness, LastsAsLongAsTheLastSuccessIsRecent) {
  Cluster cluster;
  Readiness readiness(cluster.clock, milliseconds{180'000});
  EXPECT_EQ(readiness.problem(), "no sweep yet");
  pauses(cluster, readiness, 1);
  EXPECT_EQ(readiness.problem(), std::nullopt);
  readiness.failed("down");
  cluster.clock.advance(milliseconds{180'000});
  EXPECT_EQ(readiness.problem(), std::nullopt);
  cluster.clock.advance(milliseconds{1});
  EXPECT_EQ(readiness.problem(), "down");
}

TEST(Readiness, NeedsEveryKindToBeListed) {
  Cluster cluster;
  cluster.api.before([](const auto& call) -> std::optional<Error> {
    if (call.verb == "list" && call.path.ends_with("/cronjobs")) return unavailable();
    return std::nullopt;
  });
  Readiness readiness(cluster.clock, milliseconds{180'000});
  pauses(cluster, readiness, 1);
  EXPECT_NE(readiness.problem(), std::nullopt);
}

TEST(Readiness, StandbyIsReadyAndStoppingIsNot) {
  const tidemark::testing::FakeClock clock;
  Readiness readiness(clock, milliseconds{1});
  readiness.standing_by(true);
  EXPECT_EQ(readiness.problem(), std::nullopt);
  readiness.stopping();
  EXPECT_EQ(readiness.problem(), "stopping");
}

TEST(Ops, Answers) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  Readiness readiness(cluster.clock, milliseconds{1'000});
  const net::Headers none;
  const auto answer = [&](std::string_view method, std::string_view path) {
    return answer_ops({.method = method, .path = path, .query = "", .headers = none, .body = ""},
                      readiness, cluster.metrics);
  };
  EXPECT_EQ(answer("GET", "/healthz").status, 200);
  EXPECT_EQ(answer("GET", "/readyz").status, 503);
  pauses(cluster, readiness, 1);
  EXPECT_EQ(answer("GET", "/readyz").status, 200);
  EXPECT_EQ(answer("POST", "/readyz").status, 405);
  EXPECT_EQ(answer("GET", "/").status, 404);
  const std::string metrics = answer("GET", "/metrics").body;
  EXPECT_NE(metrics.find("tidemark_sweeps_total{outcome=\"ok\"} 1"), std::string::npos);
  EXPECT_NE(metrics.find("tidemark_rolls_total{outcome=\"rolled\"} 1"), std::string::npos);
  EXPECT_NE(metrics.find("tidemark_sweep_slots{verdict=\"roll\"} 1"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::sweeper
