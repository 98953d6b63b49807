// The whole file is one table: a section for each mapping, a line for each key. How a value is read
// and complained about is in yaml_section.cc.

#include "config/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "cloud/hosts.h"
#include "config/names.h"
#include "config/yaml_section.h"
#include "image/reference.h"
#include "net/cidr.h"
#include "net/client.h"
#include "net/tls.h"

namespace tidemark::config {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

// The API server bounds a ConfigMap at 1 MiB in all (core/v1 MaxSecretSize, used for both).
constexpr std::size_t kMaxConfigBytes = std::size_t{1024} * 1024;
// The system's whole bundle of roots has about 220 KiB.
constexpr std::size_t kMaxCaBytes = std::size_t{1024} * 1024;
// More than any cluster has workloads: no bound.
constexpr std::size_t kMaxRollouts = 1'000'000;
// Each is a watch for every kind where they are named, and a part of each request's line (of about
// 80 bytes) where they are excluded.
constexpr std::size_t kMaxNamespaces = 100;

// The API server waits 30 s for an admission webhook at most (admissionregistration/v1).
constexpr milliseconds kMaxWebhookDeadline = 30s;
// A HEAD takes a round trip at the least: less would mean never resolving anything.
constexpr milliseconds kMinWebhookDeadline = 10ms;
constexpr milliseconds kMinInterval = 1s;
constexpr milliseconds kMaxInterval = 24h;
constexpr milliseconds kMaxCacheAge = 24h;
constexpr milliseconds kMaxCooldown = 24h * 31;
constexpr milliseconds kMaxListTagsEvery = 24h;
// Each request under way holds a connection: far above what registries allow one client.
constexpr std::uint64_t kMaxConcurrency = 1000;
// Each is compared with a reference's registry, in turn.
constexpr std::size_t kMaxRegistries = 1000;
constexpr std::size_t kMaxRewrites = 100;
// Asked in turn, within one deadline.
constexpr std::size_t kMaxMirrors = 10;
// One request in 100 s, up to what leaves a millisecond between two.
constexpr std::uint64_t kMinRateThousandths = 10;
constexpr std::uint64_t kMaxRate = 1000;
// Below a round trip nothing would ever answer; above a minute the sweeper waits for nobody.
constexpr milliseconds kMinTimeout = 100ms;
constexpr milliseconds kMaxTimeout = 60s;
// Each has metrics of its own.
constexpr std::size_t kMaxReceivers = 100;
// About 1 KiB each.
constexpr std::uint64_t kMaxCacheEntries = 1'000'000;

// "host:port", ":port", "[v6]:port"; net::Server binds it.
std::string listen_address(const YamlValue& value) {
  std::string text = value.text();
  const std::size_t colon = text.rfind(':');
  const std::string_view port =
      colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || error != std::errc() || end != port.data() + port.size()) {
    value.fail("must be \":port\" or \"address:port\"");
  }
  return text;
}

// "": nowhere.
std::string optional_listen_address(const YamlValue& value) {
  return value.text().empty() ? std::string() : listen_address(value);
}

std::vector<std::string> namespaces(const YamlValue& value) {
  std::vector<std::string> out;
  if (value.list().size() > kMaxNamespaces) {
    value.fail("names more than " + std::to_string(kMaxNamespaces) + " namespaces");
  }
  for (const YamlValue& element : value.list()) {
    out.push_back(namespace_name(element));
  }
  return out;
}

std::vector<std::string> cidrs(const YamlValue& value) {
  std::vector<std::string> out;
  for (const YamlValue& element : value.list()) {
    out.push_back(element.text());
    if (!net::Cidr::parse(out.back())) element.fail("is not a CIDR (10.0.0.0/8, fd00::/8)");
  }
  return out;
}

std::set<std::string> container_names(const YamlValue& value) {
  std::set<std::string> out;
  for (const YamlValue& element : value.list()) {
    out.merge(element.parsed(workload::parse_container_names));
  }
  return out;
}

// "docker.io", "registry.local:5000", "[fd00::1]:5000", "*.example.com",
// "*.dkr.ecr.*.amazonaws.com": a * stands for a whole label, which another one follows.
bool is_host_pattern(std::string_view text) {
  std::string host(text);
  if (host.starts_with("*.")) host.erase(0, 2);
  for (std::size_t at = 0; (at = host.find(".*.")) != std::string::npos;) host.erase(at, 2);
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view(".-:[]_").find(c) != std::string_view::npos;
  });
}

