// The logins as a program has them: with the resolver, against what each cloud's registry answers,
// and over real sockets where the answer is broken.
#include "cloud/logins.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cloud/aws_answers.h"
#include "net/client.h"
#include "registry/head_resolver.h"
#include "registry/login_credentials.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"
#include "support/scripted_server.h"

namespace tidemark::cloud {
namespace {

using registry::Login;
using std::chrono::seconds;
using testing::ecr_answer;
using testing::environment;
using tidemark::testing::fake_digest;
using tidemark::testing::FakeHttpClient;
using tidemark::testing::reply;
using tidemark::testing::ScriptedServer;

registry::ResolverOptions options() {
  registry::ResolverOptions options;
  options.registries = {{.host = "*.dkr.ecr.*.amazonaws.com", .login = Login::kEcr},
                        {.host = "public.ecr.aws", .login = Login::kEcrPublic},
                        {.host = "*.pkg.dev", .login = Login::kGoogle},
                        {.host = "*.azurecr.io", .login = Login::kAzure}};
  return options;
}

Environment with_keys() {
  return environment({{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "key"}});
}

TEST(MakeLogins, MakesNoneWhereNoneIsNamed) {
  const SystemClock clock;
  registry::ResolverOptions none;
  none.registries = {{.host = "registry.example.com"}};
  const auto broken = environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/"},
                                   {"AZURE_FEDERATED_TOKEN_FILE", "/t"}});
  const auto made = make_logins(none, broken, clock, Logger::none());
  ASSERT_TRUE(made);
  EXPECT_EQ(*made, nullptr);
  none.registries[0] = {.host = "gcr.io", .login = Login::kGoogle};
  EXPECT_TRUE(make_logins(none, broken, clock, Logger::none())) << "other clouds' are not read";
  none.registries[0] = {.host = "public.ecr.aws", .login = Login::kEcrPublic};
  EXPECT_FALSE(make_logins(none, broken, clock, Logger::none()));
  none.registries[0] = {.host = "a.azurecr.io", .login = Login::kAzure};
  EXPECT_FALSE(make_logins(none, broken, clock, Logger::none()));
}

TEST(MakeLogins, KnowNothingBeforeAnybodyWasAsked) {
  const SystemClock clock;
  const auto made = make_logins(options(), with_keys(), clock, Logger::none());
  ASSERT_TRUE(made);
  for (const auto& [login, host] :
       {std::pair{Login::kNone, "registry.example.com"},
        std::pair{Login::kEcr, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
        std::pair{Login::kEcrPublic, "public.ecr.aws"},
        std::pair{Login::kGoogle, "europe-docker.pkg.dev"},
        std::pair{Login::kAzure, "team.azurecr.io"}}) {
    EXPECT_FALSE((*made)->known(login, host)) << host;
  }
}

TEST(MakeLogins, RefusesALoginForAnothersHost) {
  const SystemClock clock;
  registry::ResolverOptions wrong;
  wrong.registries = {{.host = "registry.example.com", .login = Login::kGoogle}};
  const auto refused = make_logins(wrong, with_keys(), clock, Logger::none());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
}

// HeadResolver and the logins in front of it, over one scripted HTTP client for everything.
class RegistriesTest : public ::testing::Test {
 protected:
  RegistriesTest() {
    http_->on_any([](const auto&) { return reply(599); });
  }

  Result<registry::Resolution> resolve(std::string_view name,
                                       std::vector<registry::Credential> credentials = {}) {
    return resolver_.resolve(
        {.reference = image::Reference::parse(name).value(), .credentials = std::move(credentials)},
        Deadline::after(seconds{30}), {});
  }
  // A manifest for who sends this header, else this challenge.
  void guard(const std::string& url, const std::string& header, const std::string& challenge) {
    http_->on("HEAD", url, [=](const net::Request& request) {
      const std::string* sent = net::find_header(request.headers, "Authorization");
      if (sent == nullptr || *sent != header) {
        return reply(401, {}, {{"WWW-Authenticate", challenge}});
      }
      return reply(200, {},
                   {{"Content-Type", "application/vnd.oci.image.index.v1+json"},
                    {"Docker-Content-Digest", fake_digest('a').str()}});
    });
  }

  tidemark::testing::FakeClock clock_;
  Metrics metrics_;
  const std::shared_ptr<FakeHttpClient> http_ = std::make_shared<FakeHttpClient>();
  const registry::Endpoints endpoints_ =
      registry::Endpoints::make(options(), [this](const net::ClientOptions&) {
        return Result<std::shared_ptr<net::HttpClient>>(http_);
      }).value();
  registry::RegistryMetrics registry_metrics_{metrics_};
  registry::HeadResolver head_{{.seed = 1}, endpoints_, registry_metrics_, clock_, Logger::none()};
  const std::shared_ptr<registry::LoginSource> logins_ =
      make_logins(options(), with_keys(), {.metadata = http_, .api = http_}, clock_, Logger::none())
          .value();
  registry::LoginCredentials resolver_{endpoints_, logins_, head_};
};

// registry: Amazon ECR | `login: ecr` | scripted; AWS's own signature vectors
TEST_F(RegistriesTest, EcrTakesItsTokenAsAPassword) {
  http_->push("POST", "https://api.ecr.eu-west-1.amazonaws.com/", reply(200, ecr_answer("pass")));
  guard("https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/team/app/manifests/1",
        "Basic " + base64_encode("AWS:pass"),
        R"(Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",)"
        R"(service="ecr.amazonaws.com")");
  const auto result = resolve("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->credential_source, "login ecr eu-west-1");
}

// registry: Amazon ECR public | `login: ecr-public` | scripted
TEST_F(RegistriesTest, EcrPublicTakesItAtItsTokenServer) {
  http_->push("POST", "https://api.ecr-public.us-east-1.amazonaws.com/",
              reply(200, R"({"authorizationData":{"authorizationToken":")" +
                             base64_encode("AWS:pass") + R"(","expiresAt":1767268800}})"));
  guard("https://public.ecr.aws/v2/team/app/manifests/1", "Bearer t",
        R"(Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws")");
  http_->push_answer("GET", "https://public.ecr.aws/token/?service=public.ecr.aws&scope=aws",
                     [](const net::Request& request) {
                       EXPECT_EQ(*net::find_header(request.headers, "Authorization"),
                                 "Basic " + base64_encode("AWS:pass"));
                       return reply(200, R"({"token":"t"})");
                     });
  const auto result = resolve("public.ecr.aws/team/app:1");
  ASSERT_TRUE(result) << result.error().message;
}

