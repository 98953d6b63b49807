// Registries by name, as their documentation has them challenge and answer: over a scripted client.
// (Clouds' logins: tests/cloud. Of what stands after "registry:" the table of deploy/registries.md
// is made, by deploy/registries.py.)
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "registry/endpoints.h"
#include "registry/head_resolver.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "support/fake_resolver.h"

namespace tidemark::registry {
namespace {

using std::chrono::seconds;
using testing::fake_digest;
using testing::reply;

const Credential kUser{.username = "user", .password = "canary-secret"};
const std::string kManifest =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]})";

class VendorsTest : public ::testing::Test {
 protected:
  VendorsTest() { configure({}); }
  void configure(std::vector<RegistryOptions> registries) {
    resolver_.reset();
    ResolverOptions options;
    options.registries = std::move(registries);
    endpoints_ =
        std::make_unique<Endpoints>(Endpoints::make(options, [this](const net::ClientOptions&) {
                                      return Result<std::shared_ptr<net::HttpClient>>(http_);
                                    }).value());
    resolver_ = std::make_unique<HeadResolver>(HeadResolver::Options{.seed = 1}, *endpoints_,
                                               metrics_, clock_, Logger::none());
  }
  // The registry gives the manifest to who brings a token of `token_url`, which wants the password.
  void guard(const std::string& manifest, const std::string& challenge,
             const std::string& token_url) {
    http_->on("HEAD", manifest, [challenge](const net::Request& request) {
      if (sent(request) == "Bearer tok") return answer();
      return reply(401, {}, {{"WWW-Authenticate", challenge}});
    });
    http_->on("GET", token_url, [](const net::Request& request) {
      const bool known = sent(request) == "Basic " + base64_encode("user:canary-secret");
      return known ? reply(200, R"({"token":"tok","access_token":"tok","expires_in":300})")
                   : reply(401, R"({"errors":[{"code":"UNAUTHORIZED"}]})");
    });
  }
  static std::string sent(const net::Request& request) {
    const std::string* header = net::find_header(request.headers, "Authorization");
    return header == nullptr ? "" : *header;
  }
  static net::Response answer() {
    return reply(200, {},
                 {{"Content-Type", "application/vnd.oci.image.index.v1+json"},
                  {"Docker-Content-Digest", fake_digest('a').str()}});
  }
  Result<Resolution> resolve(std::string_view name) {
    return resolver_->resolve(
        {.reference = image::Reference::parse(name).value(), .credentials = {kUser}},
        Deadline::after(seconds{30}));
  }
  void expect_resolved(std::string_view name) {
    const auto result = resolve(name);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->digest, fake_digest('a'));
    EXPECT_TRUE(http_->unexpected().empty()) << http_->unexpected().front();
  }

  testing::FakeClock clock_;
  Metrics all_metrics_;
  RegistryMetrics metrics_{all_metrics_};
  const std::shared_ptr<testing::FakeHttpClient> http_ =
      std::make_shared<testing::FakeHttpClient>();
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<HeadResolver> resolver_;
};

// registry: Docker Hub | none, or `secret` | scripted
TEST_F(VendorsTest, DockerHubAnswersUnderAnotherNameAndHasATokenServer) {
  guard("https://registry-1.docker.io/v2/library/nginx/manifests/1",
        R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
        R"(scope="repository:library/nginx:pull")",
        "https://auth.docker.io/token?service=registry.docker.io&"
        "scope=repository%3Alibrary%2Fnginx%3Apull");
  for (const std::string_view name :
       {"nginx:1", "docker.io/nginx:1", "index.docker.io/nginx:1", "docker.io/library/nginx:1"}) {
    expect_resolved(name);
  }
}

// registry: GHCR | none, or `secret` | scripted
TEST_F(VendorsTest, GhcrHasATokenServerOfItsOwnHost) {
  guard(
      "https://ghcr.io/v2/team/app/manifests/1",
      R"(Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:team/app:pull")",
      "https://ghcr.io/token?service=ghcr.io&scope=repository%3Ateam%2Fapp%3Apull");
  expect_resolved("ghcr.io/team/app:1");
}

// registry: Quay | none, or `secret` | scripted
TEST_F(VendorsTest, QuayHasItBelowV2) {
  guard("https://quay.io/v2/team/app/manifests/1",
        R"(Bearer realm="https://quay.io/v2/auth",service="quay.io",)"
        R"(scope="repository:team/app:pull")",
        "https://quay.io/v2/auth?service=quay.io&scope=repository%3Ateam%2Fapp%3Apull");
  expect_resolved("quay.io/team/app:1");
}

// registry: Harbor | none, or `secret` | scripted
TEST_F(VendorsTest, HarborsProjectsAreTheFirstPartOfTheName) {
  guard("https://harbor.test/v2/project/team/app/manifests/1",
        R"(Bearer realm="https://harbor.test/service/token",service="harbor-registry",)"
        R"(scope="repository:project/team/app:pull")",
        "https://harbor.test/service/token?service=harbor-registry&"
        "scope=repository%3Aproject%2Fteam%2Fapp%3Apull");
  expect_resolved("harbor.test/project/team/app:1");
}

