#include "certs/keeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/base64.h"
#include "support/fake_clock.h"
#include "support/fake_kube_api.h"

namespace tidemark::certs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using tidemark::testing::FakeClock;
using tidemark::testing::FakeKubeApi;

const std::string kSecret = "/api/v1/namespaces/tidemark/secrets/cert";
const std::string kConfiguration =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/tidemark";

struct Replica {
  Replica(FakeKubeApi& api, FakeClock& clock, Logger log = Logger::none())
      : keeper(api, clock, options(), certificate, metrics, std::move(log)) {}

  static KeeperOptions options() {
    KeeperOptions result;
    result.secret_ns = "tidemark";
    result.secret_name = "cert";
    result.webhook_configuration = "tidemark";
    result.policy.dns_names = service_dns_names("web", "tidemark");
    result.interval = 1ms;
    result.pending_interval = 1ms;
    result.retry = {.initial = 1ms, .max = 1ms};
    return result;
  }
  CertificateKeeper::Pass pass() { return keeper.pass({}); }

  net::ServerCertificate certificate;
  Metrics metrics;
  CertificateKeeper keeper;
};

class KeeperTest : public ::testing::Test {
 protected:
  void install_configuration() {
    api.put(kConfiguration,
            R"({"webhooks":[{"name":"a.tidemark.dev","clientConfig":{"service":{"name":"web"}}},)"
            R"({"name":"b.tidemark.dev","clientConfig":{"caBundle":"Cg=="}}]})");
  }
  std::string data(const char* key) {
    const auto object = api.object(kSecret);
    return base64_decode(object.at("data").at(key).get<std::string>()).value();
  }
  std::string bundle(std::size_t webhook) {
    return base64_decode(api.object(kConfiguration)["webhooks"][webhook]["clientConfig"].value(
                             "caBundle", ""))
        .value();
  }
  // Every replica's certificate is the Secret's, and both webhooks trust it.
  void expect_settled() {
    EXPECT_TRUE(chains_to(data("tls.crt"), bundle(0), clock.wall_now()));
    EXPECT_TRUE(chains_to(data("tls.crt"), bundle(1), clock.wall_now()));
    EXPECT_TRUE(key_fits(data("tls.crt"), data("tls.key")));
    EXPECT_TRUE(covers_host(data("tls.crt"), "web.tidemark.svc"));
  }

  FakeKubeApi api;
  FakeClock clock;
  Replica one{api, clock};
  Replica two{api, clock};
};

TEST_F(KeeperTest, OnePassInstallsEverything) {
  install_configuration();
  EXPECT_FALSE(one.keeper.ready());
  const auto pass = one.pass();
  EXPECT_FALSE(pass.error) << pass.error->message;
  EXPECT_TRUE(one.keeper.ready());
  expect_settled();
  EXPECT_EQ(api.object(kSecret)["type"], "Opaque");
  EXPECT_EQ(data("ca.crt"), bundle(0));
  // Nothing left to do: reads only.
  api.forget_calls();
  EXPECT_FALSE(one.pass().error);
  for (const auto& call : api.calls()) EXPECT_EQ(call.verb, "get");
  // The second replica takes what is there.
  two.pass();
  EXPECT_TRUE(two.keeper.ready());
  for (const auto& call : api.calls()) EXPECT_EQ(call.verb, "get");
}

TEST_F(KeeperTest, TheConfigurationMayComeLater) {
  auto pass = one.pass();
  ASSERT_TRUE(pass.error);
  EXPECT_EQ(pass.error->kind, ErrorKind::kNotFound);
  EXPECT_TRUE(one.keeper.ready());
  install_configuration();
  pass = one.pass();
  EXPECT_FALSE(pass.error);
  expect_settled();
}

