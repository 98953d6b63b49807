#include "webhook/program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/heaps.h"
#include "base/host_name.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/retry.h"
#include "base/shutdown.h"
#include "base/version.h"
#include "base/worker_pool.h"
#include "certs/keeper.h"
#include "cloud/logins.h"
#include "config/watcher.h"
#include "kube/api.h"
#include "kube/config.h"
#include "kube/events.h"
#include "kube/secrets.h"
#include "net/server.h"
#include "net/tls.h"
#include "registry/stack.h"
#include "webhook/admit.h"
#include "webhook/options.h"
#include "webhook/serve.h"
#include "webhook/template_schemas.h"

namespace tidemark::webhook {
namespace {

constexpr int kDone = 0;
constexpr int kCannotServe = 1;
constexpr int kWrongUsage = 2;

constexpr const char* kEventController = "tidemark.dev/webhook";
constexpr const char* kProgram = "tidemark-webhook";

// Lookups beside the first of a review: they wait for registries, not for processors. With two
// more references a review this serves 16 cold reviews at once.
constexpr std::size_t kLookupThreads = 32;
constexpr std::size_t kMaxQueuedLookups = 1024;

constexpr std::chrono::milliseconds kApiTimeout{5'000};

struct Api {
  std::unique_ptr<kube::Api> api;  // nullptr: there is no cluster to ask
  int exit_code = kDone;           // not kDone: the program ends
};

// Without a cluster the webhook still stamps: anonymously, and with the program's defaults.
Api connect(const Options& options, Metrics& metrics, const Logger& log) {
  const auto config = kube::discover_config({.path = options.kubeconfig, .context = ""});
  const bool needed =
      std::holds_alternative<SelfSigned>(options.certificate) || !options.kubeconfig.empty();
  if (!config && config.error().kind == ErrorKind::kNotFound && !needed) {
    log.warn("no cluster configuration: pull secrets and namespaces are not read",
             {{"cause", config.error().message}});
    return {};
  }
  if (!config) {
    log.error("cannot read the cluster configuration", {{"cause", config.error().message}});
    return {.api = nullptr, .exit_code = kWrongUsage};
  }
  auto api = kube::make_api(*config, user_agent(kProgram), metrics, log);
  if (!api) {
    log.error("cannot use the cluster configuration", {{"cause", api.error().message}});
    return {.api = nullptr, .exit_code = kWrongUsage};
  }
  return {.api = *std::move(api)};
}

// Asks until the API server answers once, and then what it keeps of the configured kinds: until
// then the program is not ready.
std::jthread await_api(kube::Api& api, TemplateSchemas& schemas, const workload::KindTable& kinds,
                       std::atomic<bool>& reached, const Logger& log) {
  return std::jthread([&api, &schemas, &kinds, &reached, log](const std::stop_token& stop) {
    RetrySchedule retry({}, std::random_device{}());
    while (!stop.stop_requested()) {
      const auto version = api.get("/version", Deadline::after(kApiTimeout), stop);
      if (version) {
        for (const workload::Kind& kind : kinds.all()) {
          (void)schemas.prunes(kind, Deadline::after(kApiTimeout));
        }
        reached = true;
        log.info("API server reached");
        return;
      }
      log.warn("API server not reached, trying again", {{"cause", version.error().message}});
      if (!sleep_for(retry.next(), stop)) return;
    }
  });
}

// What keeps the serving certificate fresh while the program runs: one of the two.
struct CertificateSource {
  std::unique_ptr<net::CertificateFileWatcher> files;
  std::unique_ptr<certs::CertificateKeeper> keeper;
  std::jthread thread;  // of the keeper; last: it ends before what it uses
};

CertificateSource start_keeper(const SelfSigned& options, net::ServerCertificate& target,
                               kube::Api& api, const Clock& clock, Metrics& metrics,
                               const Logger& log) {
  certs::KeeperOptions keeper_options{.secret_ns = options.service_namespace,
                                      .secret_name = options.secret_name,
                                      .webhook_configuration = options.webhook_configuration,
                                      .policy = certs::policy_for(options.lifetime),
                                      .seed = std::random_device{}()};
  // Certificates of a few minutes need looks more often.
  keeper_options.interval =
      std::min<std::chrono::milliseconds>(keeper_options.interval, options.lifetime / 12);
  keeper_options.policy.dns_names =
      certs::service_dns_names(options.service_name, options.service_namespace);
  CertificateSource source;
  source.keeper = std::make_unique<certs::CertificateKeeper>(api, clock, std::move(keeper_options),
                                                             target, metrics, log);
  source.thread = std::jthread([&keeper = *source.keeper, log](const std::stop_token& stop) {
    const auto ended = keeper.run(stop);
    if (!ended) log.error("certificate keeper ended", {{"cause", ended.error().message}});
  });
  return source;
}

// `api` is there where the certificate is self-signed (connect() sees to it).
Result<CertificateSource> keep_certificate(const Options& options, net::ServerCertificate& target,
                                           kube::Api* api, const Clock& clock, Metrics& metrics,
                                           const Logger& log) {
  if (const auto* self_signed = std::get_if<SelfSigned>(&options.certificate)) {
    return start_keeper(*self_signed, target, *api, clock, metrics, log);
  }
  const auto& files = std::get<CertificateFiles>(options.certificate);
  auto watcher = net::CertificateFileWatcher::start(
      {.certificate = files.certificate, .key = files.key}, target, log);
  if (!watcher) return fail(watcher.error());
  CertificateSource source;
  source.files = *std::move(watcher);
  return source;
}

// `config`: the one of the moment; what was told the API server stays as `options` has it.
AdmitOptions admit_options(const Options& options, const config::Config& config) {
  const config::WebhookConfig& webhook = config.webhook;
  return {.deadline = webhook.deadline,
          .policy = {.require = webhook.require,
                     .pin_on_rollback = webhook.pin_on_rollback,
                     .warn_on_latest = webhook.warn_on_latest},
          .defaults = config.defaults,
          .kinds = options.config.kinds,
          .sweeper_user = options.sweeper_user,
          .max_age = options.config.registries.cache_ttl};
}

// Secrets that `registries:` names; without a cluster there are none.
registry::ReadSecret secret_reader(kube::Api* api) {
  if (api == nullptr) return {};
  return [api](std::string_view ns, std::string_view name, Deadline deadline,
               const std::stop_token& stop) -> Result<registry::SecretData> {
    auto secret = kube::get_secret(*api, ns, name, deadline, stop);
    if (!secret) return fail(secret.error());
    return registry::SecretData{.type = std::move(secret->type), .data = std::move(secret->data)};
  };
}

registry::ResolverOptions resolver_options(const config::Config& config) {
  registry::ResolverOptions registries = config.registries;
  registries.user_agent = user_agent(kProgram);
  return registries;
}

int serve(const Options& options) {
  bound_heaps();
  ShutdownSignal shutdown;  // first: every thread below inherits its signal mask
  const Logger log = Logger::to_stderr(options.config.log_level);
  const SystemClock clock;
  Metrics metrics;
  export_build_info(metrics, "webhook");

  const Api cluster = connect(options, metrics, log);
  if (cluster.exit_code != kDone) return cluster.exit_code;
  kube::Api* api = cluster.api.get();
  std::atomic<bool> api_reached{api == nullptr};
  TemplateSchemas schemas(api, clock, metrics, log);
  std::jthread api_waiter;
  if (api != nullptr) {
    api_waiter = await_api(*api, schemas, options.config.kinds, api_reached, log);
  }

  const registry::ResolverOptions registries = resolver_options(options.config);
  auto logins = cloud::make_logins(registries, config::process_environment(), clock, log);
  if (!logins) {
    log.error("cannot use the registries' logins", {{"cause", logins.error().message}});
    return kWrongUsage;
  }
  kube::Api* const secrets_api = options.config.read_secrets ? api : nullptr;
  const auto resolver = registry::make_resolver(registries, clock, metrics, log, *std::move(logins),
                                                secret_reader(secrets_api));
  if (!resolver) {
    log.error("cannot use the registries' configuration", {{"cause", resolver.error().message}});
    return kWrongUsage;
  }

  net::ServerCertificate certificate;
  const auto source = keep_certificate(options, certificate, api, clock, metrics, log);
  if (!source) {
    log.error("cannot serve TLS", {{"cause", source.error().message}});
    return kCannotServe;
  }

  PullSecrets secrets(secrets_api, clock);
  Namespaces namespaces(api, clock, metrics, log);
  WorkerPool pool(kLookupThreads, kMaxQueuedLookups);
  std::unique_ptr<kube::EventRecorder> events;
  if (api != nullptr) {
    events = std::make_unique<kube::EventRecorder>(
        *api, clock, kube::EventOptions{.controller = kEventController, .instance = host_name()},
        metrics, log);
  }
  Admitter admitter(admit_options(options, options.config),
                    {.resolver = **resolver, .secrets = secrets, .pool = pool}, namespaces, schemas,
                    events.get(), clock, metrics, log);

  std::unique_ptr<config::ConfigWatcher> watcher;
  if (options.reload) {
    const auto apply = [&](const config::Config& config) -> Status {
      const registry::ResolverOptions next = resolver_options(config);
      auto fresh = cloud::make_logins(next, config::process_environment(), clock, log);
      if (!fresh) return fail(fresh.error());
      if (auto taken = (*resolver)->reload(next, *std::move(fresh)); !taken) return taken;
      admitter.use(admit_options(options, config));
      log.set_level(config.log_level);
      return {};
    };
    watcher = std::make_unique<config::ConfigWatcher>(
        options.config,
        config::ConfigWatcher::Program{
            .load = options.reload,
            .apply = apply,
            .live = {"registries", "addresses", "credentials.dockerConfigFile", "logLevel",
                     "defaults", "policies", "webhook.deadline", "webhook.require",
                     "webhook.pinOnRollback", "webhook.warnOnLatest"},
            .others = {"sweeper", "receivers", "notifications", "git"}},
        metrics, log);
    watcher->start();
  }

  const ReadyCheck ready = [&, stopping = shutdown.token()]() -> std::string {
    if (stopping.stop_requested()) return "shutting down";
    const bool has_certificate =
        source->keeper ? source->keeper->ready() : certificate.context() != nullptr;
    if (!has_certificate) return "no valid certificate yet";
    if (!api_reached) return "the API server was not reached yet";
    return "";
  };
  const auto ops =
      net::Server::start({.listen = options.config.ops_listen}, ops_handler(metrics, ready), log);
  if (!ops) {
    log.error("cannot listen for operations", {{"cause", ops.error().message}});
    return kCannotServe;
  }
  const auto server =
      net::Server::start({.listen = options.config.webhook.listen, .certificate = &certificate},
                         admission_handler(admitter), log);
  if (!server) {
    log.error("cannot listen for admissions", {{"cause", server.error().message}});
    return kCannotServe;
  }
  log.info("serving", {{"version", build_version()},
                       {"commit", build_commit()},
                       {"listen", options.config.webhook.listen},
                       {"ops_listen", options.config.ops_listen}});

  shutdown.wait();
  log.info("draining", {{"seconds", options.drain.count() / 1000}});
  drain(**server, options.drain, options.config.webhook.deadline);
  log.info("stopped");
  return kDone;
}

}  // namespace

int run(int argc, char** argv) {
  const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
  const auto parsed = parse_options(arguments, config::process_environment());
  if (const Stop* stop = std::get_if<Stop>(&parsed)) {
    (stop->exit_code == kDone ? std::cout : std::cerr) << stop->text;
    return stop->exit_code;
  }
  return serve(std::get<Options>(parsed));
}

}  // namespace tidemark::webhook
