// What an entry of `registries:` changes: of Endpoints and HeadResolver, over a scripted client.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "registry/endpoints.h"
#include "registry/head_resolver.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::fake_digest;
using testing::reply;

net::Response manifest(net::Headers more = {}) {
  more.push_back({"Content-Type", "application/vnd.oci.image.index.v1+json"});
  more.push_back({"Docker-Content-Digest", fake_digest('a').str()});
  return reply(200, {}, std::move(more));
}

class ConfiguredTest : public ::testing::Test {
 protected:
  static ResolverOptions options(std::vector<RegistryOptions> registries) {
    ResolverOptions options;
    options.registries = std::move(registries);
    return options;
  }
  void configure(std::vector<RegistryOptions> registries) {
    resolver_.reset();
    endpoints_ = std::make_unique<Endpoints>(
        Endpoints::make(options(std::move(registries)), [this](const net::ClientOptions& client) {
          made_.push_back(client);
          clients_.push_back(std::make_shared<testing::FakeHttpClient>());
          clients_.back()->on_any([this](const net::Request& request) { return answer(request); });
          return Result<std::shared_ptr<net::HttpClient>>(clients_.back());
        }).value());
    resolver_ = std::make_unique<HeadResolver>(HeadResolver::Options{.seed = 1}, *endpoints_,
                                               metrics_, clock_, Logger::none());
  }
  void reload(std::vector<RegistryOptions> registries) {
    endpoints_->use(endpoints_->prepare(options(std::move(registries))).value());
  }
  Result<Resolution> resolve(std::string_view name, std::vector<Credential> credentials = {},
                             milliseconds budget = seconds{30}, bool with_platforms = false) {
    return resolver_->resolve({.reference = image::Reference::parse(name).value(),
                               .credentials = std::move(credentials),
                               .with_platforms = with_platforms},
                              Deadline::after(budget));
  }
  Result<net::Response> answer(const net::Request& request) {
    asked_.push_back(request.method + " " + request.url.str());
    if (answers_.empty()) return manifest();
    net::Response next = answers_.front();
    if (answers_.size() > 1) answers_.erase(answers_.begin());
    return next;
  }
  const net::HttpClient* client(std::string_view url) const {
    return endpoints_->client_for(net::Url::parse(url).value()).get();
  }
  std::string name_of(std::string_view registry) const {
    std::string name;
    endpoints_->append_name(registry, name);
    return name;
  }

  testing::FakeClock clock_;
  Metrics all_metrics_;
  RegistryMetrics metrics_{all_metrics_};
  std::vector<net::Response> answers_;  // the last one again and again; none: a manifest
  std::vector<std::string> asked_;
  std::vector<net::ClientOptions> made_;
  std::vector<std::shared_ptr<testing::FakeHttpClient>> clients_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<HeadResolver> resolver_;
};

TEST_F(ConfiguredTest, TheMostSpecificPatternDecides) {
  configure({{.host = "*.*.example.com", .max_concurrency = 1},
             {.host = "*.example.com", .max_concurrency = 2},
             {.host = "a.*.example.com", .max_concurrency = 3},
             {.host = "*.b.example.com", .max_concurrency = 4},
             {.host = "a.b.example.com", .max_concurrency = 5},
             {.host = "*.eu-west-1.example.com", .max_concurrency = 6},
             {.host = "a.b.example.com:5000", .max_concurrency = 7}});
  const auto entry = [&](std::string_view host) {
    return endpoints_->find(host).value().max_concurrency;
  };
  EXPECT_EQ(entry("a.b.example.com"), 5U) << "an exact name, wherever it stands";
  EXPECT_EQ(entry("a.b.example.com:5000"), 7U) << "a port is part of the name";
  EXPECT_EQ(entry("a.b.example.com:5001"), 8U) << "and no pattern without one matches it";
  EXPECT_EQ(entry("x.y.example.com"), 1U);
  EXPECT_EQ(entry("x.example.com"), 2U) << "* is one label";
  EXPECT_EQ(entry("a.x.example.com"), 3U) << "fewer wildcards";
  EXPECT_EQ(entry("x.b.example.com"), 4U);
  EXPECT_EQ(entry("a.eu-west-1.example.com"), 6U) << "then more letters";
  EXPECT_EQ(entry("example.com"), 8U) << "the default";
}

