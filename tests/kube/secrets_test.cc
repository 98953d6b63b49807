#include "kube/secrets.h"

#include <gtest/gtest.h>

#include "support/fake_kube_api.h"

namespace tidemark::kube {
namespace {

using tidemark::testing::FakeKubeApi;

const Deadline kDeadline = Deadline::after(std::chrono::seconds(60));

TEST(Secrets, DecodesData) {
  FakeKubeApi api;
  api.put(
      "/api/v1/namespaces/a/secrets/pull",
      R"({"type":"kubernetes.io/dockerconfigjson","data":{".dockerconfigjson":"e30=","x":""}})");
  const auto secret = get_secret(api, "a", "pull", kDeadline);
  ASSERT_TRUE(secret) << secret.error().message;
  EXPECT_EQ(secret->type, "kubernetes.io/dockerconfigjson");
  EXPECT_EQ(secret->data.at(".dockerconfigjson"), "{}");
  EXPECT_EQ(secret->data.at("x"), "");
  EXPECT_EQ(secret->resource_version, "101");
}

TEST(Secrets, BadBase64NamesTheKeyAndNotTheValue) {
  FakeKubeApi api;
  api.put("/api/v1/namespaces/a/secrets/pull", R"({"data":{"key":"%%%%"}})");
  const auto secret = get_secret(api, "a", "pull", kDeadline);
  ASSERT_FALSE(secret);
  EXPECT_NE(secret.error().message.find("data.key"), std::string::npos);
  EXPECT_EQ(secret.error().message.find("%%%%"), std::string::npos);
}

TEST(Secrets, AMissingOneIsNotFoundAndNothingIsListed) {
  FakeKubeApi api;
  EXPECT_EQ(get_secret(api, "a", "none", kDeadline).error().kind, ErrorKind::kNotFound);
  EXPECT_TRUE(api.calls("list").empty());
}

TEST(ServiceAccounts, NamesPullSecretsInOrder) {
  FakeKubeApi api;
  api.put("/api/v1/namespaces/a/serviceaccounts/default",
          R"({"imagePullSecrets":[{"name":"z"},{},{"name":"b"}]})");
  EXPECT_EQ(get_service_account(api, "a", "default", kDeadline)->image_pull_secrets,
            (std::vector<std::string>{"z", "b"}));
  api.put("/api/v1/namespaces/a/serviceaccounts/plain", "{}");
  EXPECT_TRUE(get_service_account(api, "a", "plain", kDeadline)->image_pull_secrets.empty());
}

}  // namespace
}  // namespace tidemark::kube
