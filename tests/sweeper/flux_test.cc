#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "sweeper/flux_objects.h"
#include "sweeper/flux_status.h"

namespace tidemark::sweeper {
namespace {

using Json = nlohmann::json;

const WallTime kNow{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z

FluxObjects objects() {
  FluxObjects out{.version = "v1"};
  out.repositories.push_back(read_flux_image_repository(R"({
    "metadata": {"namespace": "flux-system", "name": "podinfo", "generation": 3},
    "spec": {"image": "ghcr.io/stefanprodan/podinfo", "secretRef": {"name": "pull"}}})")
                                 .value());
  out.policies.push_back(read_flux_image_policy(R"({
    "metadata": {"namespace": "flux-system", "name": "podinfo", "generation": 1},
    "spec": {"imageRepositoryRef": {"name": "podinfo"}, "policy": {"semver": {"range": "5.0.x"}}},
    "status": {"latestRef": {"name": "ghcr.io/stefanprodan/podinfo", "tag": "5.0.0"},
               "conditions": [{"type": "Ready", "status": "True",
                               "lastTransitionTime": "2025-01-01T00:00:00Z"}]}})")
                             .value());
  out.automations.push_back(read_flux_automation(R"({
    "metadata": {"namespace": "flux-system", "name": "auto", "generation": 2},
    "spec": {"sourceRef": {"kind": "GitRepository", "name": "apps"},
             "git": {"commit": {"author": {"email": "bot@example.com"}}, "push": {"branch": "x"}},
             "update": {"path": "./clusters/a/"}}})")
                                .value());
  out.sources.emplace(
      "flux-system/apps",
      FluxGitRepository{.url = "https://git.test/apps", .secret = "git", .branch = "release"});
  return out;
}

GitReport report_of(const FluxPlan& plan) {
  GitReport out;
  for (const GitPolicy& each : plan.plan.policies) {
    out.policies.push_back({.policy = each.named,
                            .choice = policy::TagChoice{.tag = "5.0.3", .tags = 9, .fitting = 4}});
  }
  for (const GitTarget& each : plan.plan.targets) {
    out.repositories.push_back(
        {.repository = each.repository, .outcome = gitops::WriteBackOutcome{}});
  }
  return out;
}

Json status_in(const std::vector<FluxStatus>& statuses, const std::string& plural) {
  for (const FluxStatus& each : statuses) {
    if (each.plural == plural) return Json::parse(each.patch)["status"];
  }
  return {};
}

TEST(Flux, ObjectsBecomePoliciesAndRepositories) {
  const FluxPlan plan = plan_flux(objects());
  ASSERT_EQ(plan.plan.policies.size(), 2U) << "the repository's own scan, and the policy";
  const GitPolicy& policy = plan.plan.policies[1];
  EXPECT_EQ(policy.named.name, "flux-system:podinfo");
  EXPECT_EQ(policy.named.image, "ghcr.io/stefanprodan/podinfo");
  EXPECT_EQ(policy.named.policy, "semver: 5.0.x\nexclude: (?:^.*\\.sig$)");
  EXPECT_EQ(policy.named.pull_secrets, std::vector<std::string>{"pull"});
  EXPECT_FALSE(policy.named.digest);
  ASSERT_EQ(plan.plan.targets.size(), 1U);
  const config::GitRepository& to = plan.plan.targets[0].repository;
  EXPECT_EQ(to.name, "flux-system:auto");
  EXPECT_EQ(to.branch, "release");
  EXPECT_EQ(to.push_branch, "x");
  EXPECT_EQ(to.path, "clusters/a");
  EXPECT_EQ(to.secret, "flux-system/git");
  EXPECT_EQ(to.author_name, "bot@example.com");
  EXPECT_EQ(plan.plan.targets[0].policies, std::vector<std::size_t>{1});
}

TEST(Flux, WhatIsAskedForAndNotDoneIsAProblem) {
  const auto problem = [](const std::string& git, const std::string& more = "") {
    return read_flux_automation(R"({"metadata": {"namespace": "a", "name": "b"}, "spec": {)"
                                R"("sourceRef": {"kind": "GitRepository", "name": "c"}, "git": )" +
                                git + more + "}}")
        ->problem;
  };
  EXPECT_EQ(problem("{}"), "");
  EXPECT_EQ(problem(R"({"commit": {"signingKey": {"type": "ssh", "secretRef": {"name": "k"}}}})"),
            "");
  EXPECT_NE(problem(R"({"commit": {"signingKey": {"secretRef": {"name": "k"}}}})"), "");
  EXPECT_NE(problem(R"({"push": {"refspec": "a:b"}})"), "");
  EXPECT_NE(problem(R"({"push": {"options": {"merge_request.create": "true"}}})"), "");
  EXPECT_NE(problem(R"({"checkout": {"ref": {"tag": "v1"}}})"), "");
  EXPECT_NE(problem("{}", R"(, "policySelector": {"matchExpressions": [{"operator": "Gt"}]})"), "");

  FluxObjects broken = objects();
  broken.sources.clear();
  broken.policies[0].policy.clear();
  broken.repositories[0].image = "ghcr.io/x:1";
  const FluxPlan plan = plan_flux(broken);
  EXPECT_TRUE(plan.plan.policies.empty());
  EXPECT_TRUE(plan.plan.targets.empty());
  EXPECT_NE(plan.repositories[0].problem, "");
  EXPECT_NE(plan.policies[0].problem, "");
  EXPECT_NE(plan.automations[0].problem, "");
}

