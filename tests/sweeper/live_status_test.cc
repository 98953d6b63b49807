#include "sweeper/live_status.h"

#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "sweeper/ask_sweeper.h"
#include "sweeper/cluster.h"
#include "sweeper/commands.h"
#include "sweeper/live.h"
#include "sweeper/status_json.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

constexpr const char* kLease =
    "/apis/coordination.k8s.io/v1/namespaces/tidemark-system/leases/tidemark-sweeper";
constexpr const char* kPods = "/api/v1/namespaces/tidemark-system/pods";

class LiveStatusTest : public LiveTest {
 protected:
  LiveStatusTest() {
    options_.command = Command::kStatus;
    options_.system_namespace = "tidemark-system";
    cluster_.add_namespace("team-b");
    cluster_.add_namespace("tidemark-system");
    cluster_.resolver.serve(kImage, fake_digest('b'));
    const Spec quiet{.name = "quiet", .containers = {{.stamp = stamp_text(kImage, 'b')}}};
    cluster_.put(quiet);
    Spec held;
    held.annotations["tidemark.dev/hold"] = "true";
    held.annotations["tidemark.dev/hold-reason"] = "freeze";
    held.annotations["tidemark.dev/hold-until"] = "2026-01-02T00:00:00Z";
    held.annotations["tidemark.dev/history"] =
        workload::dump_history({{.time = "2025-12-31T19:00:00Z",
                                 .slot = "app",
                                 .from = "",
                                 .to = stamp_text(kImage, 'a'),
                                 .why = "created",
                                 .by = "kubectl"}});
    cluster_.put(held);
    const Spec reported{.kind = "StatefulSet",
                        .ns = "team-b",
                        .name = "db",
                        .annotations = {{"tidemark.dev/sweep", "report"}}};
    cluster_.put(reported);
    put_pod("web-1", 'a');
    put_pod("web-2", 'b');
  }

  void put_pod(const std::string& name, char digest) {
    cluster_.put_pod(Spec{}, name, "x@" + fake_digest(digest).str());
  }

  // Sweeps once, and answers from then on.
  void lead(const Selection& selection = {}) {
    cluster_.options.selection = selection;
    LiveTest::lead();
  }

  net::Response answer(const std::string& query = "", const std::string& method = "GET") {
    const std::string announced = live_->announcement(8080);
    const std::string path = std::string(kStatusPath) + announced.substr(announced.find('/') + 1);
    return live_->answer(
        {.method = method, .path = path, .query = query, .headers = {}, .body = ""});
  }

  SweeperStatus decoded(const std::string& query = "") {
    const net::Response response = answer(query);
    EXPECT_EQ(response.status, 200) << response.body;
    return decode_answer(response.body).value();
  }

  // What the API server's pod proxy gives a person from here on.
  void publish(const std::string& body, const std::string& query = "") {
    cluster_.api.put(
        kLease,
        json{{"metadata", {{"annotations", {{kStatusAnnotation, live_->announcement(8080)}}}}},
             {"spec", {{"holderIdentity", "sweeper-0"}}}}
            .dump());
    const std::string announced = live_->announcement(8080);
    cluster_.api.put(std::string(kPods) + "/http:sweeper-0:8080/proxy" + std::string(kStatusPath) +
                         announced.substr(announced.find('/') + 1) + query,
                     body);
  }

  struct Printed {
    int code = 0;
    std::string out;
    std::string err;
  };
  Printed call(AskedOf asked_of) {
    options_.asked_of = asked_of;
    std::ostringstream out;
    std::ostringstream err;
    const int code = status(cluster_.context(), options_, {out, err});
    return {code, out.str(), err.str()};
  }

  Options options_;
};