TEST_F(KeeperTest, TwoReplicasThatCreateAtOnceShareOneSecret) {
  install_configuration();
  bool raced = false;
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "create" && !raced) {
      raced = true;
      EXPECT_FALSE(two.pass().error);
    }
    return std::nullopt;
  });
  EXPECT_FALSE(one.pass().error);
  EXPECT_EQ(api.calls("create").size(), 2U);
  expect_settled();
  EXPECT_EQ(one.certificate.not_after(), two.certificate.not_after());
  EXPECT_EQ(parse_certificates(bundle(0)).size(), 1U);
}

TEST_F(KeeperTest, AFilledInSecretFromTheManifestsKeepsItsOtherData) {
  install_configuration();
  api.put(kSecret,
          R"({"type":"Opaque","metadata":{"labels":{"app":"tidemark"}},"data":{"x":"eA=="}})");
  EXPECT_FALSE(one.pass().error);
  expect_settled();
  EXPECT_EQ(data("x"), "x");
  EXPECT_EQ(api.object(kSecret)["metadata"]["labels"]["app"], "tidemark");
  EXPECT_TRUE(api.calls("create").empty());
}

TEST_F(KeeperTest, AStaleUpdateReadsTheWinners) {
  install_configuration();
  api.put(kSecret, "{}");
  bool raced = false;
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "update" && !raced) {
      raced = true;
      EXPECT_FALSE(two.pass().error);
    }
    return std::nullopt;
  });
  EXPECT_FALSE(one.pass().error);
  EXPECT_EQ(api.calls("update").size(), 2U);
  EXPECT_EQ(parse_certificates(data("ca.crt")).size(), 1U);
  expect_settled();
}

TEST_F(KeeperTest, ABundleThatChangedMeanwhileIsNotOverwritten) {
  install_configuration();
  const auto foreign = *issue_ca(
      "foreign", {.not_before = clock.wall_now() - 1h, .not_after = clock.wall_now() + days(9)});
  bool raced = false;
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "patch" && !raced) {
      raced = true;
      auto object = api.object(kConfiguration);
      object["webhooks"][0]["clientConfig"]["caBundle"] = base64_encode(foreign.certificate_pem);
      api.put(kConfiguration, object.dump());
    }
    return std::nullopt;
  });
  EXPECT_FALSE(one.pass().error);
  EXPECT_EQ(api.calls("patch").size(), 2U);
  expect_settled();
  EXPECT_NE(bundle(0).find(foreign.certificate_pem), std::string::npos);
}

TEST_F(KeeperTest, ADeletedSecretHealsAndBothReplicasStayTrusted) {
  install_configuration();
  one.pass();
  two.pass();
  const std::string before = data("tls.crt");
  api.erase(kSecret);
  clock.advance(1h);
  EXPECT_TRUE(one.pass().pending);
  const std::string after = data("tls.crt");
  EXPECT_NE(before, after);
  // Both are trusted while both serve the old one.
  EXPECT_TRUE(chains_to(before, bundle(0), clock.wall_now()));
  expect_settled();
  const auto old_end = one.certificate.not_after();
  EXPECT_TRUE(one.pass().pending);
  EXPECT_EQ(one.certificate.not_after(), old_end);
  clock.advance(10s);
  EXPECT_FALSE(one.pass().pending);
  EXPECT_NE(one.certificate.not_after(), old_end);
  EXPECT_TRUE(one.keeper.ready());
}

TEST_F(KeeperTest, AWipedOrReplacedBundleHeals) {
  install_configuration();
  one.pass();
  install_configuration();
  EXPECT_FALSE(one.pass().error);
  expect_settled();
}

TEST_F(KeeperTest, ExpiredAndDamagedSecretsHeal) {
  install_configuration();
  one.pass();
  clock.advance(days(400));
  EXPECT_FALSE(one.keeper.ready());
  EXPECT_FALSE(one.pass().error);
  EXPECT_TRUE(one.keeper.ready());
  expect_settled();
  for (const char* key : {"ca.crt", "ca.key", "tls.crt", "tls.key"}) {
    for (const char* value : {"%%%", "Z2FyYmFnZQ=="}) {
      auto object = api.object(kSecret);
      object["data"][key] = value;
      api.put(kSecret, object.dump());
      EXPECT_FALSE(one.pass().error) << key;
      expect_settled();
    }
  }
  // The bundle that grew with every healing stays bounded.
  EXPECT_LE(parse_certificates(bundle(0)).size(), 16U);
}