TEST_F(ConfiguredTest, AClientOfItsOwnWhereTrustProxyOrConnectTimeoutAreItsOwn) {
  configure({{.host = "mtls.test", .certificate_pem = "CERT", .key_pem = "KEY"},
             {.host = "proxied.test", .proxy = "http://u:p@proxy.test:3128"},
             {.host = "direct.test", .proxy = "none"},
             {.host = "slow.test", .connect_timeout = seconds{9}},
             {.host = "plain.test", .spacing = seconds{1}, .timeout = seconds{9}}});
  ASSERT_EQ(made_.size(), 5U) << "the shared one and four";
  ASSERT_TRUE(made_[1].trust.client_pair);
  EXPECT_EQ(made_[1].trust.client_pair->certificate_pem, "CERT");
  EXPECT_EQ(made_[1].trust.client_pair->key_pem, "KEY");
  EXPECT_FALSE(made_[0].trust.client_pair) << "nobody else is shown it";
  const net::Url url = net::Url::parse("https://proxied.test/").value();
  const net::Proxy* proxy = made_[2].proxy.select(url);
  ASSERT_NE(proxy, nullptr);
  EXPECT_EQ(proxy->url.authority(), "proxy.test:3128");
  EXPECT_NE(proxy->authorization, "");
  EXPECT_EQ(made_[3].proxy.select(url), nullptr);
  EXPECT_EQ(made_[4].connect_timeout, seconds{9});
  EXPECT_EQ(client("https://mtls.test/v2/"), clients_[1].get());
  EXPECT_EQ(client("https://other.test/token"), clients_[0].get()) << "a token server elsewhere";
}

TEST_F(ConfiguredTest, AProxyThatIsNoneIsRefusedWithoutItsPassword) {
  const auto refused = Endpoints::make(
      options({{.host = "a.test", .proxy = "https://u:hunter2@proxy.test"}}), net::make_client);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("registry a.test"), std::string::npos);
  EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
}