TEST_F(LiveStatusTest, ShowsTheRowsOfTheApiServerAndAsksNobody) {
  lead();
  cluster_.api.forget_calls();
  const std::size_t asked = cluster_.resolver.calls().size();
  const SweeperStatus live = decoded();
  for (const auto& call : cluster_.api.calls()) EXPECT_EQ(call.verb, "watch") << call.path;
  EXPECT_EQ(cluster_.resolver.calls().size(), asked);
  const auto read = read_status(cluster_.context(), cluster_.options);
  ASSERT_TRUE(read);
  EXPECT_EQ(live.status.rows, read->rows);
  ASSERT_EQ(live.status.rows.size(), 3U);
  EXPECT_EQ(live.status.rows[1].reason,
            "tidemark.dev/hold is set until 2026-01-02T00:00:00Z: freeze");
  EXPECT_TRUE(live.status.problems.empty());
  EXPECT_EQ(live.unasked, 0U);
}

TEST_F(LiveStatusTest, PrintsTheSameFromBoth) {
  lead();
  publish(answer().body);
  for (const Format format : {Format::kTable, Format::kJson, Format::kYaml}) {
    options_.format = format;
    const Printed live = call(AskedOf::kSweeper);
    EXPECT_EQ(live.code, kExitOk) << live.err;
    EXPECT_EQ(live.out, call(AskedOf::kApi).out);
    EXPECT_EQ(live.err, "");
  }
}

TEST_F(LiveStatusTest, AHoldShowsAtOnce) {
  lead();
  Spec free;
  free.annotations["tidemark.dev/sweep"] = "roll";
  cluster_.api.push_event("/apis/apps/v1/deployments", kube::WatchEvent::kModified,
                          object_of(free).dump());
  EXPECT_TRUE(soon([&] { return decoded().status.rows.at(1).verdict == Verdict::kRoll; }));
}

TEST_F(LiveStatusTest, PodsThatComeAndGoAreCounted) {
  lead();
  json gone = cluster_.api.object("/api/v1/namespaces/team-a/pods/web-1");
  cluster_.api.push_event("/api/v1/pods", kube::WatchEvent::kDeleted, gone.dump());
  json failed = cluster_.api.object("/api/v1/namespaces/team-a/pods/web-2");
  failed["status"]["phase"] = "Failed";
  cluster_.api.push_event("/api/v1/pods", kube::WatchEvent::kModified, failed.dump());
  EXPECT_TRUE(soon([&] { return decoded().status.rows.at(1).running.pods.empty(); }));
}

TEST_F(LiveStatusTest, NothingIsAnsweredWithoutThePods) {
  lead();
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.path != "/api/v1/pods") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not watch pods"};
  });
  cluster_.api.end_watch("/api/v1/pods");
  ASSERT_TRUE(soon([&] { return answer().status == 503; }));
  EXPECT_EQ(answer().body, "{\"error\":\"what pods run is not known: may not watch pods\"}\n");
}

TEST_F(LiveStatusTest, GivesOnlyTheNamespacesThatAreAskedFor) {
  lead();
  EXPECT_EQ(decoded("namespace=team-b").status.rows.size(), 1U);
  EXPECT_EQ(decoded("namespace=team-a&namespace=team-b").status.rows.size(), 3U);
  EXPECT_EQ(answer("namespace=").status, 400);
  EXPECT_EQ(answer("namespace=team%2da").status, 400);
  EXPECT_EQ(answer("limit=5").status, 400);
  std::string many;
  for (int i = 0; i < 101; ++i) many += "&namespace=n" + std::to_string(i);
  EXPECT_EQ(answer(many.substr(1)).status, 400);
}

TEST_F(LiveStatusTest, OnlyTheLeaderAnswersAndOnlyThoseWhoKnowItsKey) {
  lead();
  const auto at = [&](std::string_view path) {
    return live_->answer({.method = "GET", .path = path, .query = "", .headers = {}, .body = ""});
  };
  EXPECT_EQ(at("/v1/status/").status, 404);
  EXPECT_EQ(at("/v1/status/00000000000000000000000000000000").status, 404);
  EXPECT_EQ(answer("", "POST").status, 405);
  live_->stand_by();
  const net::Response refused = answer();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.body, "{\"error\":\"another replica leads\"}\n");
  live_->lead(*inventory_);
  EXPECT_EQ(answer().body, "{\"error\":\"no sweep yet\"}\n");
}

