#include "sweeper/credentials.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/base64.h"
#include "sweeper/cluster.h"
#include "sweeper/run.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

// A cluster whose sweeps keep credentials, as `run` does, with one workload and its pull secret.
struct Kept : Cluster {
  PullCredentials credentials{&api, clock};

  Kept() {
    secret("alice");
    put({.annotations = {{"tidemark.dev/sweep", "report"}},
         .pod_spec = {{"imagePullSecrets", {{{"name", "pull"}}}}}});
    put({.name = "other", .annotations = {{"tidemark.dev/sweep", "report"}}});
    resolver.serve(kImage, fake_digest('a'));
  }
  void secret(const std::string& user) {
    const json config{{"auths", {{"registry.test", {{"username", user}, {"password", "x"}}}}}};
    api.put("/api/v1/namespaces/team-a/secrets/pull",
            json{{"type", "kubernetes.io/dockerconfigjson"},
                 {"data", {{".dockerconfigjson", base64_encode(config.dump())}}}}
                .dump());
  }
  // The registry knows this user alone; nobody else gets anything.
  void let_in(const std::string& user) {
    resolver.answer(kImage,
                    [user](const registry::Query& query, Deadline,
                           const std::stop_token&) -> Result<registry::Resolution> {
                      if (query.credentials.empty() || query.credentials[0].username != user) {
                        return fail(ErrorKind::kUnauthorized, "401");
                      }
                      return registry::Resolution{
                          .digest = fake_digest('a'), .media_type = "", .credential_source = ""};
                    });
  }
  SweepReport sweep_and_keep() {
    api.forget_calls();
    resolver.clear_calls();
    SweepContext kept = context();
    kept.credentials = &credentials;
    return sweeper::sweep(kept, options).value();
  }
  std::size_t reads() const { return api.calls("get").size(); }
};

TEST(PullCredentials, AreReadOnceForManySweeps) {
  Kept cluster;
  (void)cluster.sweep_and_keep();
  EXPECT_EQ(cluster.reads(), 2U) << "a secret and a service account";
  (void)cluster.sweep_and_keep();
  EXPECT_EQ(cluster.reads(), 0U);
  EXPECT_EQ(cluster.resolver.calls().size(), 2U) << "the registry is asked all the same";
  cluster.clock.advance(PullCredentials::kTtl);
  (void)cluster.sweep_and_keep();
  EXPECT_EQ(cluster.reads(), 2U);
}

TEST(PullCredentials, OfManyNamespacesAreReadSideBySide) {
  Cluster cluster;
  for (int i = 0; i < 6; ++i) {  // more than one connection's worth
    Spec spec;
    spec.ns = "team-" + std::to_string(i);
    cluster.add_namespace(spec.ns);
    cluster.put(spec);
  }
  cluster.resolver.serve(kImage, fake_digest('a'));
  std::atomic<int> asked = 0;
  std::atomic<int> alone = 0;
  cluster.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.path.find("/serviceaccounts/") == std::string::npos) return std::nullopt;
    ++asked;
    for (int i = 0; i < 5000 && asked < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    if (asked < 2) ++alone;
    return std::nullopt;
  });
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(alone, 0);
}

TEST(PullCredentials, ARotatedSecretIsReadAndAskedWithInTheSameSweep) {
  Kept cluster;
  cluster.let_in("alice");
  (void)cluster.sweep_and_keep();
  cluster.clock.advance(std::chrono::seconds{1});
  cluster.let_in("bob");
  cluster.secret("bob");
  const SweepReport report = cluster.sweep_and_keep();
  EXPECT_EQ(report.plans.at(1).slots.at(0).verdict, Verdict::kUpToDate);
  EXPECT_EQ(report.plans.at(0).slots.at(0).verdict, Verdict::kUnresolved) << "nobody's still";
  EXPECT_EQ(report.references_asked, 2U);
  EXPECT_EQ(report.references_failed, 1U);
  EXPECT_EQ(cluster.resolver.calls().size(), 3U) << "what has not changed is not asked again";
}

TEST(PullCredentials, ARefusalOfWhatWasJustReadIsTheAnswer) {
  Kept cluster;
  cluster.let_in("nobody");
  EXPECT_EQ(cluster.sweep_and_keep().references_failed, 2U);
  EXPECT_EQ(cluster.reads(), 2U);
  EXPECT_EQ(cluster.resolver.calls().size(), 2U);
}

TEST(PullCredentials, WhatMayWorkInAMomentIsReadByTheNextSweep) {
  Kept cluster;
  cluster.api.before([](const auto& call) -> std::optional<Error> {
    if (!call.path.ends_with("/secrets/pull")) return std::nullopt;
    return Error{.kind = ErrorKind::kUnavailable, .message = "down"};
  });
  (void)cluster.sweep_and_keep();
  cluster.api.before(nullptr);
  (void)cluster.sweep_and_keep();
  EXPECT_EQ(cluster.reads(), 1U);
  EXPECT_EQ(cluster.resolver.calls()[1].credentials.size() +
                cluster.resolver.calls()[0].credentials.size(),
            1U);
}

TEST(PullCredentials, AreNotKeptOverALongPause) {
  Kept cluster;
  SweepContext kept = cluster.context();
  kept.credentials = &cluster.credentials;
  Readiness readiness(cluster.clock, std::chrono::hours{3});
  const RunOptions options{.sweep = cluster.options, .interval = std::chrono::hours{1}, .seed = 7};
  int sweeps = 0;
  run_sweeps(kept, options, cluster.source(), readiness,
             [&](std::chrono::milliseconds, const std::stop_token&) { return ++sweeps < 2; }, {});
  EXPECT_EQ(cluster.reads(), 4U) << "the fake clock stood still";
}

}  // namespace
}  // namespace tidemark::sweeper