TEST_F(ConfiguredTest, RewritesPathsInTheRequestAndInTheTokensScope) {
  configure({{.host = "r.test",
              .rewrite = {{.from = "", .to = "docker-remote"},
                          {.from = "team", .to = "docker-local/team"},
                          {.from = "team/app", .to = "special"},
                          {.from = "top", .to = ""}}}});
  const auto path = [&](const std::string& repository) {
    return endpoints_->find("r.test")->repository(repository);
  };
  EXPECT_EQ(path("library/nginx"), "docker-remote/library/nginx");
  EXPECT_EQ(path("team/web"), "docker-local/team/web");
  EXPECT_EQ(path("teams/web"), "docker-remote/teams/web") << "whole components alone";
  EXPECT_EQ(path("team/app"), "special");
  EXPECT_EQ(path("team/app/x"), "special/x");
  EXPECT_EQ(path("top/x"), "x");

  answers_ = {reply(401, {}, {{"WWW-Authenticate", R"(Bearer realm="https://auth.test/t")"}}),
              reply(200, R"({"token":"t"})"), manifest()};
  ASSERT_TRUE(resolve("r.test/team/web:1"));
  EXPECT_EQ(asked_,
            (std::vector<std::string>{
                "HEAD https://r.test/v2/docker-local/team/web/manifests/1",
                "GET https://auth.test/t?scope=repository%3Adocker-local%2Fteam%2Fweb%3Apull",
                "HEAD https://r.test/v2/docker-local/team/web/manifests/1"}));
}

TEST_F(ConfiguredTest, NoRequestAboveTheConfiguredRate) {
  configure({{.host = "r.test", .spacing = seconds{10}}});
  EXPECT_TRUE(resolve("r.test/a:1", {}, seconds{5}));
  const auto early = resolve("r.test/b:1", {}, seconds{5});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(early.error().retry_after, seconds{10});
  EXPECT_TRUE(resolve("s.test/b:1", {}, seconds{5})) << "another registry is not concerned";
  clock_.advance(seconds{10});
  EXPECT_TRUE(resolve("r.test/b:1", {}, seconds{5}));
  EXPECT_EQ(asked_.size(), 3U);
}

TEST_F(ConfiguredTest, ARegistryThatIsItsOwnTokenServerIsAskedForTokensInItsRate) {
  configure(
      {{.host = "r.test", .spacing = seconds{10}}, {.host = "s.test", .spacing = seconds{10}}});
  const auto challenge = [](const std::string& realm) {
    return reply(401, {}, {{"WWW-Authenticate", "Bearer realm=\"" + realm + "\""}});
  };
  answers_ = {challenge("https://r.test/token"), reply(200, R"({"token":"t"})"), manifest()};
  EXPECT_EQ(resolve("r.test/a:1", {}, seconds{5}).error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(asked_.size(), 1U);
  clock_.advance(seconds{10});
  EXPECT_EQ(resolve("r.test/a:1", {}, seconds{5}).error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(asked_.size(), 2U) << "the token, and no HEAD yet";
  clock_.advance(seconds{10});
  EXPECT_TRUE(resolve("r.test/a:1", {}, seconds{5}));

  asked_.clear();
  answers_ = {challenge("https://auth.test/token"), reply(200, R"({"token":"t"})")};
  EXPECT_EQ(resolve("s.test/a:1", {}, seconds{5}).error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(asked_.size(), 2U) << "the rate is the registry's, not another host's";
}

TEST_F(ConfiguredTest, ItsTimeoutBoundsOneRequest) {
  configure({{.host = "r.test", .timeout = milliseconds{700}}});
  milliseconds left{0};
  clients_[0]->on_stream("HEAD", "https://r.test/v2/a/manifests/1",
                         [&](const net::Request&, const net::HttpClient::StreamLimits& limits,
                             const net::HttpClient::Sink&, const std::stop_token&) {
                           left = limits.headers.remaining();
                           return Result<net::Response>(manifest());
                         });
  EXPECT_TRUE(resolve("r.test/a:1"));
  EXPECT_LE(left, milliseconds{700});
  EXPECT_GT(left, milliseconds{0});
}

// RFC 9110, 10.2.3.
TEST_F(ConfiguredTest, RetryAfterIsObeyedForAsLongAsAnHour) {
  configure({});
  answers_ = {reply(429, {}, {{"Retry-After", "3000"}}), manifest()};
  EXPECT_FALSE(resolve("r.test/a:1"));
  clock_.advance(seconds{2999});
  const auto early = resolve("r.test/b:1");
  EXPECT_EQ(early.error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(asked_.size(), 1U);
  clock_.advance(seconds{1});
  EXPECT_TRUE(resolve("r.test/a:1"));
}

TEST_F(ConfiguredTest, A503WithATimeIsLeftAloneAsWell) {
  configure({});
  answers_ = {reply(503, {}, {{"Retry-After", "60"}}), manifest()};
  EXPECT_EQ(resolve("r.test/a:1").error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(resolve("r.test/a:1").error().kind, ErrorKind::kTooMany);
  EXPECT_EQ(asked_.size(), 1U);
  clock_.advance(minutes{1});
  EXPECT_TRUE(resolve("r.test/a:1"));
}

// Docker Hub, "Usage and rate limits".
// registry: Docker Hub
TEST_F(ConfiguredTest, AnAnonymousQuotaIsNotUsedUp) {
  configure({});
  answers_ = {manifest({{"ratelimit-limit", "100;w=21600"}, {"ratelimit-remaining", "3;w=21600"}})};
  const Credential alice{.username = "alice", .password = "wonder"};
  EXPECT_TRUE(resolve("nginx:1"));
  EXPECT_TRUE(resolve("nginx:2")) << "the HEAD that shows that they are free";
  for (int i = 3; i < 50; ++i) EXPECT_TRUE(resolve("nginx:" + std::to_string(i)));

  answers_ = {
      reply(200, "{}", {{"ratelimit-limit", "100;w=21600"}, {"ratelimit-remaining", "2;w=21600"}})};
  (void)resolve("nginx:1", {}, seconds{30}, true);
  const auto held = resolve("nginx:2", {}, seconds{30}, true);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::kTooMany) << held.error().message;
  EXPECT_NE(held.error().message.find("quota"), std::string::npos);
  EXPECT_EQ(resolve("nginx:2", {alice}, seconds{30}, true).error().kind, ErrorKind::kInvalid)
      << "another account has a quota of its own";
  const auto quotas = resolver_->quotas();
  ASSERT_EQ(quotas.size(), 1U) << "of both accounts the one with least left";
  EXPECT_EQ(quotas.front().registry, "docker.io") << "as images name it";
  EXPECT_EQ(quotas.front().left, 2U);
  EXPECT_EQ(quotas.front().limit, 100U);
}

TEST_F(ConfiguredTest, AnotherHostsQuotaSaysNothing) {
  configure({});
  answers_ = {reply(307, {}, {{"Location", "https://blobs.test/x"}}),
              manifest({{"RateLimit-Limit", "10"}, {"RateLimit-Remaining", "0"}})};
  EXPECT_TRUE(resolve("r.test/a:1"));
  answers_ = {manifest()};
  EXPECT_TRUE(resolve("r.test/b:1"));
}

TEST_F(ConfiguredTest, AReloadKeepsWhatDidNotChange) {
  const RegistryOptions kept{.host = "kept.test", .ca_pem = "A"};
  configure({kept, {.host = "changed.test", .ca_pem = "B"}, {.host = "gone.test", .ca_pem = "C"}});
  const auto* kept_client = client("https://kept.test/");
  const auto* changed_client = client("https://changed.test/");
  const auto in_flight = endpoints_->client_for(net::Url::parse("https://gone.test/").value());
  const std::string kept_name = name_of("kept.test");
  const std::string changed_name = name_of("changed.test");
  const std::string shared_name = name_of("shared.test");
  const std::string gone_name = name_of("gone.test");
  ASSERT_EQ(made_.size(), 4U);

  reload({kept,
          {.host = "changed.test", .ca_pem = "B", .max_concurrency = 2},
          {.host = "new.test", .ca_pem = "D"}});
  ASSERT_EQ(made_.size(), 5U) << "one for new.test";
  EXPECT_EQ(client("https://kept.test/"), kept_client);
  EXPECT_EQ(client("https://changed.test/"), changed_client) << "its trust is the same";
  EXPECT_EQ(client("https://gone.test/"), clients_[0].get());
  EXPECT_EQ(name_of("kept.test"), kept_name);
  EXPECT_EQ(name_of("shared.test"), shared_name);
  EXPECT_NE(name_of("changed.test"), changed_name);
  EXPECT_NE(name_of("gone.test"), gone_name);
  EXPECT_EQ(endpoints_->find("changed.test")->max_concurrency, 2U);
  EXPECT_EQ(in_flight.get(), clients_[3].get()) << "who has it keeps it";

  reload({kept, {.host = "changed.test", .ca_pem = "OTHER"}});
  EXPECT_NE(client("https://changed.test/"), changed_client);
  EXPECT_EQ(client("https://kept.test/"), kept_client);
}

TEST_F(ConfiguredTest, AReloadForgetsWhatWasLearntOfAnEntryThatChanged) {
  configure({{.host = "r.test"}});
  answers_ = {reply(429, {}, {{"Retry-After", "3000"}}), manifest()};
  EXPECT_FALSE(resolve("r.test/a:1"));
  EXPECT_FALSE(resolve("r.test/a:1"));
  reload({{.host = "r.test", .max_concurrency = 2}});
  EXPECT_TRUE(resolve("r.test/a:1"));
}

TEST_F(ConfiguredTest, AReloadThatCannotWorkChangesNothing) {
  configure({{.host = "r.test", .max_concurrency = 3}});
  EXPECT_FALSE(endpoints_->prepare(options({{.host = "r.test", .endpoint = "https://x/?q"}})));
  EXPECT_EQ(endpoints_->find("r.test")->max_concurrency, 3U);
}

}  // namespace
}  // namespace tidemark::registry
