// Requests and answers as the Amazon ECR and ECR Public API references have them.
#include "cloud/ecr.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cloud/aws_answers.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"

namespace tidemark::cloud {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ecr_answer;
using testing::kNow;
using tidemark::testing::reply;

constexpr const char* kHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
constexpr const char* kUrl = "https://api.ecr.eu-west-1.amazonaws.com/";
constexpr const char* kPublicUrl = "https://api.ecr-public.us-east-1.amazonaws.com/";

class EcrTest : public ::testing::Test {
 protected:
  Result<registry::Credential> login(std::string_view host = kHost) {
    return ecr_.login(host, Deadline::after(seconds{10}), {});
  }
  Result<registry::Credential> login_public(std::string_view host = "public.ecr.aws") {
    return ecr_.login_public(host, Deadline::after(seconds{10}), {});
  }

  tidemark::testing::FakeClock clock_;
  tidemark::testing::FakeHttpClient metadata_;
  tidemark::testing::FakeHttpClient api_;
  std::vector<std::string> lines_;
  const Logger log_ = Logger::to_sink(LogLevel::kDebug,
                                      [this](std::string_view line) { lines_.emplace_back(line); });
  const std::unique_ptr<AwsIdentity> identity_ =
      AwsIdentity::make(testing::environment({{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"},
                                              {"AWS_SECRET_ACCESS_KEY", "canary-key"},
                                              {"AWS_SESSION_TOKEN", "canary-session"}}),
                        metadata_, api_, clock_, log_)
          .value();
  EcrLogin ecr_{*identity_, api_, clock_, log_};
};

TEST_F(EcrTest, ATokenIsAUserNameAndAPassword) {
  api_.push("POST", kUrl, reply(200, ecr_answer("canary-password")));
  EXPECT_EQ(ecr_.known(kHost), std::nullopt);
  const auto credential = login();
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->username, "AWS");
  EXPECT_EQ(credential->password, "canary-password");
  EXPECT_EQ(credential->source, "login ecr eu-west-1");
  EXPECT_EQ(credential->identity(), "login ecr eu-west-1");
  ASSERT_TRUE(ecr_.known(kHost));
  EXPECT_EQ(ecr_.known(kHost)->password, "canary-password");

