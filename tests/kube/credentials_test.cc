#include "kube/credentials.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "kube/exec.h"
#include "kube/http_api.h"
#include "support/fake_clock.h"
#include "support/fake_http_client.h"
#include "temp_dir.h"

namespace tidemark::kube {
namespace {

using namespace std::chrono_literals;
using tidemark::testing::FakeClock;
using tidemark::testing::TempDir;

const std::string kV1 = "client.authentication.k8s.io/v1";

ClusterConfig with_plugin(const std::filesystem::path& command) {
  ClusterConfig config;
  config.server = *net::Url::parse("https://k.test");
  config.ca_pem = "CA";
  config.exec = ExecPlugin{.api_version = kV1, .command = command.string(), .args = {}, .env = {}};
  return config;
}

std::string answer(const std::string& status) {
  return "cat <<'END'\n{\"apiVersion\":\"" + kV1 + "\",\"kind\":\"ExecCredential\",\"status\":{" +
         status + "}}\nEND\n";
}

Deadline soon() { return Deadline::after(10s); }

TEST(ExecPluginTest, ReadsTokenCertificateAndExpiry) {
  const TempDir dir;
  auto config = with_plugin(
      dir.script("p", answer(R"("token":"t","clientCertificateData":"C","clientKeyData":"K",)"
                             R"("expirationTimestamp":"2026-01-01T00:10:00Z")")));
  const auto credential = run_exec_plugin(config, soon(), {});
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token, "t");
  EXPECT_EQ(credential->client_pair->certificate_pem, "C");
  EXPECT_EQ(credential->expires, FakeClock().wall_now() + 10min);
}

TEST(ExecPluginTest, GetsArgumentsEnvironmentAndClusterWithoutAShell) {
  const TempDir dir;
  auto config = with_plugin(
      dir.script("p", "printf '%s|' \"$@\" > " + (dir.path() / "args").string() +
                          "\nprintf %s \"$KUBERNETES_EXEC_INFO\" > " +
                          (dir.path() / "info").string() + "\nprintf %s \"$EXTRA\" > " +
                          (dir.path() / "extra").string() + "\n" + answer(R"("token":"t")")));
  config.exec->args = {"a b", "$(id)", ";"};
  config.exec->env = {{"EXTRA", "val ue"}};
  config.exec->provide_cluster_info = true;
  ASSERT_TRUE(run_exec_plugin(config, soon(), {}));
  EXPECT_EQ(dir.read("args"), "a b|$(id)|;|");
  EXPECT_EQ(dir.read("extra"), "val ue");
  const auto info = nlohmann::json::parse(dir.read("info"));
  EXPECT_EQ(info["apiVersion"], kV1);
  EXPECT_EQ(info["kind"], "ExecCredential");
  EXPECT_EQ(info["spec"]["interactive"], false);
  EXPECT_EQ(info["spec"]["cluster"]["certificate-authority-data"], "Q0E=");
}

TEST(ExecPluginTest, FailuresAreToldApart) {
  const TempDir dir;
  const std::vector<std::pair<std::string, ErrorKind>> rows{
      {"exit 3\n", ErrorKind::kUnauthorized},
      {"kill -9 $$\n", ErrorKind::kUnauthorized},
      {"echo no json\n", ErrorKind::kUnauthorized},
      {"echo '{\"kind\":\"ExecCredential\"}'\n", ErrorKind::kUnauthorized},
      {answer(""), ErrorKind::kUnauthorized},
      {answer(R"("token":5)"), ErrorKind::kUnauthorized},
      {answer(R"("clientKeyData":"K")"), ErrorKind::kUnauthorized},
      {answer(R"("token":"t","expirationTimestamp":"soon")"), ErrorKind::kUnauthorized},
      {"head -c 300000 /dev/zero\n", ErrorKind::kTooLarge},
  };
  for (const auto& [body, kind] : rows) {
    const auto credential = run_exec_plugin(with_plugin(dir.script("p", body)), soon(), {});
    ASSERT_FALSE(credential) << body;
    EXPECT_EQ(credential.error().kind, kind) << body << credential.error().message;
    EXPECT_NE(credential.error().message.find((dir.path() / "p").string()), std::string::npos);
  }
  const auto missing = run_exec_plugin(with_plugin(dir.path() / "none"), soon(), {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
}

TEST(ExecPluginTest, TheDeadlineEndsItWithItsChildren) {
  const TempDir dir;
  // The background child keeps the output open; only a signal to the group closes it.
  const auto config = with_plugin(
      dir.script("p", "sleep 60 &\necho $! > " + (dir.path() / "pid").string() + "\nwait\n"));
  const auto begin = std::chrono::steady_clock::now();
  const auto credential = run_exec_plugin(config, Deadline::after(300ms), {});
  ASSERT_FALSE(credential);
  EXPECT_EQ(credential.error().kind, ErrorKind::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);

  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(run_exec_plugin(config, soon(), stop.get_token()).error().kind, ErrorKind::kCanceled);
}

TEST(CredentialsTest, ATokenFileIsReadAgainAfterAMinuteAndAfterA401) {
  const TempDir dir;
  FakeClock clock;
  ClusterConfig config;
  config.token = "first";
  config.token_file = dir.write("token", "first\n");
  Credentials credentials(config, clock, Logger::none());
  EXPECT_EQ(credentials.current(soon(), {})->token, "first");

  dir.write("token", "second\n");
  EXPECT_EQ(credentials.current(soon(), {})->token, "first");  // read less than a minute ago
  clock.advance(61s);
  const auto second = credentials.current(soon(), {});
  EXPECT_EQ(second->token, "second");

  EXPECT_FALSE(credentials.rejected(second->generation));  // still the same: no use to try again
  dir.write("token", "third\n");
  EXPECT_TRUE(credentials.rejected(second->generation));
  EXPECT_EQ(credentials.current(soon(), {})->token, "third");

  dir.write("token", "");  // an unfortunate moment of a replacement
  clock.advance(61s);
  EXPECT_EQ(credentials.current(soon(), {})->token, "third");
}

TEST(CredentialsTest, APluginRunsAgainWhenItsCredentialExpiredOrWasRejected) {
  const TempDir dir;
  FakeClock clock;
  const auto config = with_plugin(
      dir.script("p", "echo x >> " + (dir.path() / "runs").string() + "\n" +
                          answer(R"("token":"t","expirationTimestamp":"2026-01-01T00:10:00Z")")));
  Credentials credentials(config, clock, Logger::none());
  const auto runs = [&] { return dir.read("runs").size() / 2; };
  ASSERT_TRUE(credentials.current(soon(), {}));
  const auto current = credentials.current(soon(), {});
  EXPECT_EQ(runs(), 1U);
  EXPECT_TRUE(credentials.rejected(current->generation));
  ASSERT_TRUE(credentials.current(soon(), {}));
  EXPECT_EQ(runs(), 2U);
  clock.advance(10min);
  ASSERT_TRUE(credentials.current(soon(), {}));
  EXPECT_EQ(runs(), 3U);
}

TEST(CredentialsTest, TheApiTriesOnceMoreWithAFreshToken) {
  const TempDir dir;
  const auto http = std::make_shared<tidemark::testing::FakeHttpClient>();
  Metrics metrics;
  ClusterConfig config;
  config.server = *net::Url::parse("https://k.test");
  config.token_file = dir.write("token", "old");
  auto api = make_http_api(
      config,
      [&](const std::optional<net::KeyPair>&) -> Result<std::shared_ptr<net::HttpClient>> {
        return http;
      },
      std::make_shared<FakeClock>(), metrics, Logger::none());
  ASSERT_TRUE(api);
  http->push_answer("GET", "https://k.test/version",
                    [&](const net::Request&) -> Result<net::Response> {
                      dir.write("token", "new");
                      return tidemark::testing::reply(401);
                    });
  http->push("GET", "https://k.test/version", tidemark::testing::reply(200, "{}"));
  EXPECT_TRUE((*api)->get("/version", soon()));
  ASSERT_EQ(http->count(), 2U);
  EXPECT_EQ(*net::find_header(http->requests()[0].headers, "Authorization"), "Bearer old");
  EXPECT_EQ(*net::find_header(http->requests()[1].headers, "Authorization"), "Bearer new");
}

TEST(CredentialsTest, APluginsCertificateMakesANewClient) {
  const TempDir dir;
  const auto http = std::make_shared<tidemark::testing::FakeHttpClient>();
  http->on("GET", "https://k.test/version", [](const net::Request&) -> Result<net::Response> {
    return tidemark::testing::reply(200, "{}");
  });
  Metrics metrics;
  std::vector<std::string> shown;
  auto api = make_http_api(
      with_plugin(dir.script("p", answer(R"("clientCertificateData":"C","clientKeyData":"K")"))),
      [&](const std::optional<net::KeyPair>& pair) -> Result<std::shared_ptr<net::HttpClient>> {
        shown.push_back(pair ? pair->certificate_pem : "");
        return http;
      },
      std::make_shared<FakeClock>(), metrics, Logger::none());
  ASSERT_TRUE(api);
  ASSERT_TRUE((*api)->get("/version", soon()));
  ASSERT_TRUE((*api)->get("/version", soon()));
  EXPECT_EQ(shown, (std::vector<std::string>{"", "C"}));
}

}  // namespace
}  // namespace tidemark::kube
