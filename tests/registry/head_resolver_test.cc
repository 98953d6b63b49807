// HeadResolver, and with it Authorizer, TokenCache and Exchange, over a scripted HTTP client.
#include "registry/head_resolver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "registry/encoding.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::fake_digest;
using testing::FakeClock;
using testing::FakeHttpClient;
using testing::reply;

constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
const std::string kHub = "https://registry-1.docker.io/v2/library/nginx/manifests/1.27";
const std::string kHubToken =
    "https://auth.docker.io/token?service=registry.docker.io&"
    "scope=repository%3Alibrary%2Fnginx%3Apull";
const std::string kHubChallenge =
    R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
    R"(scope="repository:library/nginx:pull")";
const std::string kUrl = "https://r.test/v2/app/manifests/1";

net::Response manifest(const image::Digest& digest, std::string_view type = kIndex) {
  return reply(200, {},
               {{"Content-Type", std::string(type)}, {"Docker-Content-Digest", digest.str()}});
}
net::Response challenge(const std::string& value) {
  return reply(401, {}, {{"WWW-Authenticate", value}});
}
std::string authorization_of(const net::Request& request) {
  const std::string* header = net::find_header(request.headers, "Authorization");
  return header == nullptr ? "" : *header;
}

class HeadResolverTest : public ::testing::Test {
 protected:
  HeadResolverTest() { configure({{.host = "plain.test", .plain_http = true}}); }

  void configure(std::vector<RegistryOptions> registries) {
    resolver_.reset();
    ResolverOptions options;
    options.registries = std::move(registries);
    endpoints_ =
        std::make_unique<Endpoints>(Endpoints::make(options, [this](const net::ClientOptions&) {
                                      return Result<std::shared_ptr<net::HttpClient>>(http_);
                                    }).value());
    resolver_ = std::make_unique<HeadResolver>(HeadResolver::Options{.seed = 1}, *endpoints_,
                                               registry_metrics_, clock_, Logger::none());
  }
  Result<Resolution> resolve(std::string_view name, std::vector<Credential> credentials = {}) {
    return resolver_->resolve(
        {.reference = image::Reference::parse(name).value(), .credentials = std::move(credentials)},
        Deadline::after(seconds{30}));
  }
  // "METHOD url" of everything that was asked.
  std::vector<std::string> asked() const {
    std::vector<std::string> out;
    for (const net::Request& request : http_->requests()) {
      out.push_back(request.method + " " + request.url.str());
    }
    return out;
  }
  void serve_token(const std::string& url, const std::string& token, int expires_in = 300) {
    http_->push("GET", url,
                reply(200, R"({"token":")" + token + R"(","expires_in":)" +
                               std::to_string(expires_in) + "}"));
  }
  double counted(std::string_view registry, std::string_view operation, std::string_view outcome) {
    return metrics_
        .counter("tidemark_registry_requests_total",
                 "Requests to registries and their token servers.")
        .with({{"registry", std::string(registry)},
               {"operation", std::string(operation)},
               {"outcome", std::string(outcome)}})
        .value();
  }

  FakeClock clock_;
  Metrics metrics_;
  RegistryMetrics registry_metrics_{metrics_};
  std::shared_ptr<FakeHttpClient> http_ = std::make_shared<FakeHttpClient>();
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<HeadResolver> resolver_;
};

using Asked = std::vector<std::string>;

const Credential kAlice{.username = "alice", .password = "wonder", .source = "secret a/alice"};
const Credential kBob{.username = "bob", .password = "builder", .source = "secret b/bob"};