// registry: Google Artifact Registry, Container Registry | `login: google` | scripted
TEST_F(RegistriesTest, GoogleTakesItAtItsTokenServer) {
  http_->push("GET",
              "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token",
              reply(200, R"({"access_token":"ya29","expires_in":3599,"token_type":"Bearer"})"));
  guard("https://eu-docker.pkg.dev/v2/project/repo/app/manifests/1", "Bearer t",
        R"(Bearer realm="https://eu-docker.pkg.dev/v2/token",service="eu-docker.pkg.dev",)"
        R"(scope="repository:project/repo/app:pull")");
  http_->push_answer("GET",
                     "https://eu-docker.pkg.dev/v2/token?service=eu-docker.pkg.dev&"
                     "scope=repository%3Aproject%2Frepo%2Fapp%3Apull",
                     [](const net::Request& request) {
                       EXPECT_EQ(*net::find_header(request.headers, "Authorization"),
                                 "Basic " + base64_encode("oauth2accesstoken:ya29"));
                       return reply(200, R"({"expires_in":3600,"token":"t"})");
                     });
  const auto result = resolve("eu-docker.pkg.dev/project/repo/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->credential_source, "login google");
}

// registry: Azure Container Registry | `login: azure` | scripted
TEST_F(RegistriesTest, AzureTakesARefreshTokenAtItsTokenServer) {
  http_->push("GET",
              "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
              "resource=https%3A%2F%2Fcontainerregistry.azure.net",
              reply(200, R"({"access_token":"aad","expires_in":"3599"})"));
  http_->push("POST", "https://team.azurecr.io/oauth2/exchange",
              reply(200, R"({"refresh_token":"eyJ.refresh"})"));
  guard("https://team.azurecr.io/v2/app/manifests/1", "Bearer t",
        R"(Bearer realm="https://team.azurecr.io/oauth2/token",service="team.azurecr.io",)"
        R"(scope="repository:app:pull")");
  http_->push_answer("POST", "https://team.azurecr.io/oauth2/token",
                     [](const net::Request& request) {
                       EXPECT_EQ(request.body,
                                 "grant_type=refresh_token&service=team.azurecr.io&"
                                 "client_id=tidemark&scope=repository%3Aapp%3Apull&"
                                 "refresh_token=eyJ.refresh");
                       EXPECT_EQ(net::find_header(request.headers, "Authorization"), nullptr);
                       return reply(200, R"({"access_token":"t"})");
                     });
  const auto result = resolve("team.azurecr.io/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->credential_source, "login azure");
}

TEST_F(RegistriesTest, AFailedLoginLeavesWhatIsPublic) {
  guard("https://eu-docker.pkg.dev/v2/public/app/app/manifests/1", "Bearer anonymous",
        R"(Bearer realm="https://eu-docker.pkg.dev/v2/token",service="eu-docker.pkg.dev")");
  http_->push("GET",
              "https://eu-docker.pkg.dev/v2/token?service=eu-docker.pkg.dev&"
              "scope=repository%3Apublic%2Fapp%2Fapp%3Apull",
              reply(200, R"({"token":"anonymous"})"));
  EXPECT_TRUE(resolve("eu-docker.pkg.dev/public/app/app:1"));
  const auto refused = resolve("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1");
  ASSERT_FALSE(refused);
}

// Sends whatever it is asked to one loopback port.
class Detour final : public net::HttpClient {
 public:
  explicit Detour(const ScriptedServer& server) : server_(server) {}
  Result<net::Response> send(const net::Request& request, Deadline deadline,
                             std::stop_token stop) override {
    net::Request turned = request;
    turned.url = server_.url(request.url.target);
    return client_->send(turned, deadline, std::move(stop));
  }
  Result<net::Response> stream(const net::Request&, const StreamLimits&, const Sink&,
                               std::stop_token) override {
    return fail(ErrorKind::kInternal, "not used");
  }

 private:
  const ScriptedServer& server_;
  const std::shared_ptr<net::HttpClient> client_ = net::make_client({}).value();
};

class SocketTest : public ::testing::Test {
 protected:
  // What a login of ECR says where its API answers so.
  Error failure(const ScriptedServer::Script& script) {
    const ScriptedServer server(script);
    const auto client = std::make_shared<Detour>(server);
    const auto logins = make_logins(options(), with_keys(), {.metadata = client, .api = client},
                                    clock_, Logger::none())
                            .value();
    const auto result =
        logins->login(Login::kEcr, kHost, Deadline::after(std::chrono::milliseconds{700}), {});
    EXPECT_FALSE(result);
    EXPECT_EQ(server.accepted(), 1U);
    return result ? Error{} : result.error();
  }

  static constexpr const char* kHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
  tidemark::testing::FakeClock clock_;
};

TEST_F(SocketTest, ManyWhoAskAtOnceShareOneRequest) {
  constexpr int kCallers = 16;
  std::atomic<int> asked{0};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    while (!peer.read_head().empty()) {
      ++asked;
      peer.read_bytes(2);
      peer.write(tidemark::testing::ok_answer(ecr_answer("pass")));
    }
  });
  const auto client = std::make_shared<Detour>(server);
  const auto logins = make_logins(options(), with_keys(), {.metadata = client, .api = client},
                                  clock_, Logger::none())
                          .value();
  std::atomic<int> good{0};
  {
    std::latch all(kCallers);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kCallers; ++i) {
      threads.emplace_back([&] {
        all.arrive_and_wait();
        const auto result = logins->login(Login::kEcr, kHost, Deadline::after(seconds{10}), {});
        if (result && result->password == "pass") ++good;
      });
    }
  }
  EXPECT_EQ(good, kCallers);
  EXPECT_EQ(asked, 1);
}

