#include "config/config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/test_certificates.h"

namespace tidemark::config {
namespace {

using std::chrono::milliseconds;

const std::string kPem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

Environment environment(std::map<std::string, std::string> variables = {}) {
  return [variables = std::move(variables)](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Config parsed(const std::string& yaml, const Environment& variables = environment()) {
  auto config = parse_config(yaml, "config.yaml", variables);
  EXPECT_TRUE(config) << config.error().message;
  return config ? std::move(*config) : Config{};
}

std::string problem(const std::string& yaml, const Environment& variables = environment()) {
  const auto config = parse_config(yaml, "config.yaml", variables);
  EXPECT_FALSE(config) << yaml.substr(0, 200);
  if (config) return "";
  EXPECT_EQ(config.error().kind, ErrorKind::kInvalid);
  EXPECT_LT(config.error().message.size(), 500U);
  return config.error().message;
}

TEST(Receivers, AreReadWithoutTheirSecrets) {
  const Config config = parsed(R"(
receivers:
  listen: ":8082"
  certFile: tls/tls.crt
  keyFile: tls/tls.key
  sources:
    - name: hub
      format: dockerhub
      secretFiles: [secrets/hub]
    - name: github
      format: ghcr
      proof: hmac-sha256
      header: X-Other
      registry: mirror.test:5000
      registryWins: true
      secretFiles: [/a/old, /a/new]
)");
  EXPECT_EQ(config.receivers.listen, ":8082");
  EXPECT_EQ(config.receivers.certificate_file, std::filesystem::path("tls/tls.crt"));
  ASSERT_EQ(config.receivers.sources.size(), 2U);
  EXPECT_EQ(config.receivers.sources[0].format, push::Format::kDockerHub);
  EXPECT_EQ(config.receivers.sources[0].proof, push::Proof::kToken);
  const ReceiverSource& github = config.receivers.sources[1];
  EXPECT_EQ(github.proof, push::Proof::kHmacSha256);
  EXPECT_EQ(github.header, "X-Other");
  EXPECT_EQ(github.names.registry, "mirror.test:5000");
  EXPECT_TRUE(github.names.registry_wins);
  EXPECT_EQ(github.secret_files.size(), 2U);
  EXPECT_EQ(github.secret_files[0], std::filesystem::path("/a/old"));
}

TEST(Receivers, WhatIsMissingOrWrongIsNamed) {
  const auto of_source = [](const std::string& source) {
    return problem("receivers:\n  listen: \":1\"\n  sources:\n    - {" + source + "}\n");
  };
  EXPECT_NE(of_source("name: a, format: ghcr").find("needs secretFiles"), std::string::npos);
  EXPECT_NE(of_source("format: ghcr, secretFiles: [f]").find("needs a name"), std::string::npos);
  EXPECT_NE(of_source("name: a, secretFiles: [f]").find("needs a format"), std::string::npos);
  EXPECT_NE(of_source("name: A B, format: ghcr, secretFiles: [f]").find("is no name"),
            std::string::npos);
  EXPECT_NE(of_source("name: a, format: svn, secretFiles: [f]").find("svn"), std::string::npos);
  EXPECT_NE(of_source("name: a, format: ghcr, proof: magic, secretFiles: [f]").find("magic"),
            std::string::npos);
  const std::string one = "name: a, format: ghcr, secretFiles: [f]";
  EXPECT_NE(of_source(one + "}\n    - {" + one).find("taken already"), std::string::npos);
  EXPECT_NE(problem("receivers: {listen: \":1\"}").find("both listen and sources"),
            std::string::npos);
  EXPECT_NE(problem("receivers:\n  listen: \":1\"\n  keyFile: k\n  sources: [{" + one + "}]")
                .find("both certFile and keyFile"),
            std::string::npos);
}

TEST(Notifications, AreReadWithoutTheirSecrets) {
  const Config config = parsed(R"(
notifications:
  clusterName: prod-eu
  sinks:
    - name: chat
      format: slack
      urlFile: secrets/chat
      template: "<!here> {workload}: {text}"
    - name: bus
      format: cloudevents
      url: https://events.test/in
      authorizationFile: /a/token
      headerFiles: {X-Api-Key: keys/bus}
      caFile: ca.crt
      events: [Rolled, Moved]
      namespaces: [team-a, team-b]
      minInterval: 100ms
    - {name: hook, format: webhook, url: "http://hook.test:8080"}
)");
  EXPECT_EQ(config.notifications.cluster_name, "prod-eu");
  ASSERT_EQ(config.notifications.sinks.size(), 3U);
  const NotificationSink& chat = config.notifications.sinks[0];
  EXPECT_EQ(chat.name, "chat");
  EXPECT_EQ(chat.format, notify::Format::kSlack);
  EXPECT_FALSE(chat.url);
  EXPECT_EQ(chat.url_file, std::filesystem::path("secrets/chat"));
  EXPECT_TRUE(chat.text);
  EXPECT_EQ(chat.min_interval, std::chrono::seconds{1});
  EXPECT_EQ(chat.events,
            (std::set<std::string>{"Rolled", "RollFailed", "RolledBack", "RolloutFailed"}));
  EXPECT_TRUE(chat.namespaces.empty());
  const NotificationSink& bus = config.notifications.sinks[1];
  EXPECT_EQ(bus.url->str(), "https://events.test/in");
  EXPECT_EQ(bus.header_files, (std::map<std::string, std::filesystem::path>{
                                  {"Authorization", "/a/token"}, {"X-Api-Key", "keys/bus"}}));
  EXPECT_EQ(bus.ca_file, std::filesystem::path("ca.crt"));
  EXPECT_EQ(bus.events, (std::set<std::string>{"Rolled", "Moved"}));
  EXPECT_EQ(bus.namespaces, (std::set<std::string>{"team-a", "team-b"}));
  EXPECT_EQ(bus.min_interval, milliseconds{100});
  EXPECT_FALSE(config.notifications.sinks[2].url->tls);
  EXPECT_EQ(config.notifications.sinks[2].min_interval, milliseconds{0});
}

TEST(Notifications, NobodyIsToldUnlessConfigured) {
  EXPECT_TRUE(parsed("logLevel: info").notifications.sinks.empty());
  EXPECT_TRUE(parsed("notifications: {sinks: []}").notifications.sinks.empty());
}

TEST(Notifications, WhatIsMissingOrWrongIsNamed) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"format: slack, url: 'https://a'", "sinks[0]: needs a name"},
      {"name: a, url: 'https://a'", "needs a format"},
      {"name: A b, format: slack, url: 'https://a'", "is no name"},
      {"name: a, format: xmpp, url: 'https://a'", "no such format: \"xmpp\""},
      {"name: a, format: slack", "needs either url or urlFile"},
      {"name: a, format: slack, url: 'https://a', urlFile: f", "needs either url or urlFile"},
      {"name: a, format: slack, url: 'ftp://a'", "url: URL: not http:// or https://"},
      {"name: a, format: slack, url: 'https://u:p@a'", "user information is refused"},
      {"name: a, format: slack, urlFile: ''", "urlFile: names no file"},
      {"name: a, format: webhook, url: 'http://a', caFile: f", "nothing for caFile"},
      {"name: a, format: webhook, url: 'https://a', template: '{wrokload}'",
       "template: no such value: \"wrokload\""},
      {"name: a, format: webhook, url: 'https://a', template: '{'", "without its }"},
      {"name: a, format: cloudevents, url: 'https://a', template: 'x'", "a CloudEvent has data"},
      {"name: a, format: slack, url: 'https://a', events: [Roled]",
       "events[0]: no such event: \"Roled\" (Rolled, RollFailed"},
      {"name: a, format: slack, url: 'https://a', events: []", "events: names none"},
      {"name: a, format: slack, url: 'https://a', namespaces: ['*']", "not a namespace's name"},
      {"name: a, format: slack, url: 'https://a', minInterval: 2h", "must be from"},
      {"name: a, format: slack, url: 'https://a', plainHTTP: true", "unknown key"},
      {"name: a, format: webhook, url: 'https://a', headerFiles: {'X Y': f}", "not a header name"},
      {"name: a, format: webhook, url: 'https://a', headerFiles: {Host: f}", "the client itself"},
      {"name: a, format: webhook, url: 'https://a', headerFiles: {content-type: f}",
       "set by the format"},
      {"name: a, format: webhook, url: 'https://a', authorizationFile: f, headerFiles: "
       "{Authorization: f}",
       "a second time"},
  };
  for (const auto& [sink, what] : bad) {
    const std::string told = problem("notifications:\n  sinks:\n    - {" + sink + "}\n");
    EXPECT_NE(told.find("config.yaml:3: "), std::string::npos) << told;
    EXPECT_NE(told.find(what), std::string::npos) << told;
  }
  const std::string one = "{name: a, format: webhook, url: 'https://a'}";
  EXPECT_NE(problem("notifications: {sinks: [" + one + ", " + one + "]}").find("taken already"),
            std::string::npos);
  std::string many;
  for (int i = 0; i < 21; ++i) {
    many += "{name: s" + std::to_string(i) + ", format: webhook, url: 'https://a'}, ";
  }
  EXPECT_NE(problem("notifications: {sinks: [" + many + "]}").find("one more than 20"),
            std::string::npos);
  EXPECT_NE(problem("notifications: {clusterName: \"a\\nb\"}").find("is no name"),
            std::string::npos);
}

// A folder of its own that goes with the test.
class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() /
              ("tidemark-config-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Config, HasADefaultForEverything) {
  for (const std::string yaml : {"", "\n", "# nothing\n", "---\n", "{}", "~",
                                 "webhook:\nsweeper:\nregistries:\ncache: {}\n"}) {
    const Config config = parsed(yaml);
    EXPECT_EQ(config.log_level, LogLevel::kInfo);
    EXPECT_EQ(config.ops_listen, ":8080");
    EXPECT_EQ(config.webhook.listen, ":8443");
    EXPECT_EQ(config.webhook.deadline, milliseconds(2000));
    EXPECT_FALSE(config.webhook.require);
    EXPECT_TRUE(config.webhook.pin_on_rollback);
    EXPECT_FALSE(config.webhook.warn_on_latest);
    EXPECT_TRUE(config.read_secrets);
    EXPECT_EQ(config.sweeper.interval, milliseconds(60'000));
    EXPECT_TRUE(config.sweeper.namespaces.empty());
    EXPECT_EQ(config.sweeper.check_concurrency, 16U);
    EXPECT_EQ(config.defaults.sweep, workload::SweepMode::kReport);
    EXPECT_EQ(config.defaults.mode, workload::StampMode::kAnnotate);
    EXPECT_TRUE(config.defaults.stamp);
    EXPECT_FALSE(config.registries.addresses.allow_loopback);
    EXPECT_TRUE(config.registries.addresses.allow_private);
    EXPECT_EQ(config.registries.cache_ttl, milliseconds(30'000));
    EXPECT_EQ(config.registries.cache_entries, 10'000U);
    EXPECT_TRUE(config.registries.registries.empty());
  }
}

TEST(Config, ReadsTheLoginsOfClouds) {
  const Config config = parsed(R"(
registries:
  - {host: "*.dkr.ecr.*.amazonaws.com", login: ecr}
  - {host: public.ecr.aws, login: ecr-public}
  - {host: gcr.io, login: google}
  - {host: "*.pkg.dev", login: google}
  - {host: "team.azurecr.io", login: azure, maxConcurrency: 2}
  - {host: ghcr.io, login: none}
  - {host: docker.io}
)");
  using registry::Login;
  const std::vector<Login> logins = {Login::kEcr,    Login::kEcrPublic, Login::kGoogle,
                                     Login::kGoogle, Login::kAzure,     Login::kNone,
                                     Login::kNone};
  ASSERT_EQ(config.registries.registries.size(), logins.size());
  for (std::size_t i = 0; i < logins.size(); ++i) {
    EXPECT_EQ(config.registries.registries[i].login, logins[i]) << i;
  }
  EXPECT_EQ(config.registries.registries[0].host, "*.dkr.ecr.*.amazonaws.com");
}

TEST(Config, ReadsEveryKey) {
  const Config config = parsed(R"(
logLevel: debug
opsListen: 127.0.0.1:9090
webhook:
  listen: "[::1]:9443"
  deadline: 1s500ms
  require: true
  pinOnRollback: false
  warnOnLatest: true
credentials:
  readSecrets: false
  dockerConfigFile: /etc/tidemark-pull/.dockerconfigjson
sweeper:
  interval: 1m30s
  schedule: 30 */5 * * * * +02:00
  namespaces: [team-a, team-b]
  excludeNamespaces: [kube-system]
  labelSelector: team=a,tier!=db
  fieldSelector: metadata.name=web
  checkConcurrency: 4
  maxRollouts: 5
  maxRolloutsPerNamespace: 3
  maxRolloutsPerImage: 2
  waves: false
  adopt: false
  serveStatus: false
  uiListen: 127.0.0.1:8082
defaults:
  sweep: roll
  mode: pin
  stamp: off
  onFailure: undo
  restartedAt: true
  peerLabels: true
  window: 0 22 * * mon-fri 6h Europe/Berlin
  onCachedPolicy: roll
  cooldown: 10m
  ignoreContainers:
    - istio-proxy
    - linkerd-proxy
addresses:
  allowLoopback: true
  allowPrivate: false
  allowedCIDRs: [10.244.0.0/16, "fd00::/8"]
  deniedCIDRs: [10.96.0.1]
cache:
  ttl: 45s
  negativeTTL: 1s
  staleIfError: 0
  entries: 77
registries:
  - host: registry.local:5000
    plainHTTP: true
    endpoint: http://10.0.0.7:5000
    maxConcurrency: 2
  - host: "*.example.com"
    insecureSkipVerify: true
  - host: ghcr.io
    caPEM: |
      -----BEGIN CERTIFICATE-----
      MIIB
      -----END CERTIFICATE-----
)");
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.ops_listen, "127.0.0.1:9090");
  EXPECT_EQ(config.webhook.listen, "[::1]:9443");
  EXPECT_EQ(config.webhook.deadline, milliseconds(1500));
  EXPECT_TRUE(config.webhook.require);
  EXPECT_FALSE(config.webhook.pin_on_rollback);
  EXPECT_TRUE(config.webhook.warn_on_latest);
  EXPECT_FALSE(config.read_secrets);
  EXPECT_EQ(config.registries.docker_config_file, "/etc/tidemark-pull/.dockerconfigjson");
  EXPECT_EQ(config.sweeper.interval, milliseconds(90'000));
  EXPECT_EQ(config.sweeper.namespaces, (std::vector<std::string>{"team-a", "team-b"}));
  EXPECT_EQ(config.sweeper.exclude_namespaces, std::vector<std::string>{"kube-system"});
  EXPECT_EQ(config.sweeper.label_selector, "team=a,tier!=db");
  EXPECT_EQ(config.sweeper.field_selector, "metadata.name=web");
  EXPECT_EQ(config.sweeper.schedule, Cron::parse("30 */5 * * * * +02:00").value());
  EXPECT_EQ(config.sweeper.check_concurrency, 4U);
  EXPECT_EQ(config.sweeper.max_rollouts, 5U);
  EXPECT_EQ(config.sweeper.max_rollouts_per_namespace, 3U);
  EXPECT_EQ(config.sweeper.max_rollouts_per_image, 2U);
  EXPECT_FALSE(config.sweeper.waves);
  EXPECT_FALSE(config.sweeper.adopt);
  EXPECT_FALSE(config.sweeper.serve_status);
  EXPECT_EQ(config.sweeper.ui_listen, "127.0.0.1:8082");
  EXPECT_EQ(config.defaults.sweep, workload::SweepMode::kRoll);
  EXPECT_EQ(config.defaults.mode, workload::StampMode::kPin);
  EXPECT_FALSE(config.defaults.stamp);
  EXPECT_TRUE(config.defaults.restarted_at);
  EXPECT_TRUE(config.defaults.peer_labels);
  EXPECT_EQ(config.defaults.windows,
            workload::Windows::parse("0 22 * * mon-fri 6h Europe/Berlin").value());
  EXPECT_EQ(config.defaults.on_failure, workload::OnFailure::kUndo);
  EXPECT_EQ(config.defaults.on_cached_policy, workload::OnCachedPolicy::kRoll);
  EXPECT_EQ(config.defaults.cooldown, std::chrono::minutes(10));
  EXPECT_EQ(config.defaults.ignored_containers,
            (std::set<std::string>{"istio-proxy", "linkerd-proxy"}));
  const registry::ResolverOptions& options = config.registries;
  EXPECT_TRUE(options.addresses.allow_loopback);
  EXPECT_FALSE(options.addresses.allow_private);
  EXPECT_EQ(options.addresses.allowed_cidrs,
            (std::vector<std::string>{"10.244.0.0/16", "fd00::/8"}));
  EXPECT_EQ(options.addresses.denied_cidrs, std::vector<std::string>{"10.96.0.1"});
  EXPECT_EQ(options.cache_ttl, milliseconds(45'000));
  EXPECT_EQ(options.negative_ttl, milliseconds(1'000));
  EXPECT_EQ(options.stale_if_error, milliseconds(0));
  EXPECT_EQ(options.cache_entries, 77U);
  ASSERT_EQ(options.registries.size(), 3U);
  EXPECT_EQ(options.registries[0].host, "registry.local:5000");
  EXPECT_TRUE(options.registries[0].plain_http);
  EXPECT_EQ(options.registries[0].endpoint, "http://10.0.0.7:5000");
  EXPECT_EQ(options.registries[0].max_concurrency, 2U);
  EXPECT_EQ(options.registries[1].host, "*.example.com");
  EXPECT_TRUE(options.registries[1].insecure_skip_verify);
  EXPECT_EQ(options.registries[1].max_concurrency, 8U);
  EXPECT_EQ(options.registries[2].ca_pem, kPem);
}

TEST(Config, NamesWhatIsWrongWithARegistry) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"registries: [null]", "config.yaml:1: registries[0]: needs a host"},
      {"registries:\n- host: a\n  requestsPerSecond: 0.001\n",
       "config.yaml:3: registries[0].requestsPerSecond: \"0.001\" is not a number from 0.01 to "
       "1000"},
      {"registries: [{host: a, requestsPerSecond: 1001}]", "is not a number from 0.01 to 1000"},
      {"registries: [{host: a, requestsPerSecond: 1/s}]", "is not a number from 0.01 to 1000"},
      {"registries: [{host: a, timeout: 99ms}]",
       "config.yaml:1: registries[0].timeout: must be from 100ms to 60s"},
      {"registries: [{host: a, connectTimeout: 61s}]",
       "config.yaml:1: registries[0].connectTimeout: must be from 100ms to 60s"},
      {"registries: [{host: a, proxy: 'socks5://hunter2@p'}]",
       "config.yaml:1: registries[0].proxy: proxy: not a proxy address (http://host:port)"},
      {"registries: [{host: a, proxy: ''}]", "registries[0].proxy: names no proxy"},
      {"registries: [{host: a, credentials: some}]",
       "config.yaml:1: registries[0].credentials: must be all or none"},
      {"registries: [{host: a, credentials: none, secret: x/y}]",
       "config.yaml:1: registries[0]: credentials: none leaves nothing for login, secret"},
      {"registries: [{host: a, secret: y}]",
       "config.yaml:1: registries[0].secret: is no Secret (namespace/name)"},
      {"registries: [{host: a, secret: x/y/z}]", "registries[0].secret: is no Secret"},
      {"registries: [{host: a, secret: X/y}]", "registries[0].secret: is no Secret"},
      {"registries:\n- host: a\n  secret: x/y\ncredentials: {readSecrets: false}\n",
       "config.yaml:3: registries[0].secret: is not read where credentials.readSecrets is false"},
      {"registries: [{host: a, certFile: /nowhere}]",
       "config.yaml:1: registries[0].certFile: /nowhere: No such file"},
      {"registries: [{host: a, mirrors: [mirror]}]",
       "config.yaml:1: registries[0].mirrors[0]: is no mirror"},
      {"registries: [{host: a, mirrors: ['https://m.test']}]", "mirrors[0]: is no mirror"},
      {"registries: [{host: a, mirrors: [m.test, m.test/x:1]}]", "mirrors[1]: is no mirror"},
      {"registries: [{host: a, mirrors: [a.b,b.b,c.b,d.b,e.b,f.b,g.b,h.b,i.b,j.b,k.b]}]",
       "config.yaml:1: registries[0].mirrors: has more than 10 elements"},
      {"registries: [{host: a, mirrorPolicy: both}]",
       "config.yaml:1: registries[0].mirrorPolicy: must be mirror or origin"},
      {"registries: [{host: a, rewrite: [{from: Team, to: x}]}]",
       "config.yaml:1: registries[0].rewrite[0].from: is no path of a repository's name"},
      {"registries: [{host: a, rewrite: [{from: x, to: x}]}]",
       "config.yaml:1: registries[0].rewrite[0]: rewrites nothing"},
  };
  for (const auto& [yaml, message] : bad) {
    const std::string told = problem(yaml);
    EXPECT_NE(told.find(message), std::string::npos) << yaml << "\n" << told;
    EXPECT_EQ(told.find("hunter2"), std::string::npos);
  }
}

// A folder with a client's certificate, its key, and one that does not belong to it.
class RegistriesFilesTest : public ::testing::Test {
 protected:
  RegistriesFilesTest() {
    std::filesystem::create_directory(folder_);
    const net::KeyPair pair = ca_.issue({.for_client = true});
    std::ofstream(folder_ / "tls.crt") << pair.certificate_pem;
    std::ofstream(folder_ / "tls.key") << pair.key_pem;
    std::ofstream(folder_ / "other.key") << ca_.issue().key_pem;
    key_ = pair.key_pem;
  }
  ~RegistriesFilesTest() override { std::filesystem::remove_all(folder_); }
  RegistriesFilesTest(const RegistriesFilesTest&) = delete;
  RegistriesFilesTest& operator=(const RegistriesFilesTest&) = delete;

  Result<Config> read(const std::string& yaml) const {
    return parse_config(yaml, (folder_ / "config.yaml").string(), environment({{"PW", "hunter2"}}));
  }

  testing::TestCa ca_;
  std::string key_;
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tidemark-config-" + std::to_string(::getpid()));
};

TEST_F(RegistriesFilesTest, EveryKeyOfARegistryIsRead) {
  const auto config = read(R"(
registries:
  - host: r.test
    certFile: tls.crt
    keyFile: tls.key
    requestsPerSecond: 2.5
    timeout: 7s
    connectTimeout: 500ms
    proxy: http://user:${PW}@proxy.test:3128
    secret: sys/r.test
    dockerConfigFile: own.json
    rewrite:
      - {from: team/, to: remote/team}
      - {to: hub}
    mirrors: [m.test/hub, "m2.test:5000"]
    mirrorPolicy: origin
  - {host: s.test, credentials: none, proxy: none}
)");
  ASSERT_TRUE(config) << config.error().message;
  const registry::RegistryOptions& r = config->registries.registries[0];
  EXPECT_EQ(r.key_pem, key_);
  EXPECT_NE(r.certificate_pem, "");
  EXPECT_EQ(r.spacing, milliseconds{400});
  EXPECT_EQ(r.timeout, milliseconds{7000});
  EXPECT_EQ(r.connect_timeout, milliseconds{500});
  EXPECT_EQ(r.proxy, "http://user:hunter2@proxy.test:3128");
  EXPECT_EQ(r.secret, "sys/r.test");
  EXPECT_EQ(r.docker_config_file, (folder_ / "own.json").string());
  EXPECT_EQ(r.rewrite, (std::vector<registry::PathRewrite>{{.from = "team", .to = "remote/team"},
                                                           {.from = "", .to = "hub"}}));
  EXPECT_EQ(r.mirrors, (std::vector<std::string>{"m.test/hub", "m2.test:5000"}));
  EXPECT_EQ(r.mirror_policy, registry::MirrorPolicy::kOrigin);
  EXPECT_TRUE(r.send_credentials);
  const registry::RegistryOptions& s = config->registries.registries[1];
  EXPECT_FALSE(s.send_credentials);
  EXPECT_EQ(s.proxy, "none");
  EXPECT_EQ(s.spacing.count(), 0);
  EXPECT_EQ(s.timeout, milliseconds{5000});
  EXPECT_EQ(s.mirror_policy, registry::MirrorPolicy::kMirror);

  const std::string told = describe(*config);
  EXPECT_NE(told.find("registries[0].requestsPerSecond: 2.5\n"), std::string::npos) << told;
  EXPECT_NE(told.find("registries[0].proxy: ***\n"), std::string::npos);
  EXPECT_NE(told.find("registries[0].keyFile: tls.key\n"), std::string::npos);
  EXPECT_EQ(told.find("hunter2"), std::string::npos);
  EXPECT_EQ(told.find("PRIVATE"), std::string::npos);
}

TEST_F(RegistriesFilesTest, ACertificateThatCannotBeShownIsRefusedWithoutItsKey) {
  const auto message = [&](const std::string& entry) {
    const auto config = read("registries:\n- host: a.test\n" + entry);
    return config ? std::string() : config.error().message;
  };
  EXPECT_NE(message("  certFile: tls.crt\n").find("needs both certFile and keyFile"),
            std::string::npos);
  const std::string wrong = message("  certFile: tls.crt\n  keyFile: other.key\n");
  EXPECT_NE(wrong.find("config.yaml:2: registries[0]: client pair"), std::string::npos) << wrong;
  EXPECT_NE(message("  certFile: tls.crt\n  keyFile: tls.key\n  plainHTTP: true\n")
                .find("plainHTTP leaves nothing"),
            std::string::npos);
  EXPECT_NE(message("  certFile: tls.key\n  keyFile: tls.key\n").find("holds no PEM certificate"),
            std::string::npos);
}

TEST(Config, WhatItSaysIsShownWithoutSecrets) {
  const Config config = parsed(
      "logLevel: info\nnotifications:\n  clusterName: ${NAME}\n  sinks:\n"
      "    - {name: chat, format: slack, url: 'https://hooks.test/T0/hunter2'}\n"
      "cache: {ttl: 1m30s}\nsweeper: {namespaces: [a, b]}\n",
      environment({{"NAME", "s3cret"}}));
  EXPECT_EQ(describe(config),
            "logLevel: info\nnotifications.clusterName: ${NAME}\n"
            "notifications.sinks[0].name: chat\nnotifications.sinks[0].format: slack\n"
            "notifications.sinks[0].url: ***\ncache.ttl: 1m30s\nsweeper.namespaces[0]: a\n"
            "sweeper.namespaces[1]: b\n");
}

TEST(Config, WhatIsComparedIsTheIndexUnlessToldOtherwise) {
  EXPECT_FALSE(parsed("{}").sweeper.compare_platforms);
  EXPECT_TRUE(parsed("sweeper: {compare: platform}").sweeper.compare_platforms);
  EXPECT_FALSE(parsed("sweeper: {compare: index}").sweeper.compare_platforms);
  EXPECT_NE(problem("sweeper: {compare: image}").find("sweeper.compare: must be index or platform"),
            std::string::npos);
}

TEST(Config, StampTakesWhatYaml11WritersMakeOfIt) {
  EXPECT_FALSE(parsed("defaults: {stamp: false}").defaults.stamp);
  EXPECT_TRUE(parsed("defaults: {stamp: true}").defaults.stamp);
  EXPECT_TRUE(parsed("defaults: {stamp: on}").defaults.stamp);
}

TEST(Config, NamesFileLineAndKey) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"registrys: []",
       "config.yaml:1: unknown key \"registrys\" (known: logLevel, opsListen, webhook, sweeper, "
       "defaults, addresses, credentials, cache, kinds, receivers, notifications, policies, git, "
       "registries)"},
      {"# one\nwebhook:\n  listen: ':1'\n  deadlin: 1s\n",
       "config.yaml:4: unknown key \"deadlin\" in webhook (known: listen, deadline, require, "
       "pinOnRollback, warnOnLatest)"},
      {"registries:\n  - host: a\n  - hst: b\n",
       "config.yaml:3: unknown key \"hst\" in registries[1] (known: host, plainHTTP, "
       "insecureSkipVerify, caFile, caPEM, certFile, keyFile, endpoint, maxConcurrency, "
       "requestsPerSecond, timeout, connectTimeout, proxy, credentials, secret, dockerConfigFile, "
       "login, rewrite, mirrors, mirrorPolicy)"},
      {"logLevel: info\n\nlogLevel: warn\n", "config.yaml:3: key \"logLevel\" is given twice"},
      {"cache:\n  ttl: 1s\n  ttl:\n", "config.yaml:3: key \"ttl\" in cache is given twice"},
      {"<<: {}\n",
       "config.yaml:1: unknown key \"<<\" (known: logLevel, opsListen, webhook, sweeper, defaults, "
       "addresses, credentials, cache, kinds, receivers, notifications, policies, git, "
       "registries)"},
      {"logLevel: loud",
       "config.yaml:1: logLevel: unknown log level \"loud\" (debug, info, warn, error, off)"},
      {"logLevel: [info]", "config.yaml:1: logLevel: must be a single value"},
      {"[1]", "config.yaml:1: the file must be a mapping (key: value)"},
      {"text", "config.yaml:1: the file must be a mapping (key: value)"},
      {"webhook: 7", "config.yaml:1: webhook must be a mapping (key: value)"},
      {"webhook:\n  deadline: 2",
       "config.yaml:2: webhook.deadline: \"2\" is not a duration (30s, 10m, 1h30m)"},
      {"webhook:\n  deadline: 31s", "config.yaml:2: webhook.deadline: must be from 10ms to 30s"},
      {"webhook:\n  require: yes",
       "config.yaml:2: webhook.require: \"yes\" is neither true nor false"},
      {"webhook: {listen: localhost}",
       "config.yaml:1: webhook.listen: must be \":port\" or \"address:port\""},
      {"opsListen: ':65536'", "config.yaml:1: opsListen: must be \":port\" or \"address:port\""},
      {"opsListen: ':'", "config.yaml:1: opsListen: must be \":port\" or \"address:port\""},
      {"sweeper: {interval: 0}", "config.yaml:1: sweeper.interval: must be from 1s to 24h"},
      {"sweeper: {namespaces: team-a}", "config.yaml:1: sweeper.namespaces: must be a list"},
      {"sweeper:\n  namespaces:\n    - a\n    - B\n",
       "config.yaml:4: sweeper.namespaces[1]: is not a namespace's name"},
      {"sweeper: {checkConcurrency: 0}",
       "config.yaml:1: sweeper.checkConcurrency: \"0\" is not a number from 1 to 1000"},
      {"sweeper: {checkConcurrency: 99999999999999999999999}",
       "config.yaml:1: sweeper.checkConcurrency: \"99999999999999999999999\" is not a number from "
       "1 to 1000"},
      {"sweeper: {checkConcurrency: 1.5}",
       "config.yaml:1: sweeper.checkConcurrency: \"1.5\" is not a number from 1 to 1000"},
      {"defaults: {sweep: always}",
       "config.yaml:1: defaults.sweep: unknown value \"always\" (roll, report, off)"},
      {"defaults: {mode: pinn}",
       "config.yaml:1: defaults.mode: unknown value \"pinn\" (annotate, pin)"},
      {"defaults: {stamp: maybe}",
       "config.yaml:1: defaults.stamp: unknown value \"maybe\" (on, off)"},
      {"defaults: {ignoreContainers: [A]}",
       "config.yaml:1: defaults.ignoreContainers[0]: \"A\" is not a container's name"},
      {"addresses: {allowedCIDRs: [10.0.0.0/33]}",
       "config.yaml:1: addresses.allowedCIDRs[0]: is not a CIDR (10.0.0.0/8, fd00::/8)"},
      {"cache: {entries: -1}",
       "config.yaml:1: cache.entries: \"-1\" is not a number from 1 to 1000000"},
      {"registries: [{}]", "config.yaml:1: registries[0]: needs a host"},
      {"registries: [7]", "config.yaml:1: registries[0] must be a mapping (key: value)"},
      {"registries: {host: a}", "config.yaml:1: registries: must be a list"},
      {"registries: [{host: 'https://a'}]",
       "config.yaml:1: registries[0].host: is not a registry's host (docker.io, "
       "registry.local:5000, *.example.com)"},
      {"registries: [{host: 'a*.com'}]",
       "config.yaml:1: registries[0].host: is not a registry's host (docker.io, "
       "registry.local:5000, *.example.com)"},
      {"registries: [{host: 'a.*'}]",
       "config.yaml:1: registries[0].host: is not a registry's host (docker.io, "
       "registry.local:5000, *.example.com)"},
      {"registries: [{host: '*'}]",
       "config.yaml:1: registries[0].host: is not a registry's host (docker.io, "
       "registry.local:5000, *.example.com)"},
      {"registries: [{host: a, login: aws}]",
       "config.yaml:1: registries[0].login: must be none, ecr, ecr-public, google or azure"},
      {"registries: [{host: a, login: ecr}]",
       "config.yaml:1: registries[0]: login is ecr, and a names none of its hosts"},
      {"registries: [{host: gcr.io, login: google, endpoint: 'https://mirror'}]",
       "config.yaml:1: registries[0]: login goes to the cloud's own host over verified TLS alone: "
       "no endpoint, plainHTTP or insecureSkipVerify beside it"},
      {"registries: [{host: gcr.io, plainHTTP: true, login: google}]",
       "config.yaml:1: registries[0]: login goes to the cloud's own host over verified TLS alone: "
       "no endpoint, plainHTTP or insecureSkipVerify beside it"},
      {"registries:\n- host: a\n- host: a\n",
       "config.yaml:3: registries[1]: the host a has an entry already"},
      {"registries: [{host: a, endpoint: 'ftp://a'}]",
       "config.yaml:1: registries[0].endpoint: must begin with https:// or http://"},
      {"registries: [{host: a, caPEM: nothing}]",
       "config.yaml:1: registries[0].caPEM: holds no PEM certificate"},
      {"registries: [{host: a, plainHTTP: true, insecureSkipVerify: true}]",
       "config.yaml:1: registries[0]: plainHTTP leaves nothing for caFile, caPEM, certFile or "
       "insecureSkipVerify to say"},
      {"logLevel: info\n---\nlogLevel: warn\n", "config.yaml:3: a second document begins here"},
      {"logLevel: ${LEVEL}", "config.yaml:1: logLevel: the environment variable LEVEL is not set"},
      {"logLevel: ${LEVEL",
       "config.yaml:1: logLevel: \"${LEVEL\" is not ${NAME} (write $${ for a plain ${)"},
      {"logLevel: ${1X}",
       "config.yaml:1: logLevel: \"${1X}\" is not ${NAME} (write $${ for a plain ${)"},
  };
  for (const auto& [yaml, message] : bad) EXPECT_EQ(problem(yaml), message) << yaml;
}

TEST(Config, NamesAHundredNamespacesAtMost) {
  const auto naming = [](const std::string& key, int count) {
    std::string yaml = "sweeper: {" + key + ": [";
    for (int i = 0; i < count; ++i) yaml += (i == 0 ? "n" : ", n") + std::to_string(i);
    return yaml + "]}";
  };
  EXPECT_EQ(parsed(naming("namespaces", 100)).sweeper.namespaces.size(), 100U);
  EXPECT_EQ(problem(naming("namespaces", 101)),
            "config.yaml:1: sweeper.namespaces: names more than 100 namespaces");
  EXPECT_EQ(problem(naming("excludeNamespaces", 101)),
            "config.yaml:1: sweeper.excludeNamespaces: names more than 100 namespaces");
}

TEST(Config, TellsWhereYamlEnds) {
  for (const std::string yaml : {"webhook:\n  listen: [", "a: b: c", "\"", "webhook:\n\t listen: x",
                                 "{", "*unknown", "logLevel: !!", "a: &a *a"}) {
    EXPECT_TRUE(problem(yaml).starts_with("config.yaml:")) << yaml;
  }
}

TEST(Config, SubstitutesVariablesInValues) {
  const Environment variables = environment({{"LEVEL", "warn"},
                                             {"HOST", "registry.local"},
                                             {"PORT", "5000"},
                                             {"PEM", kPem},
                                             {"EVIL", "info\nwebhook: {require: true}"},
                                             {"EMPTY", ""},
                                             {"NEST", "${LEVEL}"}});
  const Config config = parsed(
      "logLevel: ${LEVEL}\nregistries:\n  - host: ${HOST}:${PORT}${EMPTY}\n    caPEM: \"${PEM}\"\n",
      variables);
  EXPECT_EQ(config.log_level, LogLevel::kWarn);
  EXPECT_EQ(config.registries.registries.at(0).host, "registry.local:5000");
  EXPECT_EQ(config.registries.registries.at(0).ca_pem, kPem);
  // What a variable holds is a value: neither YAML nor another variable.
  EXPECT_NE(problem("logLevel: ${EVIL}", variables).find("unknown log level"), std::string::npos);
  EXPECT_NE(problem("logLevel: ${NEST}", variables).find("\"${LEVEL}\""), std::string::npos);
  EXPECT_NE(problem("logLevel: $${LEVEL}", variables).find("unknown log level \"${LEVEL}\""),
            std::string::npos);
  EXPECT_NE(problem("logLevel: $LEVEL", variables).find("\"$LEVEL\""), std::string::npos);
}

TEST(Config, IsNotHurtByHostileFiles) {
  EXPECT_FALSE(problem(std::string(500'000, '[')).empty());
  EXPECT_FALSE(problem(std::string(500'000, '{')).empty());
  std::string nested;
  for (int i = 0; i < 1000; ++i) nested += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_FALSE(problem(nested).empty());
  // Aliases of aliases: ten lists of ten, nine deep. They are never followed.
  std::string bomb = "x0: &x0 [l, l, l, l, l, l, l, l, l, l]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*x" + std::to_string(i - 1);
    bomb += "x" + std::to_string(i) + ": &x" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j == 0 ? "" : ", ") + before;
    bomb += "]\n";
  }
  EXPECT_NE(problem(bomb).find("unknown key \"x0\""), std::string::npos);
  EXPECT_FALSE(problem("sweeper: {namespaces: &a [*a, *a]}").empty());
  EXPECT_FALSE(problem(std::string(100'000, 'k') + ": v").empty());
  const auto large = parse_config(std::string(1024 * 1024 + 1, '#'), "config.yaml", environment());
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kTooLarge);
  EXPECT_NE(problem("logLevel: ${LONG}${LONG}", environment({{"LONG", std::string(900'000, 'x')}}))
                .find("is too long"),
            std::string::npos);
}

TEST(Config, ReadsFilesNextToIt) {
  const Folder folder;
  folder.write("ca.pem", kPem);
  folder.write("empty.pem", "");
  const auto file = folder.write("config.yaml", "registries: [{host: a, caFile: ca.pem}]");
  const auto config = load_config(file, environment());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->registries.registries.at(0).ca_pem, kPem);

  const auto complaint = [&](const std::string& yaml) {
    const auto result = load_config(folder.write("bad.yaml", yaml), environment());
    EXPECT_FALSE(result);
    return result ? "" : result.error().message;
  };
  const std::string bad = (folder.path() / "bad.yaml").string();
  EXPECT_EQ(complaint("registries: [{host: a, caFile: none.pem}]"),
            bad + ":1: registries[0].caFile: " + (folder.path() / "none.pem").string() +
                ": No such file or directory");
  EXPECT_EQ(complaint("registries: [{host: a, caFile: empty.pem}]"),
            bad + ":1: registries[0].caFile: holds no PEM certificate");
  EXPECT_EQ(
      complaint("registries: [{host: a, caFile: .}]"),
      bad + ":1: registries[0].caFile: " + (folder.path() / ".").string() + ": is a directory");
  EXPECT_EQ(complaint("registries: [{host: a, caFile: ca.pem, caPEM: \"" +
                      std::string("-----BEGIN CERTIFICATE-----") + "\"}]"),
            bad + ":1: registries[0]: has both caFile and caPEM");

  const auto missing = load_config(folder.path() / "missing.yaml", environment());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kNotFound);
  const auto large =
      load_config(folder.write("large.yaml", std::string(1024 * 1024 + 1, '#')), environment());
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kTooLarge);
}

TEST(Config, ReadsTheProcessEnvironment) {
  const Environment variables = process_environment();
  EXPECT_TRUE(variables("PATH"));
  EXPECT_FALSE(variables("TIDEMARK_SURELY_NOT_SET"));
}

TEST(Kinds, AreAddedToTheBuiltIn) {
  EXPECT_EQ(parsed("").kinds.all().size(), workload::builtin_kinds().size());
  EXPECT_EQ(parsed("kinds:\n").kinds.all().size(), workload::builtin_kinds().size());
  const auto kinds = parsed(
                         "kinds:\n"
                         "  argoproj.io/v1alpha1/Rollout: {template: /spec/template}\n"
                         "  example.com/v1/Odd:\n"
                         "    plural: oddities\n"
                         "    template: /spec/pods/template\n")
                         .kinds;
  ASSERT_EQ(kinds.all().size(), workload::builtin_kinds().size() + 2);
  EXPECT_EQ(kinds.find("argoproj.io", "Rollout")->plural, "rollouts");
  EXPECT_EQ(kinds.find("example.com", "Odd")->plural, "oddities");
  EXPECT_EQ(kinds.find("example.com", "Odd")->template_pointer, "/spec/pods/template");
}

TEST(Kinds, ComplaintsNameLineAndKey) {
  const std::string one = "kinds:\n  a.b/v1/Fleet: {template: /spec/template}\n";
  std::string many = "kinds:\n";
  for (int i = 0; i <= 32; ++i) {
    many += "  a.b/v1/K" + std::to_string(i) + ": {template: /spec/template}\n";
  }
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"kinds: [a]\n", "config.yaml:1: kinds: must be a mapping"},
      {"kinds:\n  Rollout: {template: /spec/template}\n",
       "config.yaml:2: kinds.Rollout: must be GROUP/VERSION/KIND"},
      {"kinds:\n  a.b/v1/Fleet: {template: /spec/template, plurals: x}\n",
       "config.yaml:2: unknown key \"plurals\" in kinds.a.b/v1/Fleet (known: template, plural)"},
      {"kinds:\n  a.b/v1/Fleet: {plural: x}\n",
       "config.yaml:2: kinds.a.b/v1/Fleet: needs a template"},
      {"kinds:\n  a.b/v1/Fleet: /spec/template\n",
       "config.yaml:2: kinds.a.b/v1/Fleet must be a mapping"},
      {"kinds:\n  a.b/v1/Fleet: {template: [/spec/a, /spec/b]}\n",
       "config.yaml:2: kinds.a.b/v1/Fleet.template: must be a single value"},
      {"kinds:\n  a.b/v1/Fleet: {template: spec.template}\n",
       "config.yaml:2: kinds.a.b/v1/Fleet: "},
      {"kinds:\n  a.b/v1/Fleet: {template: /spec/template, plural: A}\n",
       "config.yaml:2: kinds.a.b/v1/Fleet: \"A\" is not a resource's name"},
      {"kinds:\n  apps/v1/Deployment: {template: /spec/template}\n",
       "config.yaml:2: kinds.apps/v1/Deployment: apps/v1/Deployment is built in"},
      {one + "  a.b/v2/Fleet: {template: /spec/template}\n",
       "config.yaml:3: kinds.a.b/v2/Fleet: a.b/v2/Fleet is given already"},
      {one + "  a.b/v1/Fleet: {template: /spec/template}\n",
       "config.yaml:3: key \"a.b/v1/Fleet\" in kinds is given twice"},
      {many, "config.yaml:34: kinds.a.b/v1/K32: more than 32 kinds"},
      {"kinds:\n  " + std::string(900, 'a') + ": {template: /a}\n", "config.yaml:2: kinds.aaa"},
  };
  for (const auto& [yaml, complaint] : rows) {
    const std::string told = problem(yaml);
    EXPECT_TRUE(told.starts_with(complaint)) << told;
  }
}

}  // namespace
}  // namespace tidemark::config
