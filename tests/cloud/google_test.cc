// The metadata server as Google Cloud's "About VM metadata" describes it.
#include "cloud/google.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "support/fake_clock.h"
#include "support/fake_http_client.h"

namespace tidemark::cloud {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using tidemark::testing::reply;

constexpr const char* kUrl =
    "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token";

std::string answer(std::string_view token, int lifetime = 3600) {
  return R"({"access_token":")" + std::string(token) + R"(","expires_in":)" +
         std::to_string(lifetime) + R"(,"token_type":"Bearer"})";
}

class GoogleTest : public ::testing::Test {
 protected:
  Result<registry::Credential> login(std::string_view host = "europe-west3-docker.pkg.dev") {
    return google_.login(host, Deadline::after(seconds{10}), {});
  }

  tidemark::testing::FakeClock clock_;
  tidemark::testing::FakeHttpClient metadata_;
  GoogleLogin google_{metadata_, clock_, Logger::none()};
};

TEST_F(GoogleTest, AnAccessTokenIsThePasswordOfAFixedUser) {
  metadata_.push("GET", kUrl, reply(200, answer("ya29.one")));
  EXPECT_EQ(google_.known("gcr.io"), std::nullopt);
  const auto credential = login();
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->username, "oauth2accesstoken");
  EXPECT_EQ(credential->password, "ya29.one");
  EXPECT_EQ(credential->source, "login google");
  EXPECT_EQ(*net::find_header(metadata_.requests().at(0).headers, "Metadata-Flavor"), "Google");
  EXPECT_EQ(login("gcr.io")->password, "ya29.one");
  EXPECT_TRUE(google_.known("eu.gcr.io"));
  EXPECT_EQ(metadata_.count(), 1U);
  clock_.advance(minutes{48});
  metadata_.push("GET", kUrl, reply(200, answer("ya29.two")));
  EXPECT_EQ(login()->password, "ya29.two");
}

TEST_F(GoogleTest, OnlyGooglesHostsGetIt) {
  metadata_.on("GET", kUrl, [](const auto&) { return reply(200, answer("ya29.one")); });
  ASSERT_TRUE(login());
  for (const char* host : {"registry.example.com", "gcr.io.evil.example", "evilgcr.io"}) {
    EXPECT_EQ(login(host).error().kind, ErrorKind::kForbidden) << host;
    EXPECT_EQ(google_.known(host), std::nullopt) << host;
  }
  EXPECT_EQ(metadata_.count(), 1U);
}

TEST_F(GoogleTest, WrongAnswersAreErrorsThatTellNothing) {
  const std::vector<std::pair<int, std::string>> answers = {
      {200, ""},
      {200, "<html>canary</html>"},
      {200, answer("canary").substr(0, 30)},
      {200, R"({"access_token":"canary"})"},
      {200, R"({"access_token":["canary"],"expires_in":3600})"},
      {200, R"({"access_token":"canary","expires_in":"soon"})"},
      {200, answer("canary", 0)},
      {200, R"({"access_token":"canary","expires_in":-5})"},
      {200, answer("canary\\r\\nX-Evil: 1")},
      {200, answer(std::string(20'000, 'c'))},
      {200, std::string(60'000, '{')},
      {302, answer("canary")},
      {403, "canary"},
      {404, "canary"},
      {503, "canary"},
  };
  for (const auto& [status, body] : answers) {
    metadata_.push("GET", kUrl, reply(status, body, {{"Location", "http://evil.example/"}}));
    const auto result = login();
    ASSERT_FALSE(result) << status << " " << body.substr(0, 200);
    EXPECT_EQ(result.error().message.find("canary"), std::string::npos) << result.error().message;
    clock_.advance(seconds{15});
  }
  EXPECT_EQ(metadata_.count(), answers.size());
  metadata_.push("GET", kUrl, reply(200, R"({"access_token":"t","expires_in":"3599"})"));
  EXPECT_TRUE(login()) << "a number in quotes is one, too";
}

}  // namespace
}  // namespace tidemark::cloud
