// g++ 12 sees null pointers in std::string's own code where CLI11's templates are inlined.
#pragma GCC diagnostic ignored "-Wnull-dereference"

#include "webhook/options.h"

#include <CLI/CLI.hpp>
#include <cstddef>
#include <sstream>
#include <utility>

#include "base/version.h"
#include "registry/stack.h"
#include "webhook/manifest.h"
#include "workload/duration.h"

namespace tidemark::webhook {
namespace {

constexpr int kWrongUsage = 2;
// Kubernetes refuses a longer timeoutSeconds (admissionregistration.k8s.io/v1).
constexpr std::chrono::milliseconds kMaxDeadline{30'000};
// terminationGracePeriodSeconds is rarely more than a few minutes.
constexpr std::chrono::milliseconds kMaxDrain{600'000};
// Shorter ones leave no time to notice, publish and load between two renewals.
constexpr std::chrono::milliseconds kMinLifetime{120'000};
constexpr std::chrono::milliseconds kMaxLifetime = std::chrono::days{365};
constexpr const char* kDefaultSecret = "tidemark-webhook-tls";

// The command line as it was written.
struct Flags {
  std::string config;
  std::string listen, ops_listen, deadline, drain = "10s", log_level;
  bool require = false;
  bool no_secrets = false;
  std::string tls_cert, tls_key;
  bool self_signed = false;
  std::string service, webhook_configuration, secret = kDefaultSecret;
  std::string lifetime = "2160h";
  std::string kubeconfig;
  std::string sweeper_user = ManifestOptions().sweeper_user;
};

Stop wrong(std::string text) {
  return {.exit_code = kWrongUsage, .text = "tidemark-webhook: " + std::move(text) + "\n"};
}

Result<std::chrono::milliseconds> read_duration(const char* flag, const std::string& text,
                                                std::chrono::milliseconds max) {
  const auto duration = workload::parse_duration(text);
  if (!duration) return fail(within(flag, duration.error()));
  if (*duration > max) {
    return fail(ErrorKind::kInvalid, std::string(flag) + ": " + text + " is longer than " +
                                         std::to_string(max.count() / 1000) + "s");
  }
  return *duration;
}

Status apply(const Flags& flags, config::Config& config) {
  if (!flags.listen.empty()) config.webhook.listen = flags.listen;
  if (!flags.ops_listen.empty()) config.ops_listen = flags.ops_listen;
  if (!flags.deadline.empty()) {
    const auto deadline = read_duration("--deadline", flags.deadline, kMaxDeadline);
    if (!deadline) return fail(deadline.error());
    if (deadline->count() == 0) return fail(ErrorKind::kInvalid, "--deadline: must not be zero");
    config.webhook.deadline = *deadline;
  }
  if (!flags.log_level.empty()) {
    const auto level = parse_log_level(flags.log_level);
    if (!level) return fail(within("--log-level", level.error()));
    config.log_level = *level;
  }
  config.webhook.require |= flags.require;
  config.read_secrets &= !flags.no_secrets;
  return {};
}

Result<std::variant<CertificateFiles, SelfSigned>> read_certificate(const Flags& flags) {
  const bool files = !flags.tls_cert.empty() || !flags.tls_key.empty();
  if (files && flags.self_signed) {
    return fail(ErrorKind::kInvalid, "--self-signed excludes --tls-cert and --tls-key");
  }
  if (files) {
    if (flags.tls_cert.empty()) return fail(ErrorKind::kInvalid, "--tls-key needs --tls-cert");
    if (flags.tls_key.empty()) return fail(ErrorKind::kInvalid, "--tls-cert needs --tls-key");
    return CertificateFiles{.certificate = flags.tls_cert, .key = flags.tls_key};
  }
  if (!flags.self_signed) {
    return fail(ErrorKind::kInvalid,
                "one of --tls-cert with --tls-key, or --self-signed is needed");
  }
  const auto slash = flags.service.find('/');
  const bool one_slash = slash != std::string::npos && slash == flags.service.rfind('/');
  if (!one_slash || slash == 0 || slash + 1 == flags.service.size()) {
    return fail(ErrorKind::kInvalid, "--self-signed needs --service NAMESPACE/NAME");
  }
  if (flags.webhook_configuration.empty()) {
    return fail(ErrorKind::kInvalid, "--self-signed needs --webhook-configuration NAME");
  }
  const auto lifetime = read_duration("--certificate-lifetime", flags.lifetime, kMaxLifetime);
  if (!lifetime) return fail(lifetime.error());
  if (*lifetime < kMinLifetime) {
    return fail(ErrorKind::kInvalid, "--certificate-lifetime: must be at least 2m");
  }
  return SelfSigned{.service_namespace = flags.service.substr(0, slash),
                    .service_name = flags.service.substr(slash + 1),
                    .webhook_configuration = flags.webhook_configuration,
                    .secret_name = flags.secret,
                    .lifetime = std::chrono::floor<std::chrono::seconds>(*lifetime)};
}

void add_flags(CLI::App& serve, Flags& flags) {
  serve.add_option("--config", flags.config, "YAML configuration file");
  serve.add_option("--listen", flags.listen, "HTTPS address of admissions (:8443)");
  serve.add_option("--ops-listen", flags.ops_listen, "/healthz, /readyz and /metrics (:8080)");
  serve.add_option("--deadline", flags.deadline, "Longest admission (2s)");
  serve.add_flag("--require", flags.require, "Deny what cannot be stamped");
  serve.add_flag("--no-secrets", flags.no_secrets, "Never read pull secrets");
  serve.add_option("--tls-cert", flags.tls_cert, "Serving certificate, followed when it changes");
  serve.add_option("--tls-key", flags.tls_key, "Its private key");
  serve.add_flag("--self-signed", flags.self_signed, "Issue, rotate and publish a certificate");
  serve.add_option("--service", flags.service, "NAMESPACE/NAME of the webhook's Service");
  serve.add_option("--webhook-configuration", flags.webhook_configuration,
                   "MutatingWebhookConfiguration whose caBundle is kept");
  serve.add_option("--secret", flags.secret, "Secret that keeps the self-signed certificate")
      ->capture_default_str();
  serve
      .add_option("--certificate-lifetime", flags.lifetime,
                  "Of the self-signed certificate; its CA lives 40 times as long")
      ->capture_default_str();
  serve.add_option("--kubeconfig", flags.kubeconfig, "Instead of the pod's service account");
  serve.add_option("--sweeper-user", flags.sweeper_user, "User whose writes are never changed")
      ->capture_default_str();
  serve.add_option("--drain", flags.drain, "After SIGTERM: go on accepting this long")
      ->capture_default_str();
  serve.add_option("--log-level", flags.log_level, "debug, info, warn, error or off");
}

std::variant<Options, Stop> to_options(const Flags& flags, const config::Environment& environment) {
  Options options;
  const auto load = [flags, environment]() -> Result<config::Config> {
    config::Config config;
    if (!flags.config.empty()) {
      auto loaded = config::load_config(flags.config, environment);
      if (!loaded) return loaded;
      config = *std::move(loaded);
    }
    if (const auto applied = apply(flags, config); !applied) return fail(applied.error());
    return config;
  };
  auto config = load();
  if (!config) return wrong(config.error().message);
  options.config = *std::move(config);
  if (!flags.config.empty()) options.reload = load;
  auto certificate = read_certificate(flags);
  if (!certificate) return wrong(certificate.error().message);
  options.certificate = *std::move(certificate);
  const auto drain = read_duration("--drain", flags.drain, kMaxDrain);
  if (!drain) return wrong(drain.error().message);
  options.drain = *drain;
  options.kubeconfig = flags.kubeconfig;
  options.sweeper_user = flags.sweeper_user;
  return options;
}

// Without a file: the built-in kinds alone, as deploy/ has them.
Stop print_manifest(const std::string& file, const config::Environment& environment) {
  config::Config config;
  if (!file.empty()) {
    auto loaded = config::load_config(file, environment);
    if (!loaded) return wrong(loaded.error().message);
    config = *std::move(loaded);
  }
  return {.exit_code = 0, .text = webhook_configuration(config.kinds.all(), {})};
}

Stop check_config(const std::string& file, const config::Environment& environment) {
  const auto config = config::load_config(file, environment);
  if (!config) return wrong(config.error().message);
  if (const auto works = registry::check_options(config->registries); !works) {
    return wrong(file + ": " + works.error().message);
  }
  return {.exit_code = 0, .text = file + ": ok\n" + config::describe(*config)};
}

}  // namespace

std::variant<Options, Stop> parse_options(std::span<const char* const> arguments,
                                          const config::Environment& environment) {
  Flags flags;
  std::string checked_file;
  CLI::App app("Stamps pod templates with the digests of their images at admission.",
               "tidemark-webhook");
  app.set_version_flag("--version", version_line("tidemark-webhook"));
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "Answer admission reviews");
  add_flags(*serve, flags);
  CLI::App* check =
      app.add_subcommand("check-config", "Read a configuration file and tell what it says");
  const CLI::App* schema =
      app.add_subcommand("schema", "Print the JSON Schema of the configuration file");
  CLI::App* manifest = app.add_subcommand("manifest", "Print the webhook configuration");
  manifest->add_option("--config", flags.config, "YAML configuration file: its kinds are added");
  check->add_option("file", checked_file, "YAML configuration file")->required();

  try {
    app.parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    const int code = app.exit(error, out, err);
    return code == 0 ? Stop{.exit_code = 0, .text = out.str()} : wrong(err.str());
  }
  if (manifest->parsed()) return print_manifest(flags.config, environment);
  if (schema->parsed()) return Stop{.exit_code = 0, .text = config::config_schema()};
  if (check->parsed()) return check_config(checked_file, environment);
  return to_options(flags, environment);
}

}  // namespace tidemark::webhook
