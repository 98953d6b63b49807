// Tidemark's own credentials for a registry: a Secret, a file, or none at all.
#include "registry/own_credentials.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/base64.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fake_digest;

const Credential kPods{.username = "pod", .password = "p", .source = "secret a/pull"};

class SecretTest : public ::testing::Test {
 protected:
  SecretTest() {
    next_.answer(
        "r.test/a:1",
        [this](const Query& query, Deadline, const std::stop_token&) -> Result<Resolution> {
          for (const Credential& credential : query.credentials) {
            if (credential.password == good_ || credential.registry_token == good_) {
              return Resolution{.digest = fake_digest('a'), .credential_source = credential.source};
            }
          }
          return fail(
              Error{.kind = ErrorKind::kUnauthorized, .message = "401", .http_status = 401});
        });
    configure({{.host = "r.test", .secret = "sys/r"}});
  }
  void configure(std::vector<RegistryOptions> registries) {
    own_.reset();
    ResolverOptions options;
    options.registries = std::move(registries);
    endpoints_ =
        std::make_unique<Endpoints>(Endpoints::make(options, [](const net::ClientOptions&) {
                                      return Result<std::shared_ptr<net::HttpClient>>(
                                          std::make_shared<testing::FakeHttpClient>());
                                    }).value());
    own_ = std::make_unique<OwnCredentials>(
        *endpoints_,
        [this](std::string_view ns, std::string_view name, Deadline deadline,
               const std::stop_token&) {
          read_.push_back(std::string(ns) + " " + std::string(name));
          given_ = deadline.remaining();
          return secret_;
        },
        next_, clock_, Logger::to_sink(LogLevel::kDebug, [this](std::string_view line) {
          log_.append(line).append("\n");
        }));
    ASSERT_TRUE(own_->configure(options));
  }
  Result<Resolution> resolve() { return own_->resolve(query(), Deadline::after(seconds{10}), {}); }
  static Query query() {
    return {.reference = image::Reference::parse("r.test/a:1").value(), .credentials = {kPods}};
  }
  void holds(std::map<std::string, std::string> data, std::string type = "Opaque") {
    secret_ = SecretData{.type = std::move(type), .data = std::move(data)};
  }

  testing::FakeClock clock_;
  testing::FakeResolver next_;
  std::string good_ = "wonder";
  Result<SecretData> secret_ =
      SecretData{.type = "Opaque", .data = {{"username", "alice"}, {"password", "wonder\n"}}};
  std::vector<std::string> read_;
  milliseconds given_{0};
  std::string log_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<OwnCredentials> own_;
};

TEST_F(SecretTest, IsReadOnceAndTriedAfterThePods) {
  const auto first = resolve();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->credential_source, "secret sys/r");
  EXPECT_EQ(read_, std::vector<std::string>{"sys r"});
  EXPECT_LE(given_, seconds{5}) << "the registry has the other half";
  ASSERT_EQ(next_.calls().back().credentials.size(), 2U);
  EXPECT_EQ(next_.calls().back().credentials[0].source, "secret a/pull");
  EXPECT_TRUE(resolve());
  EXPECT_EQ(read_.size(), 1U);
  clock_.advance(OwnCredentials::kRereadSecret);
  EXPECT_TRUE(resolve());
  EXPECT_EQ(read_.size(), 2U);
}

TEST_F(SecretTest, OfAnyOfTheFormsPeopleKeepThemIn) {
  const auto source = [&] {
    clock_.advance(OwnCredentials::kRereadSecret);
    const auto result = resolve();
    return result ? result->credential_source : result.error().message;
  };
  holds({{"token", "wonder\n"}});
  EXPECT_EQ(source(), "secret sys/r");
  EXPECT_EQ(next_.calls().back().credentials[1].registry_token, "wonder");
  holds({{"username", "robot$a"}, {"token", "wonder"}});
  EXPECT_EQ(source(), "secret sys/r");
  EXPECT_EQ(next_.calls().back().credentials[1].username, "robot$a");
  const std::string docker =
      R"({"auths":{"r.test":{"auth":")" + base64_encode("alice:wonder") + "\"}}}";
  holds({{".dockerconfigjson", docker}}, "kubernetes.io/dockerconfigjson");
  EXPECT_EQ(source(), "secret sys/r");
  holds({{".dockerconfigjson", docker}});
  EXPECT_EQ(source(), "secret sys/r");
  holds({{"username", "alice"}, {"password", "wonder"}}, "kubernetes.io/basic-auth");
  EXPECT_EQ(source(), "secret sys/r");
  holds({{"pass", "wonder"}});
  EXPECT_EQ(source(), "secret sys/r") << "what was read last goes on";
  EXPECT_NE(log_.find("holds neither .dockerconfigjson"), std::string::npos);
  EXPECT_EQ(log_.find("wonder"), std::string::npos);
}

TEST_F(SecretTest, ARotatedOneIsReadAtOnceWhereTheRegistryRefusesTheOld) {
  EXPECT_TRUE(resolve());
  good_ = "new";
  holds({{"username", "alice"}, {"password", "new"}});
  EXPECT_TRUE(resolve());
  EXPECT_EQ(read_.size(), 2U);
  good_ = "nobody knows";
  EXPECT_FALSE(resolve());
  EXPECT_EQ(read_.size(), 3U);
  EXPECT_EQ(next_.calls().size(), 4U) << "the same once more is not asked with";
}

TEST_F(SecretTest, OneThatCannotBeReadStopsNobodyAndIsToldWhereItMatters) {
  secret_ = fail(ErrorKind::kNotFound, "secrets \"r\" not found");
  const auto refused = resolve();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized);
  EXPECT_NE(refused.error().message.find("secret sys/r: secrets \"r\" not found"),
            std::string::npos)
      << refused.error().message;
  good_ = "p";
  EXPECT_TRUE(resolve()) << "the pod's own will do";
  good_ = "wonder";
  clock_.advance(OwnCredentials::kReread);
  secret_ = fail(ErrorKind::kUnavailable, "no answer");
  EXPECT_EQ(resolve().error().kind, ErrorKind::kUnavailable) << "it may work in a moment";
}

TEST_F(SecretTest, WhatIsKnownWaitsForNoSecret) {
  EXPECT_FALSE(own_->known(query()));
  EXPECT_TRUE(resolve());
  (void)own_->known(query());
  EXPECT_EQ(read_.size(), 1U);
}

TEST_F(SecretTest, NoneIsSentWhereTheEntrySaysSo) {
  configure({{.host = "r.test", .send_credentials = false}});
  EXPECT_FALSE(resolve());
  EXPECT_TRUE(next_.calls().back().credentials.empty()) << "not the pod's either";
}

TEST_F(SecretTest, NeedsSomebodyWhoReadsSecrets) {
  ResolverOptions options;
  options.registries = {{.host = "r.test", .secret = "sys/r"}};
  OwnCredentials blind(*endpoints_, {}, next_, clock_, Logger::none());
  const auto refused = blind.configure(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace tidemark::registry