// registry: GitLab | none, or `secret` | scripted
TEST_F(VendorsTest, GitLabsTokenServerIsAnotherHost) {
  guard("https://registry.gitlab.test/v2/group/app/manifests/1",
        R"(Bearer realm="https://gitlab.test/jwt/auth",service="container_registry",)"
        R"(scope="repository:group/app:pull")",
        "https://gitlab.test/jwt/auth?service=container_registry&"
        "scope=repository%3Agroup%2Fapp%3Apull");
  expect_resolved("registry.gitlab.test/group/app:1");
}

// The repository-path method: the repository's key is the first part of the name; its token server
// stands below it. Some versions' HEAD has no Docker-Content-Digest: a GET follows.
// registry: JFrog Artifactory, repository path | none, or `secret` | scripted
TEST_F(VendorsTest, ArtifactoryByRepositoryPathAndWithoutTheDigestOfItsHead) {
  const std::string url = "https://art.test/v2/docker-local/app/manifests/1";
  guard(url,
        R"(Bearer realm="https://art.test/artifactory/api/docker/docker-local/v2/token",)"
        R"(service="art.test:443",scope="repository:docker-local/app:pull")",
        "https://art.test/artifactory/api/docker/docker-local/v2/token?service=art.test%3A443&"
        "scope=repository%3Adocker-local%2Fapp%3Apull");
  expect_resolved("art.test/docker-local/app:1");
  http_->on("HEAD", url, [](const net::Request&) { return reply(200); });
  http_->on("GET", url, [](const net::Request& request) {
    EXPECT_EQ(sent(request), "Bearer tok");
    return reply(200, kManifest, {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}});
  });
  const auto result = resolve("art.test/docker-local/app:1");
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->media_type, "application/vnd.oci.image.manifest.v1+json");
}

// The subdomain method: the host names the repository; inside it is the repository-path one.
// registry: JFrog Artifactory, subdomain | `endpoint`, `rewrite` where it cannot be reached |
// scripted
TEST_F(VendorsTest, ArtifactoryBySubdomainAsRepositoryPath) {
  configure({{.host = "docker-local.art.test",
              .endpoint = "https://art.test",
              .rewrite = {{.from = "", .to = "docker-local"}}}});
  http_->on("HEAD", "https://art.test/v2/docker-local/app/manifests/1",
            [](const net::Request&) { return answer(); });
  expect_resolved("docker-local.art.test/app:1");
}

// registry: Nexus | none, or `secret` | scripted
TEST_F(VendorsTest, NexusAsksForBasic) {
  http_->on(
      "HEAD", "https://nexus.test:8443/v2/team/app/manifests/1", [](const net::Request& request) {
        if (sent(request) == "Basic " + base64_encode("user:canary-secret")) return answer();
        return reply(401, {},
                     {{"WWW-Authenticate", "BASIC realm=\"Sonatype Nexus Repository Manager\""}});
      });
  expect_resolved("nexus.test:8443/team/app:1");
}

// Whatever goes wrong, no error holds what was sent.
TEST_F(VendorsTest, NoFailureTellsThePassword) {
  const std::string challenge =
      R"(Bearer realm="https://auth.test/token?password=canary-secret",service="s")";
  const std::vector<net::Response> answers = {
      reply(401, {}, {{"WWW-Authenticate", challenge}}),
      reply(401, {}, {{"WWW-Authenticate", "Basic realm=\"canary-secret\""}}),
      reply(403, R"({"errors":[{"code":"DENIED","message":"user:canary-secret may not"}]})"),
      reply(404, R"({"errors":[{"message":"dXNlcjpjYW5hcnktc2VjcmV0"}]})"),
      reply(429, R"({"details":"canary-secret"})"),
      reply(500, "canary-secret"),
      reply(307, {}, {{"Location", "https://blobs.test/?sig=canary-secret"}}),
      reply(200, "canary-secret"),
  };
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string host = "r" + std::to_string(i) + ".test";
    http_->on_any([&, i](const net::Request& request) -> Result<net::Response> {
      if (request.url.host == "blobs.test") return fail(ErrorKind::kTls, "bad certificate");
      if (request.url.host == "auth.test") return reply(500, "canary-secret");
      return request.method == "HEAD" && answers[i].status != 401 ? reply(405) : answers[i];
    });
    const auto result = resolve(host + "/app:1");
    ASSERT_FALSE(result) << i;
    EXPECT_EQ(result.error().message.find("canary-secret"), std::string::npos)
        << result.error().message;
    EXPECT_EQ(result.error().message.find(base64_encode("user:canary-secret")), std::string::npos)
        << result.error().message;
  }
}

}  // namespace
}  // namespace tidemark::registry