  const net::Request request = api_.requests().at(0);
  const auto header = [&](std::string_view name) {
    const std::string* value = net::find_header(request.headers, name);
    return value == nullptr ? std::string("(none)") : *value;
  };
  EXPECT_EQ(request.body, "{}");
  EXPECT_EQ(header("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_EQ(header("X-Amz-Target"), "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
  EXPECT_EQ(header("X-Amz-Date"), "20260101T000000Z");
  EXPECT_EQ(header("X-Amz-Security-Token"), "canary-session");
  EXPECT_TRUE(header("Authorization")
                  .starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/ecr/"
                               "aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                               "x-amz-security-token;x-amz-target, Signature="))
      << header("Authorization");
}

TEST_F(EcrTest, OneTokenServesARegionUntilItIsRenewed) {
  api_.push("POST", kUrl, reply(200, ecr_answer("first")));
  api_.push("POST", "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            reply(200, ecr_answer("china")));
  EXPECT_EQ(login()->password, "first");
  EXPECT_EQ(login("999999999999.dkr.ecr.eu-west-1.amazonaws.com")->password, "first");
  EXPECT_EQ(login("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn")->password, "china");
  EXPECT_EQ(api_.count(), 2U);
  clock_.advance(hours{10});
  api_.push("POST", kUrl, reply(500));
  EXPECT_EQ(login()->password, "first") << "a failed renewal keeps the old one";
  clock_.advance(seconds{60});
  api_.push("POST", kUrl, reply(200, ecr_answer("second", kNow + 80'000)));
  const std::string before = ecr_.known(kHost)->identity();
  EXPECT_EQ(login()->password, "second");
  EXPECT_EQ(login()->identity(), before) << "caches know it as the same";
  EXPECT_EQ(api_.count(), 4U);
}

TEST_F(EcrTest, OnlyEcrsOwnHostsGetAToken) {
  for (const char* host : {"registry.example.com", "123456789012.dkr.ecr.eu-west-1.evil.example",
                           "public.ecr.aws", "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443"}) {
    const auto refused = login(host);
    ASSERT_FALSE(refused) << host;
    EXPECT_EQ(refused.error().kind, ErrorKind::kForbidden);
    EXPECT_EQ(ecr_.known(host), std::nullopt);
  }
  EXPECT_EQ(login_public(kHost).error().kind, ErrorKind::kForbidden);
  EXPECT_EQ(ecr_.known_public(kHost), std::nullopt);
  EXPECT_EQ(api_.count(), 0U);
}

TEST_F(EcrTest, ThePublicOneHasItsOwnService) {
  const std::string token = base64_encode("AWS:public-password");
  api_.push("POST", kPublicUrl,
            reply(200, R"({"authorizationData":{"authorizationToken":")" + token +
                           R"(","expiresAt":1767268800}})"));
  const auto credential = login_public();
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->password, "public-password");
  const net::Request request = api_.requests().at(0);
  EXPECT_EQ(*net::find_header(request.headers, "X-Amz-Target"),
            "SpencerFrontendService.GetAuthorizationToken");
  EXPECT_NE(net::find_header(request.headers, "Authorization")
                ->find("/20260101/us-east-1/ecr-public/aws4_request"),
            std::string::npos);
  EXPECT_TRUE(ecr_.known_public("public.ecr.aws"));
  EXPECT_EQ(ecr_.known(kHost), std::nullopt);
}

TEST_F(EcrTest, WrongAnswersAreErrorsThatTellNothing) {
  const std::string good = ecr_answer("canary-password");
  const auto with = [](const std::string& token, const std::string& expires) {
    return R"({"authorizationData":[{"authorizationToken":)" + token + R"(,"expiresAt":)" +
           expires + "}]}";
  };
  const std::string token = "\"" + base64_encode("AWS:canary-password") + "\"";
  const std::vector<std::pair<int, std::string>> answers = {
      {200, ""},
      {200, good.substr(0, good.size() / 2)},
      {200, "<html><body>canary-password</body></html>"},
      {200, "[]"},
      {200, "{}"},
      {200, R"({"authorizationData":[]})"},
      {200, R"({"authorizationData":"x"})"},
      {200, R"({"authorizationData":[7]})"},
      {200, with("7", "1767268800")},
      {200, with(token, "\"later\"")},
      {200, with(token, "-1")},
      {200, with(token, "1e300")},
      {200, with(token, "253402300799")},
      {200, with(token, "1767225600")},
      {200, with("\"canary-password!\"", "1767268800")},
      {200, with("\"" + base64_encode("canary-password") + "\"", "1767268800")},
      {200, with("\"" + base64_encode("AWS:canary-password\r\nX: y") + "\"", "1767268800")},
      {200, with("\"" + base64_encode("AWS:") + "\"", "1767268800")},
      {200, std::string(50'000, '[')},
      {200, std::string(kMaxAnswerBytes + 1, ' ')},
      {301, good},
      {307, good},
      {204, ""},
      {400, R"({"__type":"UnrecognizedClientException","message":"canary-key"})"},
      {403, "canary-password"},
      {404, "canary-password"},
      {429, "canary-password"},
      {500, "canary-password"},
      {503, "<html>canary-session</html>"},
  };
  for (const auto& [status, body] : answers) {
    api_.push("POST", kUrl, reply(status, body, {{"Location", "https://evil.example/"}}));
    const auto result = login();
    ASSERT_FALSE(result) << status << " " << body.substr(0, 200);
    EXPECT_EQ(result.error().message.find("canary"), std::string::npos) << result.error().message;
    if (status != 200) {
      EXPECT_EQ(result.error().message,
                "ECR GetAuthorizationToken answered " + std::to_string(status));
    }
    clock_.advance(seconds{15});
  }
  EXPECT_EQ(api_.count(), answers.size()) << "nothing was asked twice, no redirect was followed";
  for (const std::string& line : lines_) {
    EXPECT_EQ(line.find("canary"), std::string::npos) << line;
  }
  EXPECT_EQ(lines_.size(), answers.size());
}

TEST_F(EcrTest, AFailureTellsWhetherItMayPass) {
  const auto kind = [&](int status) {
    clock_.advance(seconds{15});
    api_.push("POST", kUrl, reply(status));
    return login().error().kind;
  };
  EXPECT_EQ(kind(400), ErrorKind::kUnauthorized);
  EXPECT_EQ(kind(403), ErrorKind::kForbidden);
  EXPECT_EQ(kind(429), ErrorKind::kTooMany);
  EXPECT_EQ(kind(503), ErrorKind::kUnavailable);
  EXPECT_EQ(kind(302), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace tidemark::cloud
