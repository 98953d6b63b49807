#include "sweeper/status.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sweeper/cluster.h"
#include "sweeper/commands.h"
#include "sweeper/output.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

const std::string kA(12, 'a');
const std::string kB(12, 'b');

class StatusCommand : public ::testing::Test {
 protected:
  StatusCommand() {
    options_.command = Command::kStatus;
    cluster_.resolver.serve(kImage, fake_digest('b'));
    const Spec quiet{.name = "quiet", .containers = {{.stamp = stamp_text(kImage, 'b')}}};
    cluster_.put(quiet);
    Spec held;
    held.annotations["tidemark.dev/hold"] = "true";
    held.annotations["tidemark.dev/hold-reason"] = "freeze";
    held.annotations["tidemark.dev/history"] = workload::dump_history(
        {{.time = to_rfc3339(cluster_.clock.wall_now() - std::chrono::hours{5}),
          .slot = "app",
          .from = "",
          .to = stamp_text(kImage, 'a'),
          .why = "created",
          .by = "kubectl"}});
    cluster_.put(held);
    put_pod("web-1", 'a');
  }
  void put_pod(const std::string& name, char digest) {
    cluster_.put_pod(Spec{}, name, "x@" + fake_digest(digest).str());
  }
  std::string call(std::stop_token stop = {}) {
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(status(cluster_.context(), options_, {out, err}, std::move(stop)), kExitOk)
        << err.str();
    return out.str();
  }

  Cluster cluster_;
  Options options_;
};

TEST_F(StatusCommand, ShowsEverySlotAndWritesNothing) {
  put_pod("web-2", 'b');
  EXPECT_EQ(call(),
            "NAMESPACE   WORKLOAD           SLOT   IMAGE                 STAMPED        REGISTRY   "
            "    RUNNING        "
            "                 STATE   SINCE   REASON\n"
            "team-a      deployment/quiet   app    registry.test/app:1   " +
                kB + "   " + kB + "   -                               ok      -\n" +
                "team-a      deployment/web     app    registry.test/app:1   " + kA + "   " + kB +
                "   " + kA + ":1," + kB +
                ":1   held    5h      tidemark.dev/hold is set: freeze\n");
  EXPECT_TRUE(cluster_.api.calls("patch").empty());
}

TEST_F(StatusCommand, JsonHasTheWholeDigests) {
  options_.format = Format::kJson;
  const json printed = json::parse(call());
  ASSERT_EQ(printed["slots"].size(), 2U);
  const json& web = printed["slots"][1];
  EXPECT_EQ(web["state"], "held");
  EXPECT_EQ(web["stamp"], fake_digest('a').str());
  EXPECT_EQ(web["digest"], fake_digest('b').str());
  EXPECT_EQ(web["running"], json({{{"digest", fake_digest('a').str()}, {"pods", 1}}}));
  EXPECT_TRUE(printed["problems"].empty());
}

TEST_F(StatusCommand, ATerminalGetsColoursAndNoLineWiderThanItself) {
  options_.terminal = {.colours = true, .width = 60};
  std::istringstream lines(call());
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "NAMESPACE   WORKLOAD           SLOT   STATE   REASON");
  std::getline(lines, line);
  EXPECT_EQ(line, "\x1b[32mteam-a      deployment/quiet   app    ok\x1b[0m");
  std::getline(lines, line);
  EXPECT_EQ(line, "\x1b[33mteam-a      deployment/web     app    held    tidemark.dev/h\x1b[0m")
      << "moved, and held";
}

TEST_F(StatusCommand, PodsThatCannotBeReadAreToldAndTheRestIsShown) {
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.path != "/api/v1/pods") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not list pods"};
  });
  const std::string printed = call();
  EXPECT_NE(printed.find("held"), std::string::npos);
  EXPECT_TRUE(printed.ends_with("cannot be read: pods: may not list pods\n")) << printed;
}

TEST_F(StatusCommand, WatchShowsOnlyWhatChanges) {
  options_.watch = true;
  options_.config.sweeper.interval = std::chrono::milliseconds{1};
  const Spec free;
  std::stop_source stop;
  int rounds = 0;
  cluster_.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.path != "/api/v1/namespaces") return std::nullopt;
    ++rounds;
    if (rounds == 3) cluster_.put(free);  // nobody holds it any more
    if (rounds == 5) stop.request_stop();
    return std::nullopt;
  });
  const std::string printed = call(stop.get_token());
  std::istringstream lines(printed);
  std::vector<std::string> seen;
  for (std::string line; std::getline(lines, line);) seen.push_back(line);
  ASSERT_EQ(seen.size(), 4U) << printed;
  EXPECT_TRUE(seen[3].starts_with("team-a      deployment/web ")) << printed;
  EXPECT_NE(seen[3].find("roll"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::sweeper