TEST_F(HeadResolverTest, AnOpenRegistryTakesOneHead) {
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  const auto result = resolve("r.test/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest, fake_digest('a'));
  EXPECT_EQ(result->media_type, kIndex);
  EXPECT_EQ(result->credential_source, "");
  EXPECT_EQ(result->freshness, Resolution::Freshness::kFresh);
  ASSERT_EQ(http_->count(), 1U);
  const net::Request request = http_->requests().front();
  EXPECT_EQ(authorization_of(request), "");
  EXPECT_LE(request.max_body_bytes, 64U * 1024);
  const std::string accept = *net::find_header(request.headers, "Accept");
  for (const std::string_view type :
       {"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json"}) {
    EXPECT_NE(accept.find(type), std::string::npos) << type;
  }
  EXPECT_EQ(counted("r.test", "head", "ok"), 1.0);
}

TEST_F(HeadResolverTest, LearnsTheChallengeOnceAndThenTakesOneRequestForEachReference) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  serve_token(kHubToken, "t1");
  http_->on("HEAD", kHub, [](const net::Request& request) -> Result<net::Response> {
    return authorization_of(request) == "Bearer t1" ? manifest(fake_digest('a')) : reply(401);
  });
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(asked(), (Asked{"HEAD " + kHub, "GET " + kHubToken, "HEAD " + kHub}));
  // The same reference again: the token is good, no challenge is needed.
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(http_->count(), 4U);

  // Another repository: its token is asked for straight away.
  const std::string app = "https://registry-1.docker.io/v2/team/app/manifests/latest";
  const std::string app_token =
      "https://auth.docker.io/"
      "token?service=registry.docker.io&scope=repository%3Ateam%2Fapp%3Apull";
  serve_token(app_token, "t2");
  http_->push("HEAD", app, manifest(fake_digest('b')));
  ASSERT_TRUE(resolve("team/app"));
  EXPECT_EQ(asked().at(4), "GET " + app_token);
  EXPECT_EQ(asked().at(5), "HEAD " + app);
  EXPECT_EQ(http_->count(), 6U);
  EXPECT_EQ(authorization_of(http_->requests().back()), "Bearer t2");
  EXPECT_TRUE(http_->unexpected().empty());
}

TEST_F(HeadResolverTest, SendsUserAndPasswordToTheTokenServerOnly) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  http_->push("GET", kHubToken, reply(200, R"({"access_token":"t1","token":"no"})"));
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  const auto result = resolve("nginx:1.27", {kAlice});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->credential_source, "secret a/alice");
  const auto requests = http_->requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(authorization_of(requests[0]), "");
  EXPECT_EQ(authorization_of(requests[1]), "Basic " + base64_encode("alice:wonder"));
  EXPECT_EQ(authorization_of(requests[2]), "Bearer t1");
}

TEST_F(HeadResolverTest, TradesAnIdentityTokenByPost) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  http_->push("POST", "https://auth.docker.io/token",
              reply(200, R"({"access_token":"t1","expires_in":900})"));
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27", {{.username = "x", .identity_token = "re fresh&"}}));
  const net::Request post = http_->requests().at(1);
  EXPECT_EQ(authorization_of(post), "");
  EXPECT_EQ(*net::find_header(post.headers, "Content-Type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(post.body,
            "grant_type=refresh_token&service=registry.docker.io&client_id=tidemark&"
            "scope=repository%3Alibrary%2Fnginx%3Apull&refresh_token=re%20fresh%26");
}