TEST(Flux, WhatIsNoObjectIsRefusedAndOddFieldsAreNone) {
  for (const char* json : {"", "[]", "{}", "{\"metadata\": 1}", "{\"metadata\": {\"name\": 1}}"}) {
    EXPECT_FALSE(read_flux_image_repository(json)) << json;
    EXPECT_FALSE(read_flux_image_policy(json)) << json;
    EXPECT_FALSE(read_flux_automation(json)) << json;
    EXPECT_FALSE(read_flux_git_repository(json)) << json;
    EXPECT_EQ(read_flux_version(json), "") << json;
  }
  const auto odd = read_flux_image_policy(
      R"({"metadata": {"name": "x", "labels": [], "generation": "1"}, "spec": {"policy": []},
          "status": {"latestRef": "x", "conditions": {}}})");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->policy, "");
  EXPECT_FALSE(odd->latest);
}

TEST(Flux, TheNewestVersionThatIsServedCounts) {
  EXPECT_EQ(read_flux_version(R"({"versions": [{"version": "v1beta2"}, {"version": "v1"}]})"),
            "v1");
  EXPECT_EQ(read_flux_version(R"({"versions": [{"version": "v1beta1"}, {"version": "v1beta2"}]})"),
            "v1beta2");
  EXPECT_EQ(read_flux_version(R"({"versions": [{"version": "v1beta1"}, 3]})"), "");
}

TEST(Flux, SelectorsAreKubernetesOwn) {
  FluxImagePolicy policy{.meta = {.ns = "a", .name = "x", .labels = {{"team", "one"}}}};
  FluxAutomation automation{.meta = {.ns = "a", .name = "y"}};
  using Requirement = FluxAutomation::Requirement;
  using Operator = Requirement::Operator;
  const auto selects = [&](Requirement requirement) {
    automation.selector = {std::move(requirement)};
    return automation.selects(policy);
  };
  EXPECT_TRUE(automation.selects(policy));
  EXPECT_TRUE(selects({.key = "team", .op = Operator::kIn, .values = {"one", "two"}}));
  EXPECT_FALSE(selects({.key = "team", .op = Operator::kIn, .values = {"two"}}));
  EXPECT_FALSE(selects({.key = "team", .op = Operator::kNotIn, .values = {"one"}}));
  EXPECT_TRUE(selects({.key = "other", .op = Operator::kNotIn, .values = {"one"}}));
  EXPECT_TRUE(selects({.key = "team", .op = Operator::kExists}));
  EXPECT_FALSE(selects({.key = "team", .op = Operator::kDoesNotExist}));
  policy.meta.ns = "b";
  automation.selector.clear();
  EXPECT_FALSE(automation.selects(policy)) << "of its own namespace alone";
}

TEST(Flux, StatusSaysWhatFluxWouldSay) {
  const FluxObjects flux = objects();
  const FluxPlan plan = plan_flux(flux);
  GitReport report = report_of(plan);
  report.repositories[0].outcome->commit = std::string(40, 'c');
  report.repositories[0].outcome->branch = "x";
  report.repositories[0].outcome->head = std::string(40, 'a');
  const auto statuses = flux_statuses(flux, plan, report.policies, report.repositories, kNow);
  ASSERT_EQ(statuses.size(), 3U);
  const Json repository = status_in(statuses, "imagerepositories");
  EXPECT_EQ(repository["lastScanResult"],
            Json({{"tagCount", 4}, {"scanTime", "2026-01-01T00:00:00Z"}}));
  EXPECT_EQ(repository["observedGeneration"], 3);
  const Json policy = status_in(statuses, "imagepolicies");
  EXPECT_EQ(policy["latestRef"]["tag"], "5.0.3");
  EXPECT_TRUE(policy["latestRef"]["digest"].is_null());
  EXPECT_EQ(policy["observedPreviousRef"]["tag"], "5.0.0");
  EXPECT_FALSE(policy.contains("latestImage"));
  EXPECT_EQ(policy["conditions"][0]["lastTransitionTime"], "2025-01-01T00:00:00Z");
  const Json automation = status_in(statuses, "imageupdateautomations");
  EXPECT_EQ(automation["lastPushCommit"], std::string(40, 'c'));
  EXPECT_EQ(automation["observedSourceRevision"], "release@sha1:" + std::string(40, 'a'));
  EXPECT_EQ(automation["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(automation["observedPolicies"]["podinfo"]["tag"], "5.0.3");

  FluxObjects older = flux;
  older.version = "v1beta2";
  const Json former = status_in(
      flux_statuses(older, plan, report.policies, report.repositories, kNow), "imagepolicies");
  EXPECT_EQ(former["latestImage"], "ghcr.io/stefanprodan/podinfo:5.0.3");
  EXPECT_EQ(former["observedPreviousImage"], "ghcr.io/stefanprodan/podinfo:5.0.0");
}

TEST(Flux, WhatFailsIsNotReadyAndKeepsTheRest) {
  const FluxObjects flux = objects();
  const FluxPlan plan = plan_flux(flux);
  GitReport report = report_of(plan);
  for (ChosenImage& each : report.policies) {
    each.choice = fail(ErrorKind::kUnavailable, std::string(5000, 'x'));
  }
  report.repositories[0].outcome = fail(ErrorKind::kForbidden, "not for us");
  for (const FluxStatus& each :
       flux_statuses(flux, plan, report.policies, report.repositories, kNow)) {
    const Json status = Json::parse(each.patch)["status"];
    EXPECT_EQ(status["conditions"][0]["status"], "False") << each.plural;
    EXPECT_LE(status["conditions"][0]["message"].get<std::string>().size(), 1024U);
    EXPECT_FALSE(status.contains("latestRef"));
    EXPECT_FALSE(status.contains("lastScanResult"));
    EXPECT_FALSE(status.contains("lastAutomationRunTime"));
  }
}

}  // namespace
}  // namespace tidemark::sweeper
