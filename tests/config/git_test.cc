#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"

namespace tidemark::config {
namespace {

using namespace std::chrono_literals;

Result<Config> parse(const std::string& yaml) {
  return parse_config(yaml, "config.yaml",
                      [](const std::string&) { return std::optional<std::string>(); });
}

std::string problem(const std::string& yaml) {
  const auto config = parse(yaml);
  EXPECT_FALSE(config) << yaml;
  return config ? "" : config.error().message;
}

const std::string kPolicy =
    "policies: [{name: 'shop:app', image: ghcr.io/shop/app, policy: 'semver: ^1'}]\n";

TEST(Git, EveryKeyIsRead) {
  const auto config = parse(R"(
policies:
  - name: shop:app
    image: nginx
    policy: |
      semver: ^1.2
      exclude: rc
    pullSecrets: [pull, other.one]
    digest: true
    workloads: {namespaces: [shop, stage], labels: {app: web, example.com/tier: ""}}
git:
  interval: 90s
  folder: clones
  repositories:
    - name: shop
      url: git@git.example.com:shop/apps.git
      branch: release/1.x
      pushBranch: tidemark/images
      path: ./clusters/prod/
      secret: shop/git-key
      authorName: Bot
      authorEmail: bot@example.com
      subject: "chore: {images}"
      change: "{file} {old} {new}"
    - name: other
      url: https://git.example.com/other.git/
      secretFolder: /secrets/git
)");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->policies.size(), 1U);
  const NamedPolicy& policy = config->policies.front();
  EXPECT_EQ(policy.name, "shop:app");
  EXPECT_EQ(policy.ns(), "shop");
  EXPECT_EQ(policy.image, "nginx");
  EXPECT_EQ(policy.reference.repository(), "library/nginx");
  EXPECT_EQ(policy.policy, "semver: ^1.2\nexclude: rc\n");
  EXPECT_EQ(policy.pull_secrets, (std::vector<std::string>{"pull", "other.one"}));
  EXPECT_TRUE(policy.digest);
  ASSERT_NE(config->defaults.policy_rules, nullptr);
  const workload::PolicyRule& rule = config->defaults.policy_rules->front();
  EXPECT_EQ(rule.repository, "docker.io/library/nginx");
  EXPECT_EQ(rule.policy, policy.policy);
  EXPECT_EQ(rule.namespaces, (std::set<std::string>{"shop", "stage"}));
  EXPECT_EQ(rule.labels, (workload::StringMap{{"app", "web"}, {"example.com/tier", ""}}));

  EXPECT_EQ(config->git.interval, 90s);
  EXPECT_EQ(config->git.folder, "clones");
  ASSERT_EQ(config->git.repositories.size(), 2U);
  const GitRepository& shop = config->git.repositories[0];
  EXPECT_EQ(shop.remote.url, "ssh://git@git.example.com/shop/apps.git");
  EXPECT_EQ(shop.branch, "release/1.x");
  EXPECT_EQ(shop.push_branch, "tidemark/images");
  EXPECT_EQ(shop.path, "clusters/prod");
  EXPECT_EQ(shop.secret, "shop/git-key");
  EXPECT_EQ(shop.author_name, "Bot");
  EXPECT_EQ(shop.author_email, "bot@example.com");
  EXPECT_TRUE(shop.subject);
  EXPECT_TRUE(shop.change);
  const GitRepository& other = config->git.repositories[1];
  EXPECT_EQ(other.remote.url, "https://git.example.com/other.git");
  EXPECT_EQ(other.branch, "main");
  EXPECT_EQ(other.secret_folder, "/secrets/git");
}

TEST(Git, APolicyAloneIsNobodysUntilItNamesWorkloads) {
  const auto config = parse(kPolicy);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->defaults.policy_rules, nullptr);
  EXPECT_TRUE(config->git.repositories.empty());
}

TEST(Git, ComplaintsNameWhatIsWrong) {
  const auto policy = [](const std::string& fields) {
    return problem("policies: [{" + fields + "}]\n");
  };
  EXPECT_NE(policy("name: app, image: x, policy: 'semver: 1'").find("namespace:name"),
            std::string::npos);
  EXPECT_NE(policy("name: 'a:b', image: 'x:1', policy: 'semver: 1'").find("without a tag"),
            std::string::npos);
  EXPECT_NE(
      policy("name: 'a:b', image: 'x@sha256:" + std::string(64, 'a') + "', policy: 'semver: 1'")
          .find("without a tag"),
      std::string::npos);
  EXPECT_NE(policy("name: 'a:b', image: x, policy: 'digest'").find("chooses no tag"),
            std::string::npos);
  EXPECT_NE(policy("name: 'a:b', image: x, policy: 'semver: what'").find("policies[0].policy"),
            std::string::npos);
  EXPECT_NE(policy("name: 'a:b', image: x").find("policy"), std::string::npos);
  EXPECT_NE(policy("name: 'a:b', image: x, policy: 'semver: 1'}, {name: 'a:b', image: x, policy: "
                   "'semver: 1'")
                .find("taken already"),
            std::string::npos);

  const auto repository = [](const std::string& fields) {
    return problem(kPolicy + "git: {repositories: [{" + fields + "}]}\n");
  };
  const std::string base = "name: a, url: 'https://git.test/x'";
  EXPECT_NE(repository("name: A, url: 'https://git.test/x'").find("is no name"), std::string::npos);
  EXPECT_NE(repository("name: a, url: 'file:///etc'").find("must be https://"), std::string::npos);
  EXPECT_NE(repository("name: a, url: 'https://me:word@git.test/x'").find("no password"),
            std::string::npos);
  for (const char* branch : {"a..b", "-x", "a b", "a~1", "x.lock", "/x", "a:b"}) {
    EXPECT_NE(repository(base + ", branch: '" + branch + "'").find("name of a branch"),
              std::string::npos)
        << branch;
  }
  for (const char* path : {"../x", "/etc", "a/../../b"}) {
    EXPECT_NE(repository(base + ", path: " + path).find("no folder"), std::string::npos) << path;
  }
  EXPECT_NE(repository(base + ", secret: x").find("namespace/name"), std::string::npos);
  EXPECT_NE(repository(base + ", secret: a/b, secretFolder: /c").find("one Secret"),
            std::string::npos);
  EXPECT_NE(repository(base + ", authorName: 'a <b'").find("author"), std::string::npos);
  EXPECT_NE(repository(base + ", subject: '{what}'").find("no such value"), std::string::npos);
  EXPECT_NE(repository(base + "}, {" + base).find("taken already"), std::string::npos);
  EXPECT_NE(problem("git: {repositories: [{" + base + "}]}\n").find("no policies"),
            std::string::npos);
  EXPECT_NE(problem(kPolicy + "credentials: {readSecrets: false}\ngit: {repositories: [{" + base +
                    ", secret: a/b}]}\n")
                .find("readSecrets"),
            std::string::npos);
}

}  // namespace
}  // namespace tidemark::config