TEST_F(HeadResolverTest, AnIdentityTokenThatIsNoLongerGoodIsUnauthorized) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  http_->push("POST", "https://auth.docker.io/token", reply(400, R"({"error":"invalid_grant"})"));
  const auto result = resolve("nginx:1.27", {{.identity_token = "old"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnauthorized);
  EXPECT_NE(result.error().message.find("invalid_grant"), std::string::npos);
}

TEST_F(HeadResolverTest, SendsARegistryTokenAsItIs) {
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1", {{.registry_token = "given"}}));
  EXPECT_EQ(authorization_of(http_->requests().front()), "Bearer given");

  http_->push("HEAD", kUrl, challenge("Bearer realm=\"https://r.test/token\""));
  const auto refused = resolve("r.test/app:1", {{.registry_token = "given"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(http_->count(), 2U);

  const auto unsafe = resolve("r.test/app:1", {{.registry_token = "a\r\nHost: evil"}});
  EXPECT_EQ(unsafe.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(http_->count(), 2U) << "never sent";
}

TEST_F(HeadResolverTest, AnswersABasicChallengeAndRemembersIt) {
  http_->push("HEAD", kUrl, challenge("Basic realm=\"Registry\""));
  http_->on("HEAD", kUrl, [](const net::Request& request) -> Result<net::Response> {
    return authorization_of(request) == "Basic " + base64_encode("alice:wonder")
               ? manifest(fake_digest('a'))
               : challenge("Basic realm=\"Registry\"");
  });
  ASSERT_TRUE(resolve("r.test/app:1", {kAlice}));
  ASSERT_TRUE(resolve("r.test/app:1", {kAlice}));
  EXPECT_EQ(http_->count(), 3U);

  const auto wrong = resolve("r.test/app:1", {kBob});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(http_->count(), 4U) << "the same refused credential is not tried twice";
  const auto anonymous = resolve("r.test/app:1");
  ASSERT_FALSE(anonymous);
  EXPECT_EQ(anonymous.error().kind, ErrorKind::kUnauthorized);
}

TEST_F(HeadResolverTest, AnonymousCallersAskWhereOthersNeedCredentials) {
  // Learnt from a private repository.
  http_->push("HEAD", kUrl, challenge("Basic realm=x"));
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1", {kAlice}));
  // A public one on the same registry.
  http_->push("HEAD", "https://r.test/v2/public/manifests/1", manifest(fake_digest('b')));
  EXPECT_TRUE(resolve("r.test/public:1"));

  http_->push("HEAD", "https://s.test/v2/app/manifests/1",
              challenge(R"(Bearer realm="https://s.test/t")"));
  serve_token("https://s.test/t?scope=repository%3Aapp%3Apull", "t");
  http_->push("HEAD", "https://s.test/v2/app/manifests/1", manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("s.test/app:1", {kAlice}));
  http_->push("GET", "https://s.test/t?scope=repository%3Apublic%3Apull", reply(401));
  http_->push("HEAD", "https://s.test/v2/public/manifests/1", manifest(fake_digest('b')));
  EXPECT_TRUE(resolve("s.test/public:1"));
  EXPECT_TRUE(http_->unexpected().empty());
}

TEST_F(HeadResolverTest, SignedUrlsStayOutOfMessages) {
  http_->push("HEAD", kUrl, reply(307, {}, {{"Location", "https://cdn.test/b?X-Sig=secret"}}));
  http_->push("HEAD", "https://cdn.test/b?X-Sig=secret",
              fail(ErrorKind::kTimeout, "HEAD https://cdn.test/b?X-Sig=secret: timed out"));
  EXPECT_EQ(resolve("r.test/app:1").error().message,
            "r.test/app:1: HEAD https://cdn.test/b?***: timed out");
}

TEST_F(HeadResolverTest, PrefersBearerWhereBothAreOffered) {
  http_->push("HEAD", kUrl,
              challenge(R"(Basic realm="x", Bearer realm="https://r.test/token",service="s")"));
  serve_token("https://r.test/token?service=s&scope=repository%3Aapp%3Apull", "t");
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1", {kAlice}));
}

TEST_F(HeadResolverTest, RetriesOnceWithAFreshTokenWhereACachedOneIsRefused) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  serve_token(kHubToken, "t1");
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27"));

  http_->push("HEAD", kHub, challenge(kHubChallenge));  // t1 was withdrawn
  serve_token(kHubToken, "t2");
  http_->push("HEAD", kHub, manifest(fake_digest('b')));
  const auto result = resolve("nginx:1.27");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest, fake_digest('b'));
  EXPECT_EQ(authorization_of(http_->requests().back()), "Bearer t2");
  EXPECT_EQ(http_->count(), 6U);
}

TEST_F(HeadResolverTest, DoesNotAskForASecondTokenWhereAFreshOneIsRefused) {
  http_->on("HEAD", kHub,
            [](const net::Request&) -> Result<net::Response> { return challenge(kHubChallenge); });
  serve_token(kHubToken, "t1");
  const auto result = resolve("nginx:1.27");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(result.error().http_status, 401);
  EXPECT_EQ(asked(), (Asked{"HEAD " + kHub, "GET " + kHubToken, "HEAD " + kHub}));
}

TEST_F(HeadResolverTest, TokensEndBeforeTheyExpire) {
  const auto round = [&](const std::string& token, int expires_in) {
    serve_token(kHubToken, token, expires_in);
    http_->push("HEAD", kHub, manifest(fake_digest('a')));
  };
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  round("t1", 300);
  ASSERT_TRUE(resolve("nginx:1.27"));
  clock_.advance(seconds{269});
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(http_->count("GET", kHubToken), 1U);
  clock_.advance(seconds{1});  // 30 s before its end
  round("t2", 1);              // at least 60 s, says the specification; 48 of them are used
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(http_->count("GET", kHubToken), 2U);
  clock_.advance(seconds{47});
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(http_->count("GET", kHubToken), 2U);
  clock_.advance(seconds{1});
  round("t3", 60);
  ASSERT_TRUE(resolve("nginx:1.27"));
  EXPECT_EQ(http_->count("GET", kHubToken), 3U);
  EXPECT_EQ(authorization_of(http_->requests().back()), "Bearer t3");
}

TEST_F(HeadResolverTest, TokensAreNeverSharedBetweenCredentials) {
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  serve_token(kHubToken, "for-alice");
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27", {kAlice}));
  serve_token(kHubToken, "for-bob");
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27", {kBob}));
  EXPECT_EQ(authorization_of(http_->requests().back()), "Bearer for-bob");
  EXPECT_EQ(authorization_of(http_->requests().at(3)), "Basic " + base64_encode("bob:builder"));
}

TEST_F(HeadResolverTest, RemembersAScopeOfARepositorysOwn) {
  http_->push("HEAD", kUrl,
              challenge(R"(Bearer realm="https://r.test/t",scope="repository:x/app:pull extra")"));
  const std::string token = "https://r.test/t?scope=repository%3Ax%2Fapp%3Apull&scope=extra";
  serve_token(token, "t");
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1"));
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1"));
  EXPECT_EQ(asked(), (Asked{"HEAD " + kUrl, "GET " + token, "HEAD " + kUrl, "HEAD " + kUrl}));
}

TEST_F(HeadResolverTest, FindsATokenServerThatHasMoved) {
  http_->push("HEAD", kUrl, challenge(R"(Bearer realm="https://old.test/t")"));
  const std::string scope = "?scope=repository%3Aapp%3Apull";
  serve_token("https://old.test/t" + scope, "t1", 60);
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("r.test/app:1"));
  clock_.advance(seconds{60});
  http_->push("GET", "https://old.test/t" + scope, fail(ErrorKind::kUnavailable, "gone"));
  http_->push("HEAD", kUrl, challenge(R"(Bearer realm="https://new.test/t")"));
  serve_token("https://new.test/t" + scope, "t2");
  http_->push("HEAD", kUrl, manifest(fake_digest('b')));
  const auto result = resolve("r.test/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->digest, fake_digest('b'));
}

TEST_F(HeadResolverTest, RefusesRealmsThatMustNotBeAsked) {
  for (const std::string realm : {"http://auth.test/token", "ftp://auth.test", "auth.test",
                                  "/token", "https://user:pw@auth.test/", "file:///etc/passwd"}) {
    http_->push("HEAD", kUrl, challenge("Bearer realm=\"" + realm + "\""));
    const auto result = resolve("r.test/app:1", {kAlice});
    ASSERT_FALSE(result) << realm;
    EXPECT_EQ(result.error().message.find("wonder"), std::string::npos);
  }
  EXPECT_EQ(http_->count("HEAD", kUrl), http_->count()) << "no realm was asked";
}

TEST_F(HeadResolverTest, APlainRegistryMayNameAPlainTokenServer) {
  const std::string url = "http://plain.test/v2/app/manifests/1";
  http_->push("HEAD", url, challenge(R"(Bearer realm="http://plain.test/t")"));
  serve_token("http://plain.test/t?scope=repository%3Aapp%3Apull", "t");
  http_->push("HEAD", url, manifest(fake_digest('a')));
  const auto result = resolve("plain.test/app:1");
  ASSERT_TRUE(result) << result.error().message;
}

TEST_F(HeadResolverTest, RefusesTokensThatCouldNotBeSent) {
  const std::string token = "https://r.test/t?scope=repository%3Aapp%3Apull";
  for (const std::string& body :
       {std::string("{}"), std::string("[]"), std::string("nonsense"),
        std::string(R"({"token":7})"), std::string(R"({"token":""})"),
        std::string(R"({"token":"a\r\nX: y"})"), std::string(R"({"token":"a b"})"),
        R"({"token":")" + std::string(kMaxTokenBytes + 1, 'x') + "\"}"}) {
    http_->push("HEAD", kUrl, challenge(R"(Bearer realm="https://r.test/t")"));
    http_->push("GET", token, reply(200, body));
    // A remembered token server that fails is asked again after the registry has been.
    http_->push("GET", token, reply(200, body));
    const auto result = resolve("r.test/app:1");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::kInvalid) << body.substr(0, 40);
  }
}

TEST_F(HeadResolverTest, ATokenServerThatIsNotThereSaysNothingOfTheImage) {
  http_->push("HEAD", kUrl, challenge(R"(Bearer realm="https://r.test/t")"));
  http_->push("GET", "https://r.test/t?scope=repository%3Aapp%3Apull", reply(404));
  const auto result = resolve("r.test/app:1");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
}

TEST_F(HeadResolverTest, RedirectsNeverCarryTheHeaderToAnotherOrigin) {
  http_->push("HEAD", kUrl, challenge("Basic realm=x"));
  http_->push("HEAD", kUrl, reply(307, {}, {{"Location", "/v2/moved/manifests/1"}}));
  http_->push("HEAD", "https://r.test/v2/moved/manifests/1",
              reply(302, {}, {{"Location", "https://cdn.test/blob?sig=1"}}));
  http_->push("HEAD", "https://cdn.test/blob?sig=1",
              reply(301, {}, {{"Location", "https://r.test/v2/back/manifests/1"}}));
  http_->push("HEAD", "https://r.test/v2/back/manifests/1", manifest(fake_digest('a')));
  const auto result = resolve("r.test/app:1", {kAlice});
  ASSERT_TRUE(result) << result.error().message;
  const auto requests = http_->requests();
  ASSERT_EQ(requests.size(), 5U);
  const std::string basic = "Basic " + base64_encode("alice:wonder");
  EXPECT_EQ(authorization_of(requests[1]), basic);
  EXPECT_EQ(authorization_of(requests[2]), basic);
  EXPECT_EQ(authorization_of(requests[3]), "") << requests[3].url.str();
}

TEST_F(HeadResolverTest, AChallengeFromElsewhereIsNotAnswered) {
  http_->push("HEAD", kUrl, reply(307, {}, {{"Location", "https://evil.test/m"}}));
  http_->push("HEAD", "https://evil.test/m", challenge(R"(Bearer realm="https://evil.test/t")"));
  const auto result = resolve("r.test/app:1", {kAlice});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kUnauthorized);
  EXPECT_EQ(http_->count(), 2U);
  for (const net::Request& request : http_->requests()) EXPECT_EQ(authorization_of(request), "");
}

TEST_F(HeadResolverTest, RedirectsAreBoundedAndNeverLeaveHttps) {
  http_->on("HEAD", kUrl, [](const net::Request&) -> Result<net::Response> {
    return reply(302, {}, {{"Location", kUrl}});
  });
  const auto loop = resolve("r.test/app:1");
  ASSERT_FALSE(loop);
  EXPECT_EQ(http_->count(), 1 + kMaxRedirects);

  const std::string other = "https://s.test/v2/app/manifests/1";
  for (const std::string location : {"http://s.test/x", "ftp://s.test/x", "https://"}) {
    http_->push("HEAD", other, reply(302, {}, {{"Location", location}}));
    EXPECT_FALSE(resolve("s.test/app:1")) << location;
  }
  http_->push("HEAD", other, reply(302));
  const auto nowhere = resolve("s.test/app:1");
  EXPECT_EQ(nowhere.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(http_->count("HEAD", other), 4U);
  EXPECT_TRUE(http_->unexpected().empty());
}

TEST_F(HeadResolverTest, ATokenServerMayNotRedirectToAnotherHost) {
  const std::string token = "https://auth.test/t?scope=repository%3Aapp%3Apull";
  http_->push("HEAD", kUrl, challenge(R"(Bearer realm="https://auth.test/t")"));
  http_->push("GET", token, reply(302, {}, {{"Location", "https://internal.test/secret"}}));
  const auto result = resolve("r.test/app:1", {kAlice});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kForbidden);
  EXPECT_TRUE(http_->unexpected().empty());
}

TEST_F(HeadResolverTest, FallsBackToGetWhereHeadSaysTooLittle) {
  const std::string body = R"({"schemaVersion":2,"manifests":[]})";
  const std::string digest = "sha256:" + sha256_hex(body);
  for (const net::Response& head : {reply(405), reply(501), reply(200)}) {
    http_->push("HEAD", kUrl, head);
    http_->push("GET", kUrl, reply(200, body, {{"Content-Type", std::string(kIndex) + "; a=b"}}));
    const auto result = resolve("r.test/app:1");
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->digest.str(), digest);
    EXPECT_EQ(result->media_type, kIndex);
  }
  EXPECT_EQ(http_->requests().back().max_body_bytes, kMaxManifestBytes);
  EXPECT_EQ(counted("r.test", "get", "ok"), 3.0);
}

TEST_F(HeadResolverTest, NamesThePlatformsOfAnIndexWhereTheyAreAskedFor) {
  const std::string body = R"({"schemaVersion":2,"manifests":[{"digest":")" +
                           fake_digest('a').str() + R"("},{"digest":"sha256:1"},7,{},{"digest":")" +
                           fake_digest('b').str() + R"("}]})";
  const auto ask = [&](const std::string& answer, std::string_view type) {
    http_->push("GET", kUrl, reply(200, answer, {{"Content-Type", std::string(type)}}));
    return resolver_->resolve(
        {.reference = image::Reference::parse("r.test/app:1").value(), .with_platforms = true},
        Deadline::after(seconds{30}));
  };
  const auto index = ask(body, kIndex);
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->digest.str(), "sha256:" + sha256_hex(body));
  EXPECT_EQ(index->platforms, (std::vector{fake_digest('a'), fake_digest('b')}));
  const auto single =
      ask(R"({"schemaVersion":2,"layers":[]})", "application/vnd.oci.image.manifest.v1+json");
  ASSERT_TRUE(single);
  EXPECT_TRUE(single->platforms.empty());
}

TEST_F(HeadResolverTest, ArtifactsAndAttestationsAreNoPlatforms) {
  const auto entry = [](char hex, const std::string& more) {
    return R"({"digest":")" + fake_digest(hex).str() + "\"" + more + "}";
  };
  const std::string body =
      R"({"schemaVersion":2,"manifests":[)" +
      entry('a', R"(,"platform":{"os":"linux","architecture":"amd64"})") + "," +
      entry('b', R"(,"platform":{"os":"unknown","architecture":"unknown"},"annotations":)"
                 R"({"vnd.docker.reference.type":"attestation-manifest"})") +
      "," + entry('c', R"(,"artifactType":"application/vnd.example.sbom")") + "," +
      entry('d', R"(,"artifactType":"application/vnd.oci.image.config.v1+json")") + "," +
      entry('e', R"(,"artifactType":null,"annotations":7)") + "]}";
  http_->push("GET", kUrl, reply(200, body, {{"Content-Type", std::string(kIndex)}}));
  const auto result = resolver_->resolve(
      {.reference = image::Reference::parse("r.test/app:1").value(), .with_platforms = true},
      Deadline::after(seconds{30}));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->platforms, (std::vector{fake_digest('a'), fake_digest('d'), fake_digest('e')}));
}

TEST_F(HeadResolverTest, AGetAnswersTheChallengeThatAHeadDidNotGive) {
  const std::string body = R"({"schemaVersion":2,"layers":[]})";
  http_->push("HEAD", kUrl, reply(405));
  http_->push("GET", kUrl, challenge("Basic realm=x"));
  http_->push("GET", kUrl, reply(200, body, {{"Content-Type", "application/octet-stream"}}));
  const auto result = resolve("r.test/app:1", {kAlice});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->media_type, "application/vnd.oci.image.manifest.v1+json");
}

TEST_F(HeadResolverTest, ChecksTheBodyAgainstEveryDigestThatWasNamed) {
  const std::string body = R"({"schemaVersion":2,"manifests":[]})";
  const std::string right = "sha256:" + sha256_hex(body);
  const net::Headers good = {{"Content-Type", std::string(kIndex)},
                             {"Docker-Content-Digest", right}};
  const net::Headers bad = {{"Content-Type", std::string(kIndex)},
                            {"Docker-Content-Digest", fake_digest('a').str()}};
  http_->push("HEAD", kUrl, reply(405));
  http_->push("GET", kUrl, reply(200, body, good));
  EXPECT_TRUE(resolve("r.test/app:1"));
  http_->push("HEAD", kUrl, reply(405));
  http_->push("GET", kUrl, reply(200, body, bad));
  EXPECT_EQ(resolve("r.test/app:1").error().kind, ErrorKind::kInvalid);

  const std::string by_digest = "https://r.test/v2/app/manifests/" + right;
  http_->push("HEAD", by_digest, manifest(fake_digest('a')));
  EXPECT_EQ(resolve("r.test/app@" + right).error().kind, ErrorKind::kInvalid);
  http_->push("HEAD", by_digest, reply(200));
  http_->push("GET", by_digest, reply(200, body + " ", {{"Content-Type", std::string(kIndex)}}));
  EXPECT_EQ(resolve("r.test/app@" + right).error().kind, ErrorKind::kInvalid);
  http_->push("HEAD", by_digest, reply(200));
  http_->push("GET", by_digest, reply(200, body, {{"Content-Type", std::string(kIndex)}}));
  EXPECT_EQ(resolve("r.test/app@" + right)->digest.str(), right);
}

TEST_F(HeadResolverTest, ATagWithADigestAsksWhereTheTagPointsNow) {
  http_->push("HEAD", kUrl, manifest(fake_digest('b')));
  EXPECT_EQ(resolve("r.test/app:1@" + fake_digest('a').str())->digest, fake_digest('b'));
}

TEST_F(HeadResolverTest, RefusesWhatIsNoManifest) {
  const auto kind_of = [&](net::Response head, std::optional<net::Response> get) {
    http_->push("HEAD", kUrl, std::move(head));
    if (get) http_->push("GET", kUrl, std::move(*get));
    const auto result = resolve("r.test/app:1");
    return result ? ErrorKind::kInternal : result.error().kind;
  };
  // Schema 1, by header and by body.
  EXPECT_EQ(kind_of(manifest(fake_digest('a'),
                             "application/vnd.docker.distribution.manifest.v1+prettyjws"),
                    {}),
            ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(reply(405), reply(200, R"({"schemaVersion":1})")), ErrorKind::kInvalid);
  // A captive portal.
  EXPECT_EQ(kind_of(reply(200), reply(200, "<html>", {{"Content-Type", "text/html"}})),
            ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(reply(200), reply(200, "{}")), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(reply(200), reply(200, R"({"schemaVersion":2})")), ErrorKind::kInvalid);
  EXPECT_EQ(kind_of(reply(200), reply(200, R"({"mediaType":"text/plain"})")), ErrorKind::kInvalid);
  // A digest that is none.
  EXPECT_EQ(kind_of(reply(200, {}, {{"Docker-Content-Digest", "sha256:1"}}), {}),
            ErrorKind::kInvalid);
  // A manifest over 4 MiB.
  EXPECT_EQ(kind_of(reply(405), reply(200, std::string(kMaxManifestBytes + 1, ' '))),
            ErrorKind::kTooLarge);
}

TEST_F(HeadResolverTest, NamesReferenceAndCause) {
  http_->push("HEAD", kUrl, reply(404));
  EXPECT_EQ(resolve("r.test/app:1").error().message, "r.test/app:1: not found (404)");
  http_->push("HEAD", kUrl, reply(405));
  http_->push(
      "GET", kUrl,
      reply(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})"));
  const auto result = resolve("r.test/app:1");
  EXPECT_EQ(result.error().message,
            "r.test/app:1: not found (404): MANIFEST_UNKNOWN: manifest unknown");
  EXPECT_EQ(result.error().kind, ErrorKind::kNotFound);
}

TEST_F(HeadResolverTest, TriesCredentialsInTurn) {
  const std::string alice = "Basic " + base64_encode("alice:wonder");
  const std::string bob = "Basic " + base64_encode("bob:builder");
  int status = 401;
  http_->on("HEAD", kUrl, [&](const net::Request& request) -> Result<net::Response> {
    if (authorization_of(request).empty()) return challenge("Basic realm=x");
    if (authorization_of(request) == bob) return manifest(fake_digest('b'));
    return status == 401 ? challenge("Basic realm=x") : reply(status);
  });
  for (const int refused : {401, 403, 404}) {
    status = refused;
    const auto result = resolve("r.test/app:1", {kAlice, kBob});
    ASSERT_TRUE(result) << refused << " " << result.error().message;
    EXPECT_EQ(result->credential_source, "secret b/bob");
  }
  status = 500;
  const auto failing = resolve("r.test/app:1", {kAlice, kBob});
  ASSERT_FALSE(failing) << "a broken registry is not asked with every credential";
  EXPECT_EQ(failing.error().kind, ErrorKind::kUnavailable);
  status = 403;
  const auto none = resolve("r.test/app:1", {kAlice, kAlice});
  EXPECT_EQ(none.error().kind, ErrorKind::kForbidden);
}

TEST_F(HeadResolverTest, LeavesAnAccountThatWasToldToSlowDownAlone) {
  http_->push("HEAD", kUrl, reply(429, {}, {{"Retry-After", "20"}}));
  const auto first = resolve("r.test/app:1");
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(first.error().retry_after, seconds{20});
  const auto second = resolve("r.test/app:1");
  EXPECT_EQ(second.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(http_->count(), 1U);
  // Another account is not concerned, and neither is another registry.
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  EXPECT_TRUE(resolve("r.test/app:1", {kAlice}));
  clock_.advance(seconds{20});
  http_->push("HEAD", kUrl, manifest(fake_digest('a')));
  EXPECT_TRUE(resolve("r.test/app:1"));
}

TEST_F(HeadResolverTest, ADeadRegistryIsAskedNoMoreAndDelaysNobodyElse) {
  http_->on("HEAD", kUrl, [](const net::Request&) -> Result<net::Response> {
    return fail(ErrorKind::kTimeout, "no answer");
  });
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(resolve("r.test/app:1"));
  EXPECT_EQ(http_->count(), 3U);
  const auto refused = resolve("r.test/app:1");
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(refused.error().retry_after);

  http_->push("HEAD", "https://s.test/v2/app/manifests/1", manifest(fake_digest('a')));
  EXPECT_TRUE(resolve("s.test/app:1"));

  clock_.advance(seconds{5});
  http_->on("HEAD", kUrl, [](const net::Request&) -> Result<net::Response> {
    return manifest(fake_digest('a'));
  });
  EXPECT_TRUE(resolve("r.test/app:1"));
  EXPECT_TRUE(resolve("r.test/app:1"));
}

TEST_F(HeadResolverTest, AnswersThatArriveOpenNothing) {
  http_->on("HEAD", kUrl, [](const net::Request&) -> Result<net::Response> { return reply(503); });
  for (int i = 0; i < 10; ++i) EXPECT_EQ(resolve("r.test/app:1").error().http_status, 503);
  EXPECT_EQ(http_->count(), 10U);
}

TEST_F(HeadResolverTest, ACallersShortDeadlineIsNoFailureOfTheRegistry) {
  http_->on("HEAD", kUrl, [](const net::Request&) -> Result<net::Response> {
    return fail(ErrorKind::kTimeout, "no answer");
  });
  for (int i = 0; i < 10; ++i) {
    const auto result =
        resolver_->resolve({.reference = image::Reference::parse("r.test/app:1").value()},
                           Deadline::after(milliseconds{500}));
    EXPECT_EQ(result.error().kind, ErrorKind::kTimeout);
  }
  EXPECT_EQ(http_->count(), 10U);
}

TEST_F(HeadResolverTest, AsksNothingAfterTheDeadlineOrAStop) {
  const Query query{.reference = image::Reference::parse("r.test/app:1").value()};
  EXPECT_EQ(resolver_->resolve(query, Deadline::after(milliseconds{0})).error().kind,
            ErrorKind::kTimeout);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(resolver_->resolve(query, Deadline::after(seconds{9}), stop.get_token()).error().kind,
            ErrorKind::kCanceled);
}

TEST_F(HeadResolverTest, KeepsToTheConfiguredConcurrency) {
  configure({{.host = "r.test", .max_concurrency = 2}});
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::latch both(2);
  http_->on_any([&](const net::Request&) -> Result<net::Response> {
    const int now = ++inside;
    int seen = most.load();
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    if (!both.try_wait()) both.arrive_and_wait();
    --inside;
    return manifest(fake_digest('a'));
  });
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        if (resolve("r.test/app:" + std::to_string(i))) ++good;
      });
    }
  }
  EXPECT_EQ(good, 8);
  EXPECT_EQ(most, 2);
}

TEST_F(HeadResolverTest, ManyWhoNeedOneTokenAskForItOnce) {
  configure({{.host = "docker.io", .max_concurrency = 16}});
  // Learn the challenge, then let the token run out.
  http_->push("HEAD", kHub, challenge(kHubChallenge));
  serve_token(kHubToken, "t1", 60);
  http_->push("HEAD", kHub, manifest(fake_digest('a')));
  ASSERT_TRUE(resolve("nginx:1.27"));
  clock_.advance(seconds{60});
  serve_token(kHubToken, "t2");
  http_->on_any([](const net::Request& request) -> Result<net::Response> {
    return authorization_of(request) == "Bearer t2" ? manifest(fake_digest('a')) : reply(500);
  });
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&, i] {
        if (resolve("nginx:" + std::to_string(i))) ++good;
      });
    }
  }
  EXPECT_EQ(good, 16);
  EXPECT_EQ(http_->count("GET", kHubToken), 2U);
}

}  // namespace
}  // namespace tidemark::registry