std::string pem(const YamlValue& value, std::string text) {
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    value.fail("holds no PEM certificate");
  }
  return text;
}

// Whether credentials are sent: `credentials` of a registry.
Result<bool> parse_sending(std::string_view text) {
  if (text == "all") return true;
  if (text == "none") return false;
  return fail(ErrorKind::kInvalid, "must be all or none");
}

// Whether platforms are compared: `sweeper.compare`.
Result<bool> parse_compare(std::string_view text) {
  if (text == "platform") return true;
  if (text == "index") return false;
  return fail(ErrorKind::kInvalid, "must be index or platform");
}

// "http://user:password@host:port", or none. It is checked without being quoted.
std::string proxy(const YamlValue& value) {
  std::string text = value.secret();
  if (text.empty()) value.fail("names no proxy (http://host:port, or none)");
  if (text == "none") return text;
  if (const auto parsed = net::ProxyOptions::for_all(text); !parsed) {
    value.fail(parsed.error().message);
  }
  return text;
}

// "mirror.example.com:5000/prefix": what an image's name may begin with, as it is.
std::string mirror(const YamlValue& value) {
  std::string text = value.text();
  const auto image = image::Reference::parse(text + "/x:1");
  if (!image || image->str() != text + "/x:1") {
    value.fail("is no mirror (mirror.example.com, mirror.example.com:5000/prefix)");
  }
  return text;
}

// A path of a repository's name, "" for none; a slash at its end does not matter.
std::string repository_path(const YamlValue& value) {
  std::string text = value.text();
  if (text.ends_with('/')) text.pop_back();
  const std::string probe = "a.test/" + text + (text.empty() ? "" : "/") + "x:1";
  const auto image = image::Reference::parse(probe);
  if (!image || image->str() != probe) value.fail("is no path of a repository's name (team/app)");
  return text;
}

registry::PathRewrite rewrite(const YamlValue& value) {
  registry::PathRewrite out;
  read_section(value, {{"from", [&](const YamlValue& v) { out.from = repository_path(v); }},
                       {"to", [&](const YamlValue& v) { out.to = repository_path(v); }}});
  if (out.from == out.to) value.fail("rewrites nothing");
  return out;
}

