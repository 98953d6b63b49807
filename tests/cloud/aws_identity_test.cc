// Requests and answers as AWS documents them: SDKs reference guide, STS API reference, EKS and EC2
// user guides.
#include "cloud/aws_identity.h"

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

using std::chrono::minutes;
using std::chrono::seconds;
using testing::credentials_answer;
using testing::environment;
using testing::sts_answer;
using tidemark::testing::reply;

constexpr const char* kStsUrl = "https://sts.eu-west-1.amazonaws.com/";
constexpr const char* kPodUrl = "http://169.254.170.23/v1/credentials";
constexpr const char* kTokenUrl = "http://169.254.169.254/latest/api/token";
constexpr const char* kRolesUrl =
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
constexpr const char* kRoleUrl =
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/node-role";

class AwsIdentityTest : public ::testing::Test {
 protected:
  std::unique_ptr<AwsIdentity> make(std::map<std::string, std::string> variables) {
    auto identity = AwsIdentity::make(environment(std::move(variables)), metadata_, api_, clock_,
                                      Logger::none());
    EXPECT_TRUE(identity) << identity.error().message;
    return std::move(*identity);
  }
  static Result<AwsCredentials> get(AwsIdentity& identity, std::string_view region = "eu-west-1") {
    return identity.get(region, Deadline::after(seconds{10}), {});
  }
  std::map<std::string, std::string> irsa() const {
    return {{"AWS_WEB_IDENTITY_TOKEN_FILE", folder_.write("token", "eyJ.web.identity\n")},
            {"AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/tidemark"}};
  }
  static const std::string* header(const net::Request& request, std::string_view name) {
    return net::find_header(request.headers, name);
  }

  const testing::TempFolder folder_;
  tidemark::testing::FakeClock clock_;
  tidemark::testing::FakeHttpClient metadata_;
  tidemark::testing::FakeHttpClient api_;
};

TEST_F(AwsIdentityTest, KeysOfTheEnvironmentComeFirstAndCostNoRequest) {
  auto variables = irsa();
  variables.insert({{"AWS_ACCESS_KEY_ID", "AKID"},
                    {"AWS_SECRET_ACCESS_KEY", "key"},
                    {"AWS_SESSION_TOKEN", "session"}});
  const auto identity = make(variables);
  const auto credentials = get(*identity);
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->access_key_id, "AKID");
  EXPECT_EQ(credentials->secret_access_key, "key");
  EXPECT_EQ(credentials->session_token, "session");
  EXPECT_EQ(metadata_.count() + api_.count(), 0U);
}

TEST_F(AwsIdentityTest, AWebIdentityGoesToStsOfTheRegion) {
  api_.push("POST", kStsUrl, reply(200, sts_answer("ASIA", "2026-01-01T01:00:00Z")));
  auto variables = irsa();
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = kPodUrl;
  const auto identity = make(variables);
  const auto credentials = get(*identity);
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->access_key_id, "ASIA");
  EXPECT_EQ(credentials->secret_access_key, "stssecret");
  EXPECT_EQ(credentials->session_token, "ststoken");
  ASSERT_EQ(api_.count(), 1U);
  const net::Request request = api_.requests()[0];
  EXPECT_EQ(request.body,
            "Action=AssumeRoleWithWebIdentity&"
            "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Ftidemark&RoleSessionName=tidemark&"
            "Version=2011-06-15&WebIdentityToken=eyJ.web.identity");
  EXPECT_EQ(*header(request, "Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(header(request, "Authorization"), nullptr) << "the token is the proof";
  EXPECT_TRUE(get(*identity));
  EXPECT_EQ(api_.count(), 1U);
  EXPECT_EQ(metadata_.count(), 0U);
}

TEST_F(AwsIdentityTest, TheRegionOfTheEnvironmentWinsAndTheTokenFileIsReadAnew) {
  auto variables = irsa();
  variables["AWS_REGION"] = "cn-north-1";
  variables["AWS_ROLE_SESSION_NAME"] = "t";
  const auto identity = make(variables);
  const char* const url = "https://sts.cn-north-1.amazonaws.com.cn/";
  api_.push("POST", url, reply(200, sts_answer("ONE", "2026-01-01T01:00:00Z")));
  api_.push("POST", url, reply(200, sts_answer("TWO", "2026-01-01T02:00:00Z")));
  EXPECT_EQ(get(*identity)->access_key_id, "ONE");
  folder_.write("token", "renewed.web.identity");
  clock_.advance(minutes{48});
  EXPECT_EQ(get(*identity)->access_key_id, "TWO");
  EXPECT_NE(api_.requests()[1].body.find("=renewed.web.identity"), std::string::npos);
}

TEST_F(AwsIdentityTest, AWebIdentityThatFailsIsNotPassedOver) {
  const auto identity = make(irsa());
  api_.push("POST", kStsUrl,
            reply(403, "<Error><Code>AccessDenied</Code><Message>canary</Message></Error>"));
  const auto refused = get(*identity);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kForbidden);
  EXPECT_EQ(refused.error().message, "STS AssumeRoleWithWebIdentity answered 403");
  EXPECT_EQ(metadata_.count(), 0U);
  clock_.advance(seconds{15});
  api_.push("POST", kStsUrl, reply(200, "<html>Sign in</html>"));
  EXPECT_EQ(get(*identity).error().kind, ErrorKind::kInvalid);
  clock_.advance(seconds{15});
  api_.push("POST", kStsUrl, reply(200, sts_answer("OLD", "2025-12-31T23:59:59Z")));
  EXPECT_NE(get(*identity).error().message.find("ended already"), std::string::npos);
  clock_.advance(seconds{15});
  folder_.write("token", "");
  EXPECT_NE(get(*identity).error().message.find("holds no token"), std::string::npos);
  folder_.write("token", "two\nlines");
  clock_.advance(seconds{15});
  EXPECT_FALSE(get(*identity));
  EXPECT_EQ(api_.count(), 3U);
}

