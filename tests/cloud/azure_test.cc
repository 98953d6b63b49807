// Azure's IMDS, Microsoft Entra and a registry's /oauth2/exchange as Microsoft documents them.
#include "cloud/azure.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cloud/aws_answers.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"

namespace tidemark::cloud {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::environment;
using tidemark::testing::reply;

constexpr const char* kManagedUrl =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
    "resource=https%3A%2F%2Fcontainerregistry.azure.net";
constexpr const char* kHost = "team.azurecr.io";
constexpr const char* kExchangeUrl = "https://team.azurecr.io/oauth2/exchange";
constexpr const char* kEntraUrl = "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token";

constexpr const char* kManagedAnswer =
    R"({"access_token":"aad","refresh_token":"","expires_in":"86399","expires_on":"1767311999",)"
    R"("not_before":"1767225600","resource":"https://containerregistry.azure.net","token_type":"Bearer"})";
constexpr const char* kEntraAnswer =
    R"({"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"aad"})";
constexpr const char* kExchangeAnswer = R"({"refresh_token":"eyJ.refresh"})";

class AzureTest : public ::testing::Test {
 protected:
  std::unique_ptr<AzureLogin> make(std::map<std::string, std::string> variables = {}) {
    auto login = AzureLogin::make(environment(std::move(variables)), metadata_, api_, clock_,
                                  Logger::none());
    EXPECT_TRUE(login) << login.error().message;
    return std::move(*login);
  }
  std::map<std::string, std::string> workload_identity() const {
    return {{"AZURE_FEDERATED_TOKEN_FILE", folder_.write("token", "eyJ.assertion")},
            {"AZURE_CLIENT_ID", "client-1"},
            {"AZURE_TENANT_ID", "tenant-1"}};
  }
  static Result<registry::Credential> login(AzureLogin& azure, std::string_view host = kHost) {
    return azure.login(host, Deadline::after(seconds{10}), {});
  }

  const testing::TempFolder folder_;
  tidemark::testing::FakeClock clock_;
  tidemark::testing::FakeHttpClient metadata_;
  tidemark::testing::FakeHttpClient api_;
};

TEST_F(AzureTest, AManagedIdentityBecomesARefreshTokenOfTheRegistry) {
  const auto azure = make();
  metadata_.push("GET", kManagedUrl, reply(200, kManagedAnswer));
  api_.push("POST", kExchangeUrl, reply(200, kExchangeAnswer));
  EXPECT_EQ(azure->known(kHost), std::nullopt);
  const auto credential = login(*azure);
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->username, "00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(credential->identity_token, "eyJ.refresh");
  EXPECT_EQ(credential->password, "");
  EXPECT_EQ(credential->identity(), "login azure team.azurecr.io");
  EXPECT_EQ(*net::find_header(metadata_.requests().at(0).headers, "Metadata"), "true");
  const net::Request exchange = api_.requests().at(0);
  EXPECT_EQ(exchange.body, "access_token=aad&grant_type=access_token&service=team.azurecr.io");
  EXPECT_EQ(net::find_header(exchange.headers, "Authorization"), nullptr);
  EXPECT_TRUE(azure->known(kHost));
}

TEST_F(AzureTest, OneAccessTokenServesAllRegistriesOfACloud) {
  const auto azure = make({{"AZURE_CLIENT_ID", "client-1"}});
  metadata_.push("GET", std::string(kManagedUrl) + "&client_id=client-1",
                 reply(200, kManagedAnswer));
  api_.on("POST", kExchangeUrl, [](const auto&) { return reply(200, kExchangeAnswer); });
  api_.push("POST", "https://other.azurecr.io/oauth2/exchange", reply(200, kExchangeAnswer));
  EXPECT_TRUE(login(*azure));
  EXPECT_EQ(login(*azure, "other.azurecr.io")->login, "azure other.azurecr.io");
  EXPECT_TRUE(login(*azure));
  EXPECT_EQ(metadata_.count(), 1U);
  EXPECT_EQ(api_.count(), 2U);
  clock_.advance(minutes{48});
  EXPECT_TRUE(login(*azure));
  EXPECT_EQ(metadata_.count(), 1U);
  EXPECT_EQ(api_.count(), 3U);
}

TEST_F(AzureTest, AWorkloadIdentityIsAFederatedCredential) {
  const auto azure = make(workload_identity());
  api_.push("POST", kEntraUrl, reply(200, kEntraAnswer));
  api_.push("POST", kExchangeUrl, reply(200, kExchangeAnswer));
  ASSERT_TRUE(login(*azure));
  EXPECT_EQ(metadata_.count(), 0U);
  EXPECT_EQ(
      api_.requests().at(0).body,
      "client_assertion=eyJ.assertion&client_assertion_type="
      "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_id=client-1&"
      "grant_type=client_credentials&scope=https%3A%2F%2Fcontainerregistry.azure.net%2F.default");
}