TEST_F(KeeperTest, AReplicaWhoseClockIsWrongGoesByTheApiServers) {
  FakeClock wrong;
  wrong.advance(days(4000));
  Replica ahead{api, wrong};
  api.set_clock(&clock);
  install_configuration();
  for (int look = 0; look < 3; ++look) {
    EXPECT_FALSE(ahead.pass().error);
    EXPECT_FALSE(one.pass().error);
  }
  expect_settled();
  EXPECT_EQ(parse_certificates(data("ca.crt")).size(), 1U) << "neither undid the other's work";
  EXPECT_EQ(ahead.certificate.not_after(), one.certificate.not_after());
  EXPECT_TRUE(ahead.keeper.ready());
  EXPECT_TRUE(one.keeper.ready());
}

TEST_F(KeeperTest, AnApiServerThatIsDownStopsNothingThatWorks) {
  install_configuration();
  one.pass();
  api.before([](const FakeKubeApi::Call&) {
    return Error{.kind = ErrorKind::kUnavailable, .message = "down"};
  });
  const auto pass = one.pass();
  ASSERT_TRUE(pass.error);
  EXPECT_TRUE(one.keeper.ready());
}

TEST_F(KeeperTest, AForbiddenConfigurationDoesNotKeepTheCertificateFromBeingServed) {
  api.before([](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.path == kConfiguration) {
      return Error{.kind = ErrorKind::kForbidden, .message = "rbac"};
    }
    return std::nullopt;
  });
  EXPECT_EQ(one.pass().error->kind, ErrorKind::kForbidden);
  EXPECT_TRUE(one.keeper.ready());
}

TEST_F(KeeperTest, ALostAnswerIsNotDoneTwice) {
  install_configuration();
  int lost = 0;
  api.after([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "get" || lost++ > 1) return std::nullopt;
    return Error{.kind = ErrorKind::kTimeout, .message = "lost"};
  });
  for (int i = 0; i < 3; ++i) one.pass();
  EXPECT_EQ(api.calls("create").size(), 1U);
  EXPECT_EQ(api.calls("patch").size(), 1U);
  expect_settled();
}

TEST(KeeperRun, WaitsForTheConfigurationWithOneLogLine) {
  FakeKubeApi api;
  FakeClock clock;
  std::mutex mutex;
  std::vector<std::string> lines;
  Replica replica(api, clock, Logger::to_sink(LogLevel::kWarn, [&](std::string_view line) {
                    const std::lock_guard lock(mutex);
                    lines.emplace_back(line);
                  }));
  std::latch looked(5);
  std::latch published(1);
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "get" && call.path == kConfiguration && !looked.try_wait()) {
      looked.count_down();
    }
    return std::nullopt;
  });
  std::atomic<int> patches{0};
  api.after([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "patch" && patches++ == 0) published.count_down();
    return std::nullopt;
  });
  std::jthread runner([&](const std::stop_token& stop) { EXPECT_TRUE(replica.keeper.run(stop)); });
  looked.wait();
  api.put(kConfiguration, R"({"webhooks":[{"name":"a","clientConfig":{}}]})");
  published.wait();
  runner.request_stop();
  runner.join();
  EXPECT_TRUE(replica.keeper.ready());
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("webhook configuration"), std::string::npos);
}

TEST(KeeperRun, RefusesContradictingOptions) {
  FakeKubeApi api;
  FakeClock clock;
  net::ServerCertificate certificate;
  Metrics metrics;
  CertificateKeeper keeper(api, clock, KeeperOptions{}, certificate, metrics, Logger::none());
  EXPECT_EQ(keeper.run({}).error().kind, ErrorKind::kInvalid);
  EXPECT_TRUE(api.calls().empty());
}

}  // namespace
}  // namespace tidemark::certs
