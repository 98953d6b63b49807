// What the command `git` prints of a round, and when it counts as failed or as having changed
// something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "sweeper/git_plan.h"
#include "sweeper/output.h"

namespace tidemark::sweeper {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

config::NamedPolicy policy_named(const std::string& name) {
  return {.name = name,
          .image = "ghcr.io/example/api",
          .reference = image::Reference::parse("ghcr.io/example/api:any").value(),
          .policy = "semver: ^1.2"};
}

config::GitRepository repository_named(const std::string& name) {
  config::GitRepository repository;
  repository.name = name;
  repository.remote.url = "https://git.example.com/" + name + ".git";
  return repository;
}

gitops::WriteBackOutcome one_change() {
  gitops::WriteBackOutcome outcome;
  outcome.branch = "main";
  outcome.changes.push_back({.file = "apps/api.yaml",
                             .image = "ghcr.io/example/api",
                             .tag = "1.10.0",
                             .change = {.line = 12,
                                        .policy = "shop:api",
                                        .object = "Deployment/shop/api",
                                        .before = "ghcr.io/example/api:1.2.0",
                                        .after = "ghcr.io/example/api:1.10.0"}});
  return outcome;
}

GitReport report_of(Result<gitops::WriteBackOutcome> outcome) {
  GitReport report;
  report.policies.push_back(
      {.policy = policy_named("shop:api"),
       .choice = policy::TagChoice{.tag = "1.10.0", .tags = 9, .fitting = 3}});
  report.repositories.push_back(
      {.repository = repository_named("apps"), .outcome = std::move(outcome)});
  return report;
}

TEST(GitPlan, EveryRepositoryMayNameEveryPolicy) {
  config::GitConfig git;
  git.repositories = {repository_named("apps"), repository_named("charts")};
  const GitPlan plan = plan_of({policy_named("shop:api"), policy_named("shop:web")}, git);
  ASSERT_EQ(plan.policies.size(), 2U);
  EXPECT_EQ(plan.policies[1].named.name, "shop:web");
  ASSERT_EQ(plan.targets.size(), 2U);
  EXPECT_EQ(plan.targets[1].repository.name, "charts");
  EXPECT_EQ(plan.targets[1].policies, (std::vector<std::size_t>{0, 1}));
  EXPECT_TRUE(git.writes());
  EXPECT_FALSE(config::GitConfig{}.writes()) << "without repositories and Flux there is no round";
}

TEST(GitReport, AnUntouchedRepositoryHasNeitherFailedNorChanged) {
  const GitReport report = report_of(gitops::WriteBackOutcome{});
  EXPECT_FALSE(report.failed());
  EXPECT_FALSE(report.changed());
}

TEST(GitReport, FailsWhereAPolicyARepositoryOrAMarkerDoes) {
  EXPECT_TRUE(report_of(fail(ErrorKind::kUnavailable, "no route")).failed());
  gitops::WriteBackOutcome marker;
  marker.troubles = {"apps/api.yaml:12: there is no policy shop:ap"};
  EXPECT_TRUE(report_of(marker).failed());
  GitReport unasked = report_of(one_change());
  EXPECT_FALSE(unasked.failed());
  EXPECT_TRUE(unasked.changed());
  unasked.policies.push_back({.policy = policy_named("shop:web")});
  EXPECT_TRUE(unasked.failed()) << "a choice that was not made";
}

TEST(PrintGit, SaysWhatWasPushedAndWhatTheServerAnswered) {
  gitops::WriteBackOutcome outcome = one_change();
  outcome.commit = "0123456789abcdef0123456789abcdef01234567";
  outcome.said = "Create a merge request:\n  https://git.example.com/new\x1b[31m\n\n";
  const std::string table = print_git(report_of(outcome), Format::kTable);
  EXPECT_THAT(table, HasSubstr("pushed 0123456789ab to main (1 changes)"));
  EXPECT_THAT(table, HasSubstr("3 of 9"));
  EXPECT_THAT(table, HasSubstr("apps: remote: Create a merge request:\n"));
  EXPECT_THAT(table, HasSubstr("apps: remote: https://git.example.com/new"));
  EXPECT_THAT(table, Not(HasSubstr("\x1b"))) << "a server's words move no terminal";

  const Json shown = Json::parse(print_git(report_of(outcome), Format::kJson));
  EXPECT_EQ(shown["policies"][0]["tag"], "1.10.0");
  EXPECT_EQ(shown["repositories"][0]["commit"], outcome.commit);
  EXPECT_EQ(shown["repositories"][0]["changes"][0], (Json{{"file", "apps/api.yaml"},
                                                          {"line", 12},
                                                          {"policy", "shop:api"},
                                                          {"object", "Deployment/shop/api"},
                                                          {"from", "ghcr.io/example/api:1.2.0"},
                                                          {"to", "ghcr.io/example/api:1.10.0"}}));
}

TEST(PrintGit, ADryRunEndsWithItsDiff) {
  gitops::WriteBackOutcome outcome = one_change();
  outcome.diff = "-image: ghcr.io/example/api:1.2.0\n+image: ghcr.io/example/api:1.10.0\n";
  const std::string table = print_git(report_of(outcome), Format::kTable);
  EXPECT_THAT(table, HasSubstr("would push to main (1 changes)"));
  EXPECT_TRUE(table.ends_with(outcome.diff)) << table;
}

TEST(PrintGit, NamesWhatFailed) {
  GitReport report = report_of(fail(ErrorKind::kUnauthorized, "credentials are missing or wrong"));
  report.policies[0].choice = fail(ErrorKind::kNotFound, "no such repository");
  const std::string table = print_git(report, Format::kTable);
  EXPECT_THAT(table, HasSubstr("failed: credentials are missing or wrong"));
  EXPECT_THAT(table, HasSubstr("no such repository"));
  const Json shown = Json::parse(print_git(report, Format::kJson));
  EXPECT_EQ(shown["policies"][0]["error"], "no such repository");
  EXPECT_EQ(shown["repositories"][0]["error"], "credentials are missing or wrong");

  gitops::WriteBackOutcome marker;
  marker.troubles = {"apps/api.yaml:12: there is no policy shop:ap"};
  EXPECT_THAT(print_git(report_of(marker), Format::kTable),
              HasSubstr("apps: apps/api.yaml:12: there is no policy shop:ap\n"));
}

}  // namespace
}  // namespace tidemark::sweeper