TEST_F(AzureTest, OtherCloudsHaveOtherAuthorities) {
  auto variables = workload_identity();
  const auto by_host = make(variables);
  api_.push("POST", "https://login.microsoftonline.us/tenant-1/oauth2/v2.0/token",
            reply(200, kEntraAnswer));
  api_.push("POST", "https://team.azurecr.us/oauth2/exchange", reply(200, kExchangeAnswer));
  EXPECT_TRUE(login(*by_host, "team.azurecr.us"));
  variables["AZURE_AUTHORITY_HOST"] = "https://login.partner.microsoftonline.cn/";
  const auto by_variable = make(variables);
  api_.push("POST", "https://login.partner.microsoftonline.cn/tenant-1/oauth2/v2.0/token",
            reply(200, kEntraAnswer));
  api_.push("POST", "https://team.azurecr.cn/oauth2/exchange", reply(200, kExchangeAnswer));
  EXPECT_TRUE(login(*by_variable, "team.azurecr.cn"));
}

TEST_F(AzureTest, VariablesThatCannotWorkAreNamed) {
  const auto refused = [&](const std::string& name, const std::string& value) {
    auto variables = workload_identity();
    variables[name] = value;
    return !AzureLogin::make(environment(variables), metadata_, api_, clock_, Logger::none());
  };
  EXPECT_TRUE(refused("AZURE_CLIENT_ID", ""));
  EXPECT_TRUE(refused("AZURE_TENANT_ID", ""));
  EXPECT_TRUE(refused("AZURE_TENANT_ID", "a/../b"));
  EXPECT_TRUE(refused("AZURE_AUTHORITY_HOST", "https://evil.example/"));
  EXPECT_TRUE(refused("AZURE_AUTHORITY_HOST", "http://login.microsoftonline.com/"));
  EXPECT_TRUE(refused("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com:8443/"));
  EXPECT_TRUE(refused("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com.evil.example/"));
  EXPECT_FALSE(refused("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"));
}

TEST_F(AzureTest, OnlyAzuresRegistriesGetAToken) {
  const auto azure = make();
  for (const char* host : {"registry.example.com", "team.azurecr.io.evil.example",
                           "team.azurecr.io:443", "a.b.azurecr.io"}) {
    EXPECT_EQ(login(*azure, host).error().kind, ErrorKind::kForbidden) << host;
    EXPECT_EQ(azure->known(host), std::nullopt);
  }
  EXPECT_EQ(metadata_.count() + api_.count(), 0U);
}

TEST_F(AzureTest, WrongAnswersAreErrorsThatTellNothing) {
  const auto azure = make();
  const std::vector<std::pair<int, std::string>> wrong = {
      {200, ""},
      {200, "<html>canary</html>"},
      {200, R"({"refresh_token":"canary","access_token":"canary)"},
      {200, R"({"refresh_token":["canary"],"access_token":["canary"]})"},
      {200, R"({"refresh_token":"can\nary","access_token":"can\nary","expires_in":"3600"})"},
      {200, R"({"refresh_token":"","access_token":"","expires_in":"3600"})"},
      {200, std::string(kMaxAnswerBytes + 1, ' ')},
      {302, R"({"refresh_token":"canary","access_token":"canary","expires_in":"3600"})"},
      {400, R"({"error":"invalid_request","error_description":"canary"})"},
      {401, R"({"errors":[{"code":"UNAUTHORIZED","message":"canary"}]})"},
      {403, "canary"},
      {404, "canary"},
      {500, "canary"},
  };
  const auto tell_nothing = [&] {
    const auto result = login(*azure);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message.find("canary"), std::string::npos) << result.error().message;
    clock_.advance(seconds{15});
  };
  for (const auto& [status, body] : wrong) {
    metadata_.push("GET", kManagedUrl, reply(status, body));
    tell_nothing();
  }
  EXPECT_EQ(api_.count(), 0U);
  metadata_.push("GET", kManagedUrl, reply(200, kManagedAnswer));
  for (const auto& [status, body] : wrong) {
    api_.push("POST", kExchangeUrl, reply(status, body));
    tell_nothing();
  }
  EXPECT_EQ(metadata_.count(), wrong.size() + 1) << "the access token stays good";
}

}  // namespace
}  // namespace tidemark::cloud
