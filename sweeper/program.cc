#include "sweeper/program.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>

#include "base/clock.h"
#include "base/heaps.h"
#include "base/host_name.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/shutdown.h"
#include "base/version.h"
#include "cloud/logins.h"
#include "config/watcher.h"
#include "kube/api.h"
#include "kube/config.h"
#include "kube/events.h"
#include "kube/lease.h"
#include "kube/secrets.h"
#include "net/server.h"
#include "net/tls.h"
#include "notify/notifier.h"
#include "push/payload.h"
#include "registry/stack.h"
#include "sweeper/ask_sweeper.h"
#include "sweeper/commands.h"
#include "sweeper/due.h"
#include "sweeper/git_loop.h"
#include "sweeper/inventory.h"
#include "sweeper/live_status.h"
#include "sweeper/ops.h"
#include "sweeper/options.h"
#include "sweeper/page.h"
#include "sweeper/receive.h"
#include "sweeper/run.h"
#include "sweeper/sinks.h"
#include "sweeper/sweep.h"
#include "sweeper/write_git.h"

namespace tidemark::sweeper {
namespace {

constexpr const char* kEventController = "tidemark.dev/sweeper";
constexpr const char* kProgram = "tidemark-sweeper";
// Nobody sends the ops port a body.
constexpr std::size_t kMaxOpsBodyBytes = 1024;
// Probes and scrapers: few, and none that should cost the sweeper its memory.
constexpr std::size_t kMaxOpsConnections = 32;
constexpr std::chrono::seconds kOpsStop{2};
// A browser opens up to six; those who look are few.
constexpr std::size_t kMaxPageConnections = 64;
constexpr std::chrono::seconds kProbe{5};
// Registries and build scripts; each of them seldom.
constexpr std::size_t kMaxReceiverConnections = 64;

int refuse(const Error& error, int code) {
  std::cerr << "tidemark-sweeper: " << error.message << "\n";
  return code;
}

// The parts of the program that outlive every command.
struct Parts {
  SystemClock clock;
  Metrics metrics;
  std::unique_ptr<kube::Api> api;
  std::unique_ptr<registry::ReloadableResolver> resolver;
};

registry::ResolverOptions resolver_options(const config::Config& config) {
  registry::ResolverOptions registries = config.registries;
  registries.user_agent = user_agent(kProgram);
  return registries;
}

// Secrets that `registries:` names.
registry::ReadSecret secret_reader(kube::Api& api) {
  return [&api](std::string_view ns, std::string_view name, Deadline deadline,
                const std::stop_token& stop) -> Result<registry::SecretData> {
    auto secret = kube::get_secret(api, ns, name, deadline, stop);
    if (!secret) return fail(secret.error());
    return registry::SecretData{.type = std::move(secret->type), .data = std::move(secret->data)};
  };
}

Status build(Parts& parts, Options& options, const Logger& log) {
  auto cluster = kube::discover_config(options.kubeconfig);
  if (!cluster) return fail(cluster.error());
  if (options.own_namespace_only) options.selection.namespaces = {cluster->default_namespace};
  if (options.target.ns.empty()) options.target.ns = cluster->default_namespace;
  if (options.completion.ns.empty()) options.completion.ns = cluster->default_namespace;
  auto api = kube::make_api(std::move(*cluster), user_agent(kProgram), parts.metrics, log);
  if (!api) return fail(api.error());
  parts.api = std::move(*api);
  const registry::ResolverOptions registries = resolver_options(options.config);
  auto logins = cloud::make_logins(registries, config::process_environment(), parts.clock, log);
  if (!logins) return fail(logins.error());
  auto resolver = registry::make_resolver(
      registries, parts.clock, parts.metrics, log, std::move(*logins),
      options.config.read_secrets ? secret_reader(*parts.api) : registry::ReadSecret{});
  if (!resolver) return fail(resolver.error());
  parts.resolver = std::move(*resolver);
  return {};
}

// Follows the configuration file while the program sweeps: how registries are asked, and how much
// is logged. A sweep goes by the rest from its beginning to the program's end.
std::unique_ptr<config::ConfigWatcher> follow_config(Parts& parts, const Options& options,
                                                     const Logger& log) {
  if (!options.reload) return nullptr;
  const auto apply = [&parts, log](const config::Config& config) -> Status {
    const registry::ResolverOptions next = resolver_options(config);
    auto logins = cloud::make_logins(next, config::process_environment(), parts.clock, log);
    if (!logins) return fail(logins.error());
    if (auto taken = parts.resolver->reload(next, std::move(*logins)); !taken) return taken;
    log.set_level(config.log_level);
    return {};
  };
  auto watcher = std::make_unique<config::ConfigWatcher>(
      options.config,
      config::ConfigWatcher::Program{
          .load = options.reload,
          .apply = apply,
          .live = {"registries", "addresses", "credentials.dockerConfigFile", "logLevel"},
          .others = {"webhook"}},
      parts.metrics, log);
  watcher->start();
  return watcher;
}

// Others neither tell anything nor can read what the sinks' files hold.
bool sweeps(const Options& options) {
  return options.command == Command::kRun ||
         (options.command == Command::kOnce && !options.dry_run);
}

// Waits until the API server answers. A replica that stands by must be ready, or a rolling update
// of the sweeper itself would wait for ever; but only once it could take over.
void wait_for_api(const SweepContext& context, const RunOptions& options, Readiness& readiness,
                  const std::stop_token& stop) {
  RetrySchedule backoff(options.backoff, options.seed);
  while (!stop.stop_requested()) {
    const auto version = context.api.get("/version", Deadline::after(kProbe), stop);
    if (version) return;
    context.log.warn("waiting for the API server", {{"cause", version.error().message}});
    readiness.failed(version.error().message);
    (void)sleep_for(backoff.next(), stop);
  }
}

// Where pushes are announced, if anywhere. Members are destroyed in reverse: first the server,
// whose handlers use what stands before it.
struct PushEndpoint {
  std::optional<Due> due;
  std::optional<Due> git_due;
  std::unique_ptr<Receiver> receiver;
  net::ServerCertificate certificate;
  std::unique_ptr<net::CertificateFileWatcher> watcher;
  std::unique_ptr<net::Server> server;