TEST_F(SocketTest, ATruncatedAnswerIsAFailure) {
  const auto error = failure([](ScriptedServer::Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"authorizationData\":[{\"canary");
  });
  EXPECT_EQ(error.kind, ErrorKind::kUnavailable) << error.message;
  EXPECT_EQ(error.message.find("canary"), std::string::npos);
}

TEST_F(SocketTest, AnAnswerWithoutEndIsCutOff) {
  const auto error = failure([](ScriptedServer::Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    while (peer.write(std::string(4096, ' '))) {
    }
  });
  EXPECT_EQ(error.kind, ErrorKind::kTooLarge) << error.message;
}

TEST_F(SocketTest, ARedirectIsNotFollowed) {
  const auto error = failure([](ScriptedServer::Peer& peer) {
    peer.read_head();
    peer.read_bytes(2);
    peer.write(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\n"
        "Content-Length: 0\r\n\r\n");
    EXPECT_EQ(peer.read_head(), "");
  });
  EXPECT_EQ(error.message, "ECR GetAuthorizationToken answered 307");
}

TEST_F(SocketTest, APeerThatHangsCostsTheCallersTimeOnly) {
  const auto error = failure([](ScriptedServer::Peer& peer) { peer.hang(); });
  EXPECT_EQ(error.kind, ErrorKind::kTimeout) << error.message;
}

// The clients that a program has: loopback is refused to image names, not to the endpoint.
TEST(MakeLogins, ItsOwnClientsReachTheContainersEndpoint) {
  const SystemClock clock;
  std::atomic<int> asked{0};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    while (!peer.read_head().empty()) {
      ++asked;
      peer.write(tidemark::testing::ok_answer(
          testing::credentials_answer("ASIA", "2999-01-01T00:00:00Z")));
    }
  });
  registry::ResolverOptions only_ecr;
  only_ecr.registries = {{.host = "public.ecr.aws", .login = Login::kEcrPublic}};
  only_ecr.addresses.denied_cidrs = {"0.0.0.0/0", "::/0"};  // so that AWS itself is not asked
  const auto logins = make_logins(
      only_ecr,
      environment({{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("/v1/credentials").str()}}),
      clock, Logger::none());
  ASSERT_TRUE(logins) << logins.error().message;
  const auto result =
      (*logins)->login(Login::kEcrPublic, "public.ecr.aws", Deadline::after(seconds{5}), {});
  ASSERT_FALSE(result);
  EXPECT_EQ(asked, 1) << result.error().message;
}

}  // namespace
}  // namespace tidemark::cloud