class Reader {
 public:
  explicit Reader(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Config read(const YamlValue& root) {
    Config& c = config_;
    read_section(
        root,
        {{"logLevel",
          [&](const YamlValue& v) {
            c.log_level = v.parsed(parse_log_level, {"debug", "info", "warn", "error", "off"});
          }},
         {"opsListen", [&](const YamlValue& v) { c.ops_listen = listen_address(v); }},
         {"webhook", [&](const YamlValue& v) { read_webhook(v); }},
         {"sweeper", [&](const YamlValue& v) { read_sweeper(v); }},
         {"defaults", [&](const YamlValue& v) { read_defaults(v); }},
         {"addresses", [&](const YamlValue& v) { read_addresses(v); }},
         {"credentials", [&](const YamlValue& v) { read_credentials(v); }},
         {"cache", [&](const YamlValue& v) { read_cache(v); }},
         {"kinds", [&](const YamlValue& v) { read_kinds(v); }},
         {"receivers", [&](const YamlValue& v) { read_receivers(v); }},
         {"notifications",
          [&](const YamlValue& v) { c.notifications = read_notifications(v, folder_); }},
         {"policies", [&](const YamlValue& v) { c.policies = read_policies(v); }},
         {"git", [&](const YamlValue& v) { c.git = read_git(v, folder_); }},
         {"registries", [&](const YamlValue& v) {
            for (const YamlValue& element : v.list(kMaxRegistries)) read_registry(element);
          }}});
    if (secret_ && !c.read_secrets)
      secret_->fail("is not read where credentials.readSecrets is false");
    if (root.shape() == nullptr) check_git(root);
    give_rules();
    return std::move(config_);
  }

 private:
  // What only the whole file tells.
  void check_git(const YamlValue& root) const {
    for (const GitRepository& repository : config_.git.repositories) {
      const std::string which = "git.repositories: " + repository.name;
      if (config_.policies.empty()) root.fail(which + " has no policies to write");
      if (!repository.secret.empty() && !config_.read_secrets) {
        root.fail(which + ": its secret is not read where credentials.readSecrets is false");
      }
    }
  }

  // Policies for workloads are defaults of theirs.
  void give_rules() {
    std::vector<workload::PolicyRule> rules;
    for (const NamedPolicy& policy : config_.policies) {
      if (policy.workloads) rules.push_back(*policy.workloads);
    }
    if (rules.empty()) return;
    config_.defaults.policy_rules =
        std::make_shared<const std::vector<workload::PolicyRule>>(std::move(rules));
  }

  void read_webhook(const YamlValue& value) {
    WebhookConfig& w = config_.webhook;
    read_section(value,
                 {{"listen", [&](const YamlValue& v) { w.listen = listen_address(v); }},
                  {"deadline",
                   [&](const YamlValue& v) {
                     w.deadline = v.duration(kMinWebhookDeadline, kMaxWebhookDeadline);
                   }},
                  {"require", [&](const YamlValue& v) { w.require = v.flag(); }},
                  {"pinOnRollback", [&](const YamlValue& v) { w.pin_on_rollback = v.flag(); }},
                  {"warnOnLatest", [&](const YamlValue& v) { w.warn_on_latest = v.flag(); }}});
  }

  void read_sweeper(const YamlValue& value) {
    SweeperConfig& s = config_.sweeper;
    read_section(
        value,
        {{"interval",
          [&](const YamlValue& v) { s.interval = v.duration(kMinInterval, kMaxInterval); }},
         {"schedule", [&](const YamlValue& v) { s.schedule = v.parsed(Cron::parse); }},
         {"namespaces", [&](const YamlValue& v) { s.namespaces = namespaces(v); }},
         {"excludeNamespaces", [&](const YamlValue& v) { s.exclude_namespaces = namespaces(v); }},
         {"labelSelector", [&](const YamlValue& v) { s.label_selector = v.text(); }},
         {"fieldSelector", [&](const YamlValue& v) { s.field_selector = v.text(); }},
         {"checkConcurrency",
          [&](const YamlValue& v) { s.check_concurrency = v.number(1, kMaxConcurrency); }},
         {"maxRollouts", [&](const YamlValue& v) { s.max_rollouts = v.number(1, kMaxRollouts); }},
         {"maxRolloutsPerNamespace",
          [&](const YamlValue& v) { s.max_rollouts_per_namespace = v.number(1, kMaxRollouts); }},
         {"maxRolloutsPerImage",
          [&](const YamlValue& v) { s.max_rollouts_per_image = v.number(1, kMaxRollouts); }},
         {"listTagsEvery",
          [&](const YamlValue& v) { s.list_tags_every = v.duration(0ms, kMaxListTagsEvery); }},
         {"compare",
          [&](const YamlValue& v) {
            s.compare_platforms = v.parsed(parse_compare, {"index", "platform"});
          }},
         {"adopt", [&](const YamlValue& v) { s.adopt = v.flag(); }},
         {"waves", [&](const YamlValue& v) { s.waves = v.flag(); }},
         {"serveStatus", [&](const YamlValue& v) { s.serve_status = v.flag(); }},
         {"uiListen", [&](const YamlValue& v) { s.ui_listen = optional_listen_address(v); }}});
  }

  void read_defaults(const YamlValue& value) {
    workload::Settings& d = config_.defaults;
    read_section(
        value,
        {{"sweep",
          [&](const YamlValue& v) {
            d.sweep = v.parsed(workload::parse_sweep_mode, {"roll", "report", "off"});
          }},
         {"mode",
          [&](const YamlValue& v) {
            d.mode = v.parsed(workload::parse_stamp_mode, {"annotate", "pin"});
          }},
         {"stamp", [&](const YamlValue& v) { d.stamp = stamp_switch(v); }},
         {"restartedAt", [&](const YamlValue& v) { d.restarted_at = v.flag(); }},
         {"peerLabels", [&](const YamlValue& v) { d.peer_labels = v.flag(); }},
         {"window", [&](const YamlValue& v) { d.windows = v.parsed(workload::Windows::parse); }},
         {"onFailure",
          [&](const YamlValue& v) {
            d.on_failure = v.parsed(workload::parse_on_failure, {"hold", "undo", "ignore"});
          }},
         {"onCachedPolicy",
          [&](const YamlValue& v) {
            d.on_cached_policy =
                v.parsed(workload::parse_on_cached_policy, {"report", "pin", "roll"});
          }},
         {"cooldown",
          [&](const YamlValue& v) {
            d.cooldown = std::chrono::ceil<std::chrono::seconds>(v.duration(0ms, kMaxCooldown));
          }},
         {"ignoreContainers",
          [&](const YamlValue& v) { d.ignored_containers = container_names(v); }}});
  }

  // YAML 1.1 writers turn on and off into true and false.
  static bool stamp_switch(const YamlValue& value) {
    if (value.shape() == nullptr) {
      const std::string text = value.text();
      if (text == "true" || text == "false") return text == "true";
    }
    return value.parsed(workload::parse_stamp_switch, {"on", "off"});
  }

  void read_addresses(const YamlValue& value) {
    net::AddressPolicy::Options& a = config_.registries.addresses;
    read_section(value,
                 {{"allowLoopback", [&](const YamlValue& v) { a.allow_loopback = v.flag(); }},
                  {"allowPrivate", [&](const YamlValue& v) { a.allow_private = v.flag(); }},
                  {"allowedCIDRs", [&](const YamlValue& v) { a.allowed_cidrs = cidrs(v); }},
                  {"deniedCIDRs", [&](const YamlValue& v) { a.denied_cidrs = cidrs(v); }}});
  }

  void read_credentials(const YamlValue& value) {
    read_section(value,
                 {{"readSecrets", [&](const YamlValue& v) { config_.read_secrets = v.flag(); }},
                  {"dockerConfigFile", [&](const YamlValue& v) {
                     const std::string file = v.text();
                     config_.registries.docker_config_file =
                         file.empty() ? "" : (folder_ / file).string();
                   }}});
  }

  void read_cache(const YamlValue& value) {
    registry::ResolverOptions& r = config_.registries;
    const auto age = [](milliseconds& out) {
      return [&out](const YamlValue& v) { out = v.duration(0ms, kMaxCacheAge); };
    };
    read_section(value, {{"ttl", age(r.cache_ttl)},
                         {"negativeTTL", age(r.negative_ttl)},
                         {"staleIfError", age(r.stale_if_error)},
                         {"entries", [&](const YamlValue& v) {
                            r.cache_entries = v.number(1, kMaxCacheEntries);
                          }}});
  }

  // The table is built with each entry, so that what is wrong with one names its line.
  void read_kinds(const YamlValue& value) {
    std::vector<workload::Kind> kinds;
    for (const auto& [name, entry] : value.entries()) {
      std::string plural;
      std::string pointer;
      read_section(entry, {{"template", [&](const YamlValue& v) { pointer = v.text(); }},
                           {"plural", [&](const YamlValue& v) { plural = v.text(); }}});
      if (pointer.empty()) entry.fail("needs a template, such as /spec/template");
      auto kind = workload::make_custom_kind(name, plural, pointer);
      if (!kind) entry.fail(kind.error().message);
      kinds.push_back(std::move(*kind));
      auto table = workload::KindTable::with(kinds);
      if (!table) entry.fail(table.error().message);
      config_.kinds = std::move(*table);
    }
  }

  void read_receivers(const YamlValue& value) {
    ReceiversConfig& r = config_.receivers;
    read_section(value,
                 {{"listen", [&](const YamlValue& v) { r.listen = optional_listen_address(v); }},
                  {"certFile", [&](const YamlValue& v) { r.certificate_file = path(v); }},
                  {"keyFile", [&](const YamlValue& v) { r.key_file = path(v); }},
                  {"sources", [&](const YamlValue& v) {
                     for (const YamlValue& element : v.list()) read_source(element);
                   }}});
    if (r.listen.empty() != r.sources.empty()) value.fail("needs both listen and sources");
    if (r.certificate_file.has_value() != r.key_file.has_value()) {
      value.fail("needs both certFile and keyFile, or neither");
    }
  }

  void read_source(const YamlValue& value) {
    ReceiverSource s;
    read_section(value,
                 {{"name",
                   [&](const YamlValue& v) {
                     s.name = v.text();
                     if (!workload::is_dns_label(s.name)) v.fail("is no name (a-z, 0-9 and -)");
                   },
                   true},
                  {"format",
                   [&](const YamlValue& v) {
                     s.format =
                         v.parsed(push::parse_format,
                                  {"distribution", "dockerhub", "ghcr", "harbor", "quay", "nexus",
                                   "artifactory", "gar", "acr", "ecr", "cloudevents", "generic"});
                   },
                   true},
                  {"registry", [&](const YamlValue& v) { s.names.registry = v.text(); }},
                  {"registryWins", [&](const YamlValue& v) { s.names.registry_wins = v.flag(); }},
                  {"proof",
                   [&](const YamlValue& v) {
                     s.proof = v.parsed(push::parse_proof, {"token", "hmac-sha256", "hmac-sha1"});
                   }},
                  {"header", [&](const YamlValue& v) { s.header = v.text(); }},
                  {"secretFiles", [&](const YamlValue& v) {
                     for (const YamlValue& file : v.list()) s.secret_files.push_back(path(file));
                   }}});
    if (s.secret_files.empty()) value.fail("needs secretFiles: anybody could post to it");
    auto& all = config_.receivers.sources;
    if (std::ranges::find(all, s.name, &ReceiverSource::name) != all.end()) {
      value.fail("the name " + s.name + " is taken already");
    }
    if (all.size() == kMaxReceivers) {
      value.fail("is one more than " + std::to_string(kMaxReceivers));
    }
    all.push_back(std::move(s));
  }

  std::filesystem::path path(const YamlValue& value) const {
    std::string file = value.text();
    if (file.empty()) value.fail("names no file");
    return folder_ / file;
  }

  void read_registry(const YamlValue& value) {
    registry::RegistryOptions r;
    bool ca_file = false;
    bool ca_pem = false;
    std::optional<YamlValue> secret;
    read_section(
        value,
        {{"host",
          [&](const YamlValue& v) {
            r.host = v.text();
            if (!is_host_pattern(r.host)) {
              v.fail("is not a registry's host (docker.io, registry.local:5000, *.example.com)");
            }
          },
          true},
         {"plainHTTP", [&](const YamlValue& v) { r.plain_http = v.flag(); }},
         {"insecureSkipVerify", [&](const YamlValue& v) { r.insecure_skip_verify = v.flag(); }},
         {"caFile",
          [&](const YamlValue& v) {
            ca_file = true;
            r.ca_pem = pem(v, v.file_content(folder_, kMaxCaBytes));
          }},
         {"caPEM",
          [&](const YamlValue& v) {
            ca_pem = true;
            r.ca_pem = pem(v, v.text());
          }},
         {"certFile",
          [&](const YamlValue& v) {
            r.certificate_pem = pem(v, v.file_content(folder_, kMaxCaBytes));
          }},
         {"keyFile", [&](const YamlValue& v) { r.key_pem = v.file_content(folder_, kMaxCaBytes); }},
         {"endpoint",
          [&](const YamlValue& v) {
            r.endpoint = v.text();
            if (!r.endpoint.starts_with("https://") && !r.endpoint.starts_with("http://")) {
              v.fail("must begin with https:// or http://");
            }
          }},
         {"maxConcurrency",
          [&](const YamlValue& v) { r.max_concurrency = v.number(1, kMaxConcurrency); }},
         {"requestsPerSecond",
          [&](const YamlValue& v) {
            const double rate = v.decimal(kMinRateThousandths, kMaxRate);
            r.spacing = std::chrono::microseconds(std::llround(1e6 / rate));
          }},
         {"timeout", [&](const YamlValue& v) { r.timeout = v.duration(kMinTimeout, kMaxTimeout); }},
         {"connectTimeout",
          [&](const YamlValue& v) { r.connect_timeout = v.duration(kMinTimeout, kMaxTimeout); }},
         {"proxy", [&](const YamlValue& v) { r.proxy = proxy(v); }},
         {"credentials",
          [&](const YamlValue& v) {
            r.send_credentials = v.parsed(parse_sending, {"all", "none"});
          }},
         {"secret",
          [&](const YamlValue& v) {
            r.secret = secret_name(v);
            secret.emplace(v);
          }},
         {"dockerConfigFile", [&](const YamlValue& v) { r.docker_config_file = path(v).string(); }},
         {"login",
          [&](const YamlValue& v) {
            r.login =
                v.parsed(registry::parse_login, {"none", "ecr", "ecr-public", "google", "azure"});
          }},
         {"rewrite",
          [&](const YamlValue& v) {
            for (const YamlValue& element : v.list(kMaxRewrites)) {
              r.rewrite.push_back(rewrite(element));
            }
          }},
         {"mirrors",
          [&](const YamlValue& v) {
            for (const YamlValue& element : v.list(kMaxMirrors)) {
              r.mirrors.push_back(mirror(element));
            }
          }},
         {"mirrorPolicy", [&](const YamlValue& v) {
            r.mirror_policy = v.parsed(registry::parse_mirror_policy, {"mirror", "origin"});
          }}});
    check_registry(value, r);
    if (ca_file && ca_pem) value.fail("has both caFile and caPEM");
    if (secret) secret_.emplace(*secret);
    config_.registries.registries.push_back(std::move(r));
  }

  // What belongs together, or does not.
  void check_registry(const YamlValue& value, const registry::RegistryOptions& r) const {
    if (const auto fits = cloud::check_pattern(r.login, r.host); !fits) {
      value.fail("login " + fits.error().message);
    }
    if (r.login != registry::Login::kNone &&
        (r.plain_http || r.insecure_skip_verify || !r.endpoint.empty())) {
      value.fail(
          "login goes to the cloud's own host over verified TLS alone: no endpoint, "
          "plainHTTP or insecureSkipVerify beside it");
    }
    if (!r.send_credentials &&
        (r.login != registry::Login::kNone || !r.secret.empty() || !r.docker_config_file.empty())) {
      value.fail("credentials: none leaves nothing for login, secret or dockerConfigFile to give");
    }
    if (r.certificate_pem.empty() != r.key_pem.empty()) {
      value.fail("needs both certFile and keyFile, or neither");
    }
    if (r.plain_http &&
        (r.insecure_skip_verify || !r.ca_pem.empty() || !r.certificate_pem.empty())) {
      value.fail(
          "plainHTTP leaves nothing for caFile, caPEM, certFile or insecureSkipVerify to say");
    }
    if (!r.certificate_pem.empty()) {
      const auto context = net::make_client_context(
          {.client_pair =
               net::KeyPair{.certificate_pem = r.certificate_pem, .key_pem = r.key_pem}});
      if (!context) value.fail(context.error().message);
    }
    const auto& all = config_.registries.registries;
    if (std::ranges::find(all, r.host, &registry::RegistryOptions::host) != all.end()) {
      value.fail("the host " + r.host + " has an entry already");
    }
  }

  std::filesystem::path folder_;     // of the configuration: relative paths begin there
  std::optional<YamlValue> secret_;  // the last that an entry of `registries` names
  Config config_;
};

}  // namespace