  void leading(bool yes) const {
    if (receiver) receiver->leading(yes);
  }
};

Status listen_for_pushes(const config::ReceiversConfig& config, const Clock& clock,
                         Metrics& metrics, const Logger& log, PushEndpoint& out) {
  if (config.listen.empty()) return {};
  out.due.emplace(clock);
  out.git_due.emplace(clock);
  auto receiver = Receiver::make(config.sources, {&*out.due, &*out.git_due}, clock, metrics, log);
  if (!receiver) return fail(receiver.error());
  out.receiver = std::move(*receiver);
  if (config.certificate_file) {
    auto watcher = net::CertificateFileWatcher::start(
        {.certificate = *config.certificate_file, .key = *config.key_file}, out.certificate, log);
    if (!watcher) return fail(watcher.error());
    out.watcher = std::move(*watcher);
  }
  auto server = net::Server::start(
      {.listen = config.listen,
       .certificate = out.watcher ? &out.certificate : nullptr,
       .max_body_bytes = push::kMaxBodyBytes,
       .max_buffered_bytes = 4 * push::kMaxBodyBytes,
       .soft_max_connections = kMaxReceiverConnections,
       .hard_max_connections = 2 * kMaxReceiverConnections},
      [receiver = out.receiver.get()](const net::ServerRequest& request) {
        return receiver->answer(request);
      },
      log);
  if (!server) return fail(server.error());
  out.server = std::move(*server);
  return {};
}

// The status page, if anywhere. Members are destroyed in reverse: first the server.
struct PageEndpoint {
  std::jthread tidying;  // lets go of what nobody reads any more
  std::unique_ptr<net::Server> server;
};

Status serve_page(const std::string& listen, LiveStatus* live, const Logger& log,
                  PageEndpoint& out) {
  if (listen.empty()) return {};
  auto server = net::Server::start(
      {.listen = listen,
       .max_body_bytes = kMaxOpsBodyBytes,
       .soft_max_connections = kMaxPageConnections,
       .hard_max_connections = 2 * kMaxPageConnections},
      [live](const net::ServerRequest& request) { return answer_page(request, *live); }, log);
  if (!server) return fail(server.error());
  out.server = std::move(*server);
  out.tidying = std::jthread([live](const std::stop_token& stop) {
    while (sleep_for(kRowsAreKept / 2, stop)) live->let_go();
  });
  log.info("the status page is served", {{"port", out.server->port()}});
  return {};
}

GitLoop git_loop(const SweepContext& context, const Options& options, Metrics& metrics) {
  const config::GitConfig& git = options.config.git;
  return {context.api,
          context.clock,
          context.log,
          GitWriter(context.api, context.resolver, context.clock, metrics, context.log,
                    {.interval = git.interval,
                     .folder = git.folder,
                     .user_agent = user_agent(kProgram),
                     .read_secrets = options.config.read_secrets}),
          plan_of(options.config.policies, git),
          git.flux};
}

// Who writes to Git, beside the sweeps: a server that is slow there holds up nothing here.
struct Writing {
  GitLoop loop;
  std::chrono::milliseconds interval;
  Due& due;
};

void watch_and_sweep(SweepContext context, RunOptions options, Readiness& readiness,
                     LiveStatus* live, Writing* git, const std::stop_token& stop) {
  std::jthread writing;
  if (git != nullptr) {
    writing = std::jthread(
        [git](const std::stop_token& over) { git->loop.run(git->interval, git->due, over); });
  }
  const std::stop_callback both(stop, [&writing] { writing.request_stop(); });
  PullCredentials credentials = pull_credentials(context, options.sweep);
  context.credentials = &credentials;
  TagChoices choices;
  context.choices = &choices;
  Inventory inventory(context.api,
                      {.kinds = options.sweep.kinds,
                       .selection = options.sweep.selection,
                       .defaults = options.sweep.defaults,
                       .pods = live != nullptr,
                       .seed = options.seed},
                      context.log);
  const Source source = [&inventory, due = options.due](const std::stop_token& asked) {
    auto collected = inventory.snapshot(asked);
    if (collected && due != nullptr) due->know(references_of(collected->workloads));
    return collected;
  };
  const Pause pause = [due = options.due](std::chrono::milliseconds time,
                                          const std::stop_token& asked) {
    return due == nullptr ? sleep_for(time, asked) : due->wait(time, asked);
  };
  if (live != nullptr) {
    live->lead(inventory);
    options.learned = [live](const SweepReport& report, bool whole) {
      live->learned(report, whole);
    };
  }
  run_sweeps(context, options, source, readiness, pause, stop);
  if (live != nullptr) live->stand_by();
}

void sweep_while_leading(const SweepContext& context, const Options& options,
                         const RunOptions& run_options, const PushEndpoint& pushes,
                         Readiness& readiness, LiveStatus* live, Writing* git,
                         const std::string& status_annotation, Metrics& metrics,
                         const std::stop_token& stop) {
  kube::LeaderElection election(
      context.api, context.clock,
      {.ns = options.system_namespace,
       .name = std::string(kLeaseName),
       .identity = options.identity.empty() ? host_name() : options.identity,
       .annotations = {{kStatusAnnotation, status_annotation}}},
      metrics, context.log);
  readiness.standing_by(true);
  pushes.leading(false);
  election.run(stop, [&](const std::stop_token& lost) {
    readiness.standing_by(false);
    pushes.leading(true);
    watch_and_sweep(context, run_options, readiness, live, git, lost);
    pushes.leading(false);
    readiness.standing_by(true);
  });
}

int serve_and_sweep(const SweepContext& context, const Options& options, Metrics& metrics,
                    const std::stop_token& stop) {
  RunOptions run_options{.sweep = sweep_options(options),
                         .interval = options.config.sweeper.interval,
                         .schedule = options.config.sweeper.schedule,
                         .seed = std::random_device{}()};
  Readiness readiness(context.clock, readiness_patience(run_options, context.clock.wall_now()));
  // Only the Lease says where `status` is answered.
  const bool answers_status = options.leader_elect && options.config.sweeper.serve_status;
  std::optional<LiveStatus> served;
  if (answers_status || !options.config.sweeper.ui_listen.empty()) {
    served.emplace(context, run_options.sweep);
  }
  LiveStatus* live = served ? &*served : nullptr;
  LiveStatus* asked = answers_status ? live : nullptr;
  auto ops = net::Server::start(
      {.listen = options.config.ops_listen,
       .max_body_bytes = kMaxOpsBodyBytes,
       .soft_max_connections = kMaxOpsConnections,
       .hard_max_connections = 2 * kMaxOpsConnections},
      [&readiness, &metrics, asked](const net::ServerRequest& request) {
        return answer_ops(request, readiness, metrics, asked);
      },
      context.log);
  if (!ops) return refuse(ops.error(), kExitUsage);
  PageEndpoint page;
  if (auto serving = serve_page(options.config.sweeper.ui_listen, live, context.log, page);
      !serving) {
    return refuse(serving.error(), kExitUsage);
  }
  PushEndpoint pushes;
  if (auto listening =
          listen_for_pushes(options.config.receivers, context.clock, metrics, context.log, pushes);
      !listening) {
    return refuse(listening.error(), kExitUsage);
  }
  if (pushes.due) run_options.due = &*pushes.due;
  Due nothing_pushed(context.clock);
  std::optional<Writing> writing;
  if (options.config.git.writes() && !options.dry_run) {
    writing.emplace(git_loop(context, options, metrics), options.config.git.interval,
                    pushes.git_due ? *pushes.git_due : nothing_pushed);
  }
  Writing* git = writing ? &*writing : nullptr;
  context.log.info("started", {{"version", build_version()},
                               {"commit", build_commit()},
                               {"interval_milliseconds", run_options.interval.count()},
                               {"dry_run", options.dry_run},
                               {"leader_elect", options.leader_elect}});
  wait_for_api(context, run_options, readiness, stop);
  if (options.leader_elect) {
    sweep_while_leading(context, options, run_options, pushes, readiness, live, git,
                        asked == nullptr ? "" : asked->announcement((*ops)->port()), metrics, stop);
  } else {
    watch_and_sweep(context, run_options, readiness, live, git, stop);
  }
  readiness.stopping();
  if (pushes.server) pushes.server->stop(Deadline::after(kOpsStop));
  if (page.server) page.server->stop(Deadline::after(kOpsStop));
  (*ops)->stop(Deadline::after(kOpsStop));
  context.log.info("stopped");
  return kExitOk;
}

int run_command(Parts& parts, const SweepContext& context, const Options& options,
                const std::stop_token& stop) {
  const Streams streams{std::cout, std::cerr, reader_of_stdout_is_gone};
  switch (options.command) {
    case Command::kRun: {
      const auto watcher = follow_config(parts, options, context.log);
      return serve_and_sweep(context, options, parts.metrics, stop);
    }
    case Command::kOnce:
      return once(context, options, streams, stop);
    case Command::kStatus:
      return status(context, options, streams, stop);
    case Command::kExplain:
      return explain(context, options, streams, stop);
    case Command::kPolicy:
      return policies(context, options, streams, stop);
    case Command::kGit: {
      GitLoop loop = git_loop(context, options, parts.metrics);
      return write_git(loop, options, streams, stop);
    }
    case Command::kHistory:
      return history(context, options, streams, stop);
    case Command::kHold:
      return hold(context, options, streams, stop);
    case Command::kResume:
      return resume(context, options, streams, stop);
    case Command::kMigrate:
      return migrate(context, options, streams, stop);
    case Command::kComplete:
      break;
  }
  return kExitUsage;
}

}  // namespace

int run(int argc, char** argv) {
  bound_heaps();
  auto parsed = parse_options(argc, argv, config::process_environment(), std::cout, std::cerr);
  if (const Exit* exit = std::get_if<Exit>(&parsed); exit != nullptr) return exit->code;
  Options& options = std::get<Options>(parsed);
  const ShutdownSignal shutdown;
  const Logger log = Logger::to_stderr(options.config.log_level);
  Parts parts;
  if (auto built = build(parts, options, log); !built) {
    if (options.command != Command::kComplete) return refuse(built.error(), kExitUsage);
    std::cout << directive_line(options.completion);
    return kExitOk;
  }
  if (options.command == Command::kComplete) {
    return complete_names(*parts.api, options, std::cout, shutdown.token());
  }
  export_build_info(parts.metrics, "sweeper");
  SweepMetrics sweep_metrics(parts.metrics, options.config.sweeper.max_rollouts);
  kube::EventRecorder events(
      *parts.api, parts.clock,
      {.controller = kEventController,
       .instance = options.identity.empty() ? host_name() : options.identity},
      parts.metrics, log);
  std::unique_ptr<notify::Notifier> notifier;
  if (sweeps(options)) {
    auto made = make_notifier(options.config.notifications, user_agent(kProgram), parts.clock,
                              parts.metrics, log);
    if (!made) return refuse(made.error(), kExitUsage);
    notifier = std::move(*made);
  }
  const SweepContext context{.api = *parts.api,
                             .resolver = *parts.resolver,
                             .clock = parts.clock,
                             .metrics = sweep_metrics,
                             .log = log,
                             .events = &events,
                             .audience = notifier.get()};
  const int code = run_command(parts, context, options, shutdown.token());
  std::cout.flush();
  if (std::cout) return code;
  return refuse(
      {ErrorKind::kUnavailable, "not all of the answer could be written: its reader is gone"},
      kExitMovedOrFailed);
}

}  // namespace tidemark::sweeper