TEST_F(AwsIdentityTest, PodIdentityAsksTheAgentWithItsToken) {
  const auto identity =
      make({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", kPodUrl},
            {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", folder_.write("token", "eyJ.pod")}});
  metadata_.push("GET", kPodUrl, reply(200, credentials_answer("ASIA", "2026-01-01T06:00:00Z")));
  const auto credentials = get(*identity);
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->access_key_id, "ASIA");
  EXPECT_EQ(credentials->session_token, "roletoken");
  EXPECT_EQ(*header(metadata_.requests()[0], "Authorization"), "eyJ.pod");
  EXPECT_EQ(api_.count(), 0U);
}

TEST_F(AwsIdentityTest, AContainersEndpointIsOnThisMachine) {
  for (const char* url :
       {"http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials",
        "http://127.0.0.1:8080/c", "http://[::1]/c", "http://169.254.170.2/v2/credentials"}) {
    EXPECT_TRUE(AwsIdentity::make(environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}}),
                                  metadata_, api_, clock_, Logger::none()))
        << url;
  }
  for (const char* url :
       {"http://evil.example/c", "http://169.254.169.254/c", "https://127.0.0.1/c",
        "http://localhost/c", "http://127.0.0.1.evil.example/c", "http://user@127.0.0.1/c",
        "nonsense"}) {
    const auto refused =
        AwsIdentity::make(environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", url}}), metadata_,
                          api_, clock_, Logger::none());
    ASSERT_FALSE(refused) << url;
    EXPECT_NE(refused.error().message.find("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
              std::string::npos);
  }
  EXPECT_TRUE(AwsIdentity::make(
      environment({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x"}}), metadata_,
      api_, clock_, Logger::none()));
  EXPECT_FALSE(AwsIdentity::make(
      environment({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ".evil.example/x"}}), metadata_, api_,
      clock_, Logger::none()));
}

TEST_F(AwsIdentityTest, AnInstancesRoleComesThroughASession) {
  const auto identity = make({});
  metadata_.push("PUT", kTokenUrl, reply(200, "session=="));
  metadata_.push("GET", kRolesUrl, reply(200, "node-role\n"));
  metadata_.push("GET", kRoleUrl, reply(200, credentials_answer("ASIA", "2026-01-01T06:00:00Z")));
  const auto credentials = get(*identity);
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->access_key_id, "ASIA");
  const auto requests = metadata_.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(*header(requests[0], "X-aws-ec2-metadata-token-ttl-seconds"), "60");
  EXPECT_EQ(*header(requests[1], "X-aws-ec2-metadata-token"), "session==");
  EXPECT_EQ(*header(requests[2], "X-aws-ec2-metadata-token"), "session==");
}

TEST_F(AwsIdentityTest, AnInstancesWrongAnswersAreRefused) {
  const auto fails = [&](const std::string& token, const std::string& roles,
                         const std::string& credentials) {
    const auto identity = make({});
    metadata_.on("PUT", kTokenUrl, [=](const auto&) { return reply(200, token); });
    metadata_.on("GET", kRolesUrl, [=](const auto&) { return reply(200, roles); });
    metadata_.on("GET", kRoleUrl, [=](const auto&) { return reply(200, credentials); });
    const auto result = get(*identity);
    if (!result) {
      EXPECT_EQ(result.error().message.find("rolesecret"), std::string::npos)
          << result.error().message;
    }
    return !result;
  };
  const std::string good = credentials_answer("ASIA", "2026-01-01T06:00:00Z");
  EXPECT_FALSE(fails("session", "node-role", good));
  EXPECT_TRUE(fails("", "node-role", good));
  EXPECT_TRUE(fails("two words", "node-role", good));
  EXPECT_TRUE(fails(std::string(kMaxSecretBytes + 1, 'x'), "node-role", good));
  EXPECT_TRUE(fails("session", "", good));
  EXPECT_TRUE(fails("session", "<html>", good));
  EXPECT_TRUE(fails("session", "../../user-data", good));
  EXPECT_TRUE(fails("session", "node-role", good.substr(0, 100)));
  EXPECT_TRUE(fails("session", "node-role", "[]"));
  EXPECT_TRUE(fails("session", "node-role", std::string(60'000, '[')));
  EXPECT_TRUE(fails("session", "node-role", R"({"Code":"Failed"})"));
  EXPECT_TRUE(fails("session", "node-role", credentials_answer("A\\nB", "2026-01-01T06:00:00Z")));
  EXPECT_TRUE(fails("session", "node-role", credentials_answer("ASIA", "soon")));
  EXPECT_TRUE(fails("session", "node-role", credentials_answer("ASIA", "2025-01-01T06:00:00Z")));
  EXPECT_TRUE(fails("session", "node-role", std::string(kMaxAnswerBytes + 1, ' ')));
}

TEST_F(AwsIdentityTest, WithoutAnySourceItSaysSo) {
  const auto identity = make({{"AWS_EC2_METADATA_DISABLED", "true"}});
  const auto result = get(*identity);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(result.error().message, "AWS gives this program no credentials");
  EXPECT_EQ(metadata_.count(), 0U);
  EXPECT_FALSE(AwsIdentity::make(environment({{"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"},
                                              {"AWS_ROLE_ARN", "arn"},
                                              {"AWS_REGION", "evil.example/"}}),
                                 metadata_, api_, clock_, Logger::none()));
}

}  // namespace
}  // namespace tidemark::cloud