TEST_F(LiveStatusTest, TwoProcessesHaveTwoKeys) {
  const LiveStatus one(cluster_.context(), cluster_.options);
  const LiveStatus other(cluster_.context(), cluster_.options);
  EXPECT_NE(one.announcement(1), other.announcement(1));
  EXPECT_EQ(one.announcement(1).size(), 34U);
}

TEST_F(LiveStatusTest, FallsBackToTheApiServerAndSaysWhyIfAsked) {
  lead();
  publish("{}");
  options_.verbose = true;
  const std::string from_api = call(AskedOf::kApi).out;
  const std::vector<std::pair<std::function<void()>, std::string>> cases = {
      {[] {}, "not an answer that this version understands: no \"version\""},
      {[&] { publish(R"({"version":2})"); }, "version 2"},
      {[&] {
         cluster_.clock.advance(std::chrono::seconds{301});
         publish(answer().body);
       },
       "its last sweep was 301 s ago"},
      {[&] { cluster_.api.erase(kLease); }, "who leads is not known"},
  };
  for (const auto& [change, cause] : cases) {
    change();
    const Printed printed = call(AskedOf::kAuto);
    EXPECT_EQ(printed.code, kExitOk);
    EXPECT_NE(printed.err.find(cause), std::string::npos) << printed.err;
    EXPECT_EQ(std::ranges::count(printed.err, '\n'), 1) << printed.err;
    EXPECT_NE(printed.out.find("held"), std::string::npos);
  }
  EXPECT_NE(from_api, "");
}

TEST_F(LiveStatusTest, ASweeperThatWasAskedForAndFailsIsOneLine) {
  lead();
  publish("{}");
  cluster_.api.before([](const auto& asked) -> std::optional<Error> {
    if (asked.path.find("/proxy/") == std::string::npos) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "pods/proxy is forbidden"};
  });
  const Printed printed = call(AskedOf::kSweeper);
  EXPECT_EQ(printed.code, kExitMovedOrFailed);
  EXPECT_EQ(printed.out, "");
  EXPECT_EQ(printed.err, "error: the running sweeper: sweeper-0: pods/proxy is forbidden\n");
  EXPECT_EQ(call(AskedOf::kAuto).code, kExitOk);
}

TEST_F(LiveStatusTest, WhatIsNewerThanTheLastSweepIsReadFromTheApiServer) {
  lead();
  const std::string other = "registry.test/other:1";
  cluster_.resolver.serve(other, fake_digest('c'));
  const Spec young{.name = "young",
                   .containers = {{.image = other, .stamp = stamp_text(other, 'c')}}};
  cluster_.put(young);
  cluster_.api.push_event("/apis/apps/v1/deployments", kube::WatchEvent::kAdded,
                          object_of(young).dump());
  ASSERT_TRUE(soon([&] { return decoded().unasked == 1; }));
  publish(answer().body);
  options_.verbose = true;
  const Printed printed = call(AskedOf::kAuto);
  EXPECT_NE(printed.err.find("1 slots are newer"), std::string::npos) << printed.err;
  EXPECT_EQ(printed.out.find("unresolved"), std::string::npos);
  EXPECT_NE(call(AskedOf::kSweeper).out.find("unresolved"), std::string::npos);
}

TEST_F(LiveStatusTest, ASelectorNamesAndExcludedNamespacesNarrowBoth) {
  lead();
  publish(answer().body);
  // The fake lists all whatever the selector; the real one is test_status.py's.
  options_.selection.label_selector = "app=web";
  EXPECT_EQ(call(AskedOf::kSweeper).out, call(AskedOf::kApi).out);
  options_.selection = {.excluded = {"team-a"}};
  const std::string rest = call(AskedOf::kSweeper).out;
  EXPECT_EQ(std::ranges::count(rest, '\n'), 2) << rest;
  options_.selection = {};
  const workload::KindTable kinds;
  options_.only = {{.kind = kinds.find("apps", "Deployment"), .ns = "", .name = "web"}};
  const std::string web = call(AskedOf::kSweeper).out;
  EXPECT_EQ(web, call(AskedOf::kApi).out);
  EXPECT_EQ(std::ranges::count(web, '\n'), 2) << web;
  options_.only.front().name = "missing";
  for (const AskedOf asked_of : {AskedOf::kSweeper, AskedOf::kApi}) {
    const Printed printed = call(asked_of);
    EXPECT_EQ(printed.code, kExitMovedOrFailed);
    EXPECT_EQ(printed.err, "error: deployment/missing is not among what is looked at\n");
  }
}