Result<Config> parse_config(std::string_view yaml, std::string_view file_name,
                            const Environment& environment) {
  Config read;
  const YamlFile file{.name = std::string(file_name),
                      .environment = environment,
                      .settings = &read.settings,
                      .files = &read.files};
  if (yaml.size() > kMaxConfigBytes) {
    return fail(ErrorKind::kTooLarge,
                file.name + ": has more than " + std::to_string(kMaxConfigBytes) + " bytes");
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(yaml));
    if (documents.empty()) return Config{};
    if (documents.size() > 1) file.fail_at(documents[1].Mark(), "a second document begins here");
    Config config = Reader(std::filesystem::path(file.name).parent_path())
                        .read(YamlValue(documents[0], "", file));
    config.settings = std::move(read.settings);
    config.files = std::move(read.files);
    return config;
  } catch (const ConfigProblem& problem) {
    return fail(ErrorKind::kInvalid, problem.message);
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::kInvalid,
                file.name + ":" + std::to_string(error.mark.line + 1) + ": " + error.msg);
  }
}

Result<Config> load_config(const std::filesystem::path& file, const Environment& environment) {
  const auto text = read_file(file, kMaxConfigBytes);
  if (!text) return fail(text.error());
  auto config = parse_config(*text, file.string(), environment);
  if (config) config->files.insert_or_assign(file, *text);
  return config;
}

YamlShape config_shape() {
  const Environment nothing = [](const std::string&) { return std::nullopt; };
  const YamlFile file{.name = "", .environment = nothing};
  YamlShape shape;
  (void)Reader({}).read(YamlValue(YAML::Node(), "", file, &shape));
  return shape;
}

std::string describe(const Config& config) {
  std::string out;
  for (const Setting& setting : config.settings) {
    out.append(setting.key).append(": ").append(setting.shown).append("\n");
  }
  return out;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it (config.h)
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

}  // namespace tidemark::config
