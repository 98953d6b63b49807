#include "webhook/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/version.h"

namespace tidemark::webhook {
namespace {

using ::testing::HasSubstr;

std::optional<std::string> no_environment(const std::string&) { return std::nullopt; }

std::variant<Options, Stop> parse(const std::vector<const char*>& arguments) {
  std::vector<const char*> all(arguments.size() + 1, "tidemark-webhook");
  std::ranges::copy(arguments, all.begin() + 1);
  return parse_options(all, no_environment);
}

class ConfigFile {
 public:
  explicit ConfigFile(const std::string& yaml)
      : path_(std::filesystem::path(::testing::TempDir()) /
              ("webhook-options-" + std::to_string(getpid()) + ".yaml")) {
    std::ofstream(path_) << yaml;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  ConfigFile(const ConfigFile&) = delete;
  ConfigFile& operator=(const ConfigFile&) = delete;
  const char* c_str() const { return path_.c_str(); }

 private:
  std::filesystem::path path_;
};

TEST(Options, FlagsOverrideTheFile) {
  const ConfigFile file(
      "webhook:\n  listen: \":1\"\n  deadline: 1s\ncredentials:\n  readSecrets: true\n");
  const auto parsed = parse({"serve", "--config", file.c_str(), "--deadline", "250ms", "--require",
                             "--no-secrets", "--tls-cert", "c", "--tls-key", "k"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed)) << std::get<Stop>(parsed).text;
  const auto& options = std::get<Options>(parsed);
  EXPECT_EQ(options.config.webhook.listen, ":1");
  EXPECT_EQ(options.config.webhook.deadline, std::chrono::milliseconds(250));
  EXPECT_TRUE(options.config.webhook.require);
  EXPECT_FALSE(options.config.read_secrets);
  EXPECT_EQ(std::get<CertificateFiles>(options.certificate).key, "k");
}

TEST(Options, ReadsASelfSignedSetting) {
  const auto parsed =
      parse({"serve", "--self-signed", "--service=ns/svc", "--webhook-configuration=conf"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed)) << std::get<Stop>(parsed).text;
  const auto& self_signed = std::get<SelfSigned>(std::get<Options>(parsed).certificate);
  EXPECT_EQ(self_signed.service_namespace, "ns");
  EXPECT_EQ(self_signed.service_name, "svc");
  EXPECT_EQ(self_signed.webhook_configuration, "conf");
  EXPECT_EQ(self_signed.secret_name, "tidemark-webhook-tls");
  EXPECT_EQ(self_signed.lifetime, std::chrono::days(90));
}

TEST(Options, NamesTheWrongFlagOrKey) {
  const ConfigFile unknown_key("webhook:\n  lissen: x\n");
  const struct {
    std::vector<const char*> arguments;
    const char* named;
  } cases[] = {
      {{}, "subcommand"},
      {{"frobnicate"}, "subcommand"},
      {{"serve", "--frob"}, "--frob"},
      {{"serve", "--deadline", "soon", "--tls-cert", "c", "--tls-key", "k"}, "--deadline"},
      {{"serve", "--deadline", "31s", "--tls-cert", "c", "--tls-key", "k"}, "--deadline"},
      {{"serve", "--deadline", "0", "--tls-cert", "c", "--tls-key", "k"}, "--deadline"},
      {{"serve", "--log-level", "loud", "--tls-cert", "c", "--tls-key", "k"}, "--log-level"},
      {{"serve", "--drain", "x", "--tls-cert", "c", "--tls-key", "k"}, "--drain"},
      {{"serve"}, "--tls-cert"},
      {{"serve", "--tls-cert", "c"}, "--tls-key"},
      {{"serve", "--tls-key", "k"}, "--tls-cert"},
      {{"serve", "--self-signed", "--tls-cert", "c", "--tls-key", "k"}, "--self-signed"},
      {{"serve", "--self-signed"}, "--service"},
      {{"serve", "--self-signed", "--service", "noslash"}, "--service"},
      {{"serve", "--self-signed", "--service", "a/b/c"}, "--service"},
      {{"serve", "--self-signed", "--service", "a/b"}, "--webhook-configuration"},
      {{"serve", "--self-signed", "--service", "a/b", "--webhook-configuration", "c",
        "--certificate-lifetime", "119s"},
       "--certificate-lifetime"},
      {{"serve", "--config", "/does/not/exist"}, "/does/not/exist"},
      {{"serve", "--config", unknown_key.c_str()}, "lissen"},
      {{"manifest", "--config", unknown_key.c_str()}, "lissen"},
      {{"check-config"}, "file"},
      {{"check-config", unknown_key.c_str()}, "lissen"},
  };
  for (const auto& wrong : cases) {
    const auto parsed = parse(wrong.arguments);
    ASSERT_TRUE(std::holds_alternative<Stop>(parsed)) << wrong.named;
    EXPECT_EQ(std::get<Stop>(parsed).exit_code, 2) << wrong.named;
    EXPECT_THAT(std::get<Stop>(parsed).text, HasSubstr(wrong.named));
  }
}

TEST(Options, AReloadHasTheFlagsToo) {
  const ConfigFile file("logLevel: debug\nwebhook: {deadline: 1s}\n");
  const auto parsed = parse(
      {"serve", "--config", file.c_str(), "--tls-cert", "c", "--tls-key", "k", "--deadline", "3s"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  const auto again = std::get<Options>(parsed).reload();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->webhook.deadline, std::chrono::seconds{3});
  EXPECT_EQ(again->log_level, LogLevel::kDebug);
  const auto without = parse({"serve", "--tls-cert", "c", "--tls-key", "k"});
  EXPECT_FALSE(std::get<Options>(without).reload) << "there is no file to follow";
}

TEST(Options, AnswersQuestionsWithExitCodeZero) {
  const ConfigFile good(
      "logLevel: debug\nkinds:\n  argoproj.io/v1alpha1/Rollout: {template: /spec/template}\n");
  const std::string version = version_line("tidemark-webhook");
  const struct {
    std::vector<const char*> arguments;
    const char* told;
  } cases[] = {
      {{"--version"}, version.c_str()},
      {{"--help"}, "serve"},
      {{"serve", "--help"}, "--deadline"},
      {{"manifest"}, "kind: MutatingWebhookConfiguration"},
      {{"manifest", "--config", good.c_str()},
       "      - apiGroups: [\"argoproj.io\"]\n        apiVersions: [v1alpha1]\n"
       "        resources: [rollouts]\n"},
      {{"manifest", "--config", good.c_str()}, "'argoproj.io/Rollout'"},
      {{"check-config", good.c_str()}, ": ok\nlogLevel: debug\n"},
      {{"schema"}, "\"registries\""},
  };
  for (const auto& question : cases) {
    const auto parsed = parse(question.arguments);
    ASSERT_TRUE(std::holds_alternative<Stop>(parsed)) << question.told;
    EXPECT_EQ(std::get<Stop>(parsed).exit_code, 0) << question.told;
    EXPECT_THAT(std::get<Stop>(parsed).text, HasSubstr(question.told));
  }
}

}  // namespace
}  // namespace tidemark::webhook