TEST_F(LiveStatusTest, ASweeperOfOneNamespaceDoesNotAnswerForAll) {
  lead({.namespaces = {"team-b"}});
  publish(answer().body);
  publish(answer("namespace=team-b").body, "?namespace=team-b");
  const Printed printed = call(AskedOf::kSweeper);
  EXPECT_EQ(printed.code, kExitMovedOrFailed);
  EXPECT_NE(printed.err.find("leave out some"), std::string::npos) << printed.err;
  options_.selection.namespaces = {"team-b"};
  EXPECT_NE(call(AskedOf::kSweeper).out.find("statefulset/db"), std::string::npos);
}

TEST(Covers, IsTrueOnlyWhereNothingIsLeftOut) {
  const Selection all;
  const Selection a{.namespaces = {"a"}};
  const Selection not_a{.excluded = {"a"}};
  const Selection web{.label_selector = "app=web"};
  EXPECT_TRUE(covers(all, all));
  EXPECT_TRUE(covers(all, a));
  EXPECT_TRUE(covers(all, web));
  EXPECT_TRUE(covers(a, a));
  EXPECT_FALSE(covers(a, all));
  EXPECT_FALSE(covers(a, {.namespaces = {"a", "b"}}));
  EXPECT_TRUE(covers(not_a, not_a));
  EXPECT_TRUE(covers(not_a, {.namespaces = {"b"}}));
  EXPECT_FALSE(covers(not_a, all));
  EXPECT_FALSE(covers(not_a, a));
  EXPECT_TRUE(covers(web, web));
  EXPECT_FALSE(covers(web, all));
}

TEST(StatusJson, WhatIsNoAnswerIsRefused) {
  const std::string head = R"({"version":1,"ageSeconds":0,"unasked":0,"selection":)";
  const std::string selection =
      R"({"namespaces":[],"excludedNamespaces":[],"labelSelector":"","fieldSelector":""})";
  const std::string row =
      R"({"namespace":"a","workload":"w","slot":"s","image":"i","state":"held","running":[]})";
  const auto with = [&](const std::string& slots) {
    return head + selection + R"(,"slots":)" + slots + R"(,"problems":[]})";
  };
  EXPECT_TRUE(decode_answer(with("[" + row + "]")));
  for (
      const std::string& text :
      {std::string(), std::string("null"), std::string("[]"), std::string(R"({"version":"1"})"),
       std::string(R"({"version":-1})"), std::string(R"({"error":"another replica leads"})"),
       head + "[]}", with("{}"), with("[[]]"), with(R"([{"namespace":1}])"), with("[" + row + ",]"),
       with(
           R"([{"namespace":"a","workload":"w","slot":"s","image":"i","state":"new","running":[]}])"),
       with(
           R"([{"namespace":"a","workload":"w","slot":"s","image":"i","state":"held","running":[{}]}])"),
       with(
           R"([{"namespace":"a","workload":"w","slot":"s","image":"i","state":"held","running":[],"stamp":"sha256:1"}])")}) {
    const auto decoded = decode_answer(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kInvalid);
  }
}

TEST(StatusJson, AnAnswerHasABound) {
  SweeperStatus answer;
  answer.status.rows.resize(1000);
  for (StatusRow& row : answer.status.rows) row.reason = std::string(10'000, 'x');
  EXPECT_EQ(encode_answer(answer).error().kind, ErrorKind::kTooLarge);
}

TEST(Verdicts, AreReadAgainByTheirNames) {
  for (int i = 0; i <= static_cast<int>(Verdict::kOff); ++i) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_NE(to_string(verdict), "unknown");
    EXPECT_EQ(parse_verdict(to_string(verdict)), verdict);
  }
  EXPECT_EQ(parse_verdict("unknown"), std::nullopt);
}

}  // namespace
}  // namespace tidemark::sweeper
