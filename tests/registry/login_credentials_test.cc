#include "registry/login_credentials.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "registry/stack.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::seconds;
using testing::fake_digest;

class FakeLogins final : public LoginSource {
 public:
  Result<Credential> login(Login login, std::string_view registry, Deadline deadline,
                           std::stop_token) override {
    asked.push_back(std::string(to_string(login)) + " " + std::string(registry));
    given = deadline.remaining();
    return answer;
  }
  std::optional<Credential> known(Login, std::string_view) override { return cached; }

  std::vector<std::string> asked;
  std::chrono::milliseconds given{0};
  Result<Credential> answer = Credential{
      .username = "AWS", .password = "p", .source = "login ecr", .login = "ecr eu-west-1"};
  std::optional<Credential> cached;
};

// Tells which credentials it was asked with.
class Recorder final : public Resolver {
 public:
  Result<Creation> created(const Query&, Deadline, std::stop_token) override {
    return tidemark::fail(ErrorKind::kInternal, "not asked for here");
  }
  Result<TagList> tags(const Query& query, Deadline, std::stop_token) override {
    return TagList{
        .tags = {},
        .credential_source = query.credentials.empty() ? "" : query.credentials.back().source};
  }
  Result<Resolution> resolve(const Query& query, Deadline, std::stop_token) override {
    sources = names(query);
    if (error) return fail(*error);
    return Resolution{.digest = fake_digest('a')};
  }
  std::optional<Result<Resolution>> known(const Query& query) override {
    sources = names(query);
    return Resolution{.digest = fake_digest('b')};
  }
  static std::vector<std::string> names(const Query& query) {
    std::vector<std::string> out;
    for (const Credential& credential : query.credentials) out.push_back(credential.source);
    return out;
  }

  std::vector<std::string> sources;
  std::optional<Error> error;
};

class LoginCredentialsTest : public ::testing::Test {
 protected:
  static Endpoints endpoints() {
    ResolverOptions options;
    options.registries = {{.host = "*.dkr.ecr.*.amazonaws.com", .login = Login::kEcr},
                          {.host = "999999999999.dkr.ecr.eu-west-1.amazonaws.com"}};
    return Endpoints::make(options,
                           [](const net::ClientOptions&) {
                             return Result<std::shared_ptr<net::HttpClient>>(
                                 std::make_shared<testing::FakeHttpClient>());
                           })
        .value();
  }
  static Query query(std::string_view name) {
    return {.reference = image::Reference::parse(name).value(),
            .credentials = {{.username = "u", .password = "p", .source = "secret a/b"}}};
  }
  Result<Resolution> resolve(std::string_view name) {
    return resolver_.resolve(query(name), Deadline::after(seconds{10}), {});
  }

  static constexpr const char* kName = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1";
  const Endpoints endpoints_ = endpoints();
  FakeLogins logins_;
  Recorder next_;
  LoginCredentials resolver_{
      endpoints_, std::shared_ptr<LoginSource>(std::shared_ptr<void>(), &logins_), next_};
};

TEST_F(LoginCredentialsTest, ComeAfterTheQuerysOwnWhereTheRegistryHasALogin) {
  EXPECT_TRUE(resolve(kName));
  EXPECT_EQ(next_.sources, (std::vector<std::string>{"secret a/b", "login ecr"}));
  EXPECT_EQ(logins_.asked,
            std::vector<std::string>{"ecr 123456789012.dkr.ecr.eu-west-1.amazonaws.com"});
  EXPECT_LE(logins_.given, seconds{5}) << "the registry has the other half";
  EXPECT_TRUE(resolve("999999999999.dkr.ecr.eu-west-1.amazonaws.com/app:1"));
  EXPECT_TRUE(resolve("nginx"));
  EXPECT_EQ(next_.sources, std::vector<std::string>{"secret a/b"});
  EXPECT_EQ(logins_.asked.size(), 1U) << "the more specific entry and other registries have none";
}

TEST_F(LoginCredentialsTest, WhatIsKnownWaitsForNoLogin) {
  EXPECT_FALSE(resolver_.known(query(kName)));
  EXPECT_TRUE(resolver_.known(query("nginx")));
  logins_.cached = *logins_.answer;
  EXPECT_TRUE(resolver_.known(query(kName)));
  EXPECT_EQ(next_.sources, (std::vector<std::string>{"secret a/b", "login ecr"}));
  EXPECT_TRUE(logins_.asked.empty());
}

TEST_F(LoginCredentialsTest, AFailedLoginStopsNobodyAndIsToldWhereItMatters) {
  logins_.answer = fail(ErrorKind::kForbidden, "STS answered 403");
  EXPECT_TRUE(resolve(kName));
  EXPECT_EQ(next_.sources, std::vector<std::string>{"secret a/b"});
  next_.error = Error{.kind = ErrorKind::kUnauthorized, .message = "unauthorized (401)"};
  auto refused = resolve(kName);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(refused.error().message, "unauthorized (401); login ecr: STS answered 403");
  logins_.answer = fail(ErrorKind::kUnavailable, "STS answered 503");
  EXPECT_EQ(resolve(kName).error().kind, ErrorKind::kUnavailable) << "it may work later";
  next_.error = Error{.kind = ErrorKind::kTls, .message = "tls"};
  EXPECT_EQ(resolve(kName).error().message, "tls");
}

TEST_F(LoginCredentialsTest, ALoginsIdentityOutlivesItsTokens) {
  const Credential one = *logins_.answer;
  Credential two = one;
  two.password = "renewed";
  EXPECT_EQ(one.identity(), two.identity());
  Credential forged = one;
  forged.login.clear();
  EXPECT_NE(one.identity(), forged.identity());
}

TEST(LoginOptions, ALoginGoesToTheCloudsOwnHostAlone) {
  const SystemClock clock;
  Metrics metrics;
  const auto logins = std::make_shared<FakeLogins>();
  const auto works = [&](RegistryOptions entry, const std::shared_ptr<LoginSource>& source) {
    ResolverOptions options;
    entry.host = "public.ecr.aws";
    entry.login = Login::kEcrPublic;
    options.registries = {std::move(entry)};
    return make_resolver(options, clock, metrics, Logger::none(), source).has_value();
  };
  EXPECT_TRUE(works({}, logins));
  EXPECT_FALSE(works({}, nullptr));
  EXPECT_FALSE(works({.plain_http = true}, logins));
  EXPECT_FALSE(works({.insecure_skip_verify = true}, logins));
  EXPECT_FALSE(works({.endpoint = "https://mirror.example.com"}, logins));
}

TEST(LoginOptions, NamesAreReadAndWritten) {
  for (const Login login :
       {Login::kNone, Login::kEcr, Login::kEcrPublic, Login::kGoogle, Login::kAzure}) {
    EXPECT_EQ(parse_login(to_string(login)), login);
  }
  EXPECT_FALSE(parse_login("aws"));
}

}  // namespace
}  // namespace tidemark::registry
