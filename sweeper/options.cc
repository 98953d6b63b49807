// g++ 12 at -O2 sees null pointers in CLI11's vectors of strings that cannot be there.
#pragma GCC diagnostic ignored "-Wnull-dereference"

#include "sweeper/options.h"

#include <CLI/CLI.hpp>
#include <ostream>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/version.h"
#include "registry/stack.h"
#include "sweeper/manifest.h"
#include "workload/duration.h"

namespace tidemark::sweeper {
namespace {

// A registry that is asked more often than this for the same tags will limit us, and rightly.
constexpr std::chrono::milliseconds kMinInterval{1'000};

// What the flags say, before the configuration file below them is known.
struct Flags {
  std::string config_file;
  std::string kubeconfig;
  std::string context;
  std::string log_level;
  std::vector<std::string> namespaces;
  std::vector<std::string> excluded;
  bool all_namespaces = false;
  std::string label_selector;
  std::string field_selector;
  std::string interval;
  std::string schedule;
  std::string ops_listen;
  std::string ui_listen;
  std::string output = "table";
  std::string target;
  bool dry_run = false;
  bool watch = false;
  bool quiet = false;
  std::string asked_of = "auto";
  bool verbose = false;
  std::vector<std::string> targets;
  std::string exit_code;
  bool leader_elect = false;
  bool no_leader_elect = false;
  std::string system_namespace;
  std::vector<std::string> slots;
  std::string digest;
  std::string reason;
  std::string until;
  std::string hold_for;
  std::vector<std::string> from;
  bool apply = false;
  bool remove = false;
  bool unpin = false;
  std::string shell;
  std::string checked_file;
};

void add_selection(CLI::App& command, Flags& flags) {
  auto* all = command.add_flag("-A,--all-namespaces", flags.all_namespaces, "all namespaces");
  command.add_option("-n,--namespace", flags.namespaces, "only these namespaces")
      ->delimiter(',')
      ->excludes(all);
  command
      .add_option("-x,--exclude-namespace", flags.excluded,
                  "not these namespaces, but all others (or of those of -n)")
      ->delimiter(',');
  command.add_option("-l,--selector", flags.label_selector, "only workloads with these labels");
  command.add_option("--field-selector", flags.field_selector, "only workloads with these fields");
}

void add_dry_run(CLI::App& command, Flags& flags) {
  command.add_flag("--dry-run", flags.dry_run, "plan only, write nothing");
}

CLI::Option* add_target(CLI::App& command, Flags& flags, const char* what = "KIND/NAME") {
  command.add_option("-n,--namespace", flags.namespaces, "its namespace")->expected(1);
  return command.add_option("target", flags.target, what)->required();
}

void add_output(CLI::App& command, Flags& flags) {
  command.add_option("-o,--output", flags.output, "how it is printed")
      ->type_name("table|json|yaml");
}

// hold and resume.
void add_order(CLI::App& command, Flags& flags) {
  add_output(command, flags);
  auto* target = add_target(command, flags, "KIND/NAME, or namespace/NAME")->required(false);
  command.add_flag("-A,--all-namespaces", flags.all_namespaces, "the whole cluster")
      ->excludes(target);
  command
      .add_option("--slot", flags.slots,
                  "only these containers, or volume/NAME; all of them if none is named")
      ->delimiter(',');
  command.add_flag("--dry-run", flags.dry_run, "tell what would change, write nothing");
}

void add_migrate(CLI::App& command, Flags& flags) {
  add_selection(command, flags);
  add_output(command, flags);
  command.add_option("--from", flags.from, "only what these programs were told (default: all)")
      ->delimiter(',')
      ->type_name("figwasp|kube-autorollout|imago|k8s-digester|keel");
  command.add_flag("--apply", flags.apply,
                   "write it: annotations of the workloads themselves, nothing rolls for them");
  command.add_flag("--remove", flags.remove,
                   "take the other program's keys away, where all they ask for is translated");
  command.add_flag("--unpin", flags.unpin,
                   "write images without the digest that another program added: with --apply this "
                   "ROLLS every workload whose image is changed; a pin that may be your own only "
                   "with --from");
}

struct Commands {
  CLI::App* run = nullptr;
  CLI::App* once = nullptr;
  CLI::App* status = nullptr;
  CLI::App* explain = nullptr;
  CLI::App* policy = nullptr;
  CLI::App* git = nullptr;
  CLI::App* history = nullptr;
  CLI::App* hold = nullptr;
  CLI::App* resume = nullptr;
  CLI::App* migrate = nullptr;
  CLI::App* manifest = nullptr;
  CLI::App* check = nullptr;
  CLI::App* completion = nullptr;
};

Commands declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", version_line("tidemark-sweeper"));
  app.add_option("--config", flags.config_file, "YAML configuration file; flags override it");
  app.add_option("--kubeconfig", flags.kubeconfig,
                 "kubeconfig file (default: $KUBECONFIG, the pod's own account, ~/.kube/config)");
  app.add_option("--context", flags.context, "context of the kubeconfig");
  app.add_option("--system-namespace", flags.system_namespace,
                 "Tidemark's own namespace (default: $POD_NAMESPACE, tidemark-system)");
  app.add_option("--log-level", flags.log_level, "how much is logged")
      ->type_name("debug|info|warn|error|off");
  app.require_subcommand(0, 1);  // none is told by parse_options: CLI11 would not name a wrong one
  app.fallthrough();

  Commands commands;
  commands.run = app.add_subcommand("run", "sweep at an interval until stopped");
  add_selection(*commands.run, flags);
  add_dry_run(*commands.run, flags);
  commands.run->add_option("--interval", flags.interval, "time between sweeps, such as 60s");
  commands.run
      ->add_option("--schedule", flags.schedule,
                   "when to sweep instead: cron, with seconds in front if there are six fields, "
                   "such as \"0 */5 * * * *\"")
      ->excludes("--interval");
  commands.run->add_option("--ops-listen", flags.ops_listen,
                           "address of /healthz, /readyz and /metrics");
  commands.run->add_option("--ui-listen", flags.ui_listen,
                           "address of the status page, such as 127.0.0.1:8082 (default: none)");
  auto* elect = commands.run->add_flag("--leader-elect", flags.leader_elect,
                                       "sweep only while leading (default where $POD_NAMESPACE "
                                       "is set)");
  commands.run->add_flag("--no-leader-elect", flags.no_leader_elect, "sweep without a Lease")
      ->excludes(elect);

  commands.once = app.add_subcommand("once", "sweep once and print what was done");
  add_selection(*commands.once, flags);
  add_dry_run(*commands.once, flags);
  add_output(*commands.once, flags);
  commands.once->add_flag("--exit-code", flags.exit_code,
                          "exit with 1 where something moved or failed; --exit-code=failed: where "
                          "something failed");
  commands.once->add_flag("-q,--quiet", flags.quiet,
                          "do not show on a terminal how far it is; -o json and yaml never do");

  commands.status = app.add_subcommand(
      "status", "show every tag with its stamp, the registry's digest and what runs");
  add_selection(*commands.status, flags);
  add_output(*commands.status, flags);
  auto* watch =
      commands.status->add_flag("-w,--watch", flags.watch, "go on, and show what changes");
  commands.status
      ->add_option("--interval", flags.interval, "of --watch: time between looks, such as 60s")
      ->needs(watch);
  commands.status->add_option("target", flags.targets, "KIND/NAME: only these");
  commands.status
      ->add_option(
          "--from", flags.asked_of,
          "who is asked: the running sweeper if it can answer, else the API server and the "
          "registries; or one of them alone")
      ->type_name("auto|sweeper|api");
  commands.status->add_flag("-v,--verbose", flags.verbose, "tell who answered");

  commands.explain =
      app.add_subcommand("explain", "tell what a sweep would do with one workload, and why");
  add_target(*commands.explain, flags);
  add_output(*commands.explain, flags);

  commands.policy = app.add_subcommand(
      "policy", "show which tag each tag policy picks, from how many, and why not that");
  add_selection(*commands.policy, flags);
  add_output(*commands.policy, flags);

  commands.git = app.add_subcommand(
      "git", "write what the configuration's policies choose into its Git repositories");
  add_output(*commands.git, flags);
  commands.git->add_flag("--dry-run", flags.dry_run, "push nothing: print what would change");
  commands.git->add_flag("--exit-code", flags.exit_code,
                         "exit with 1 where something changed or failed; --exit-code=failed: where "
                         "something failed");

  commands.history = app.add_subcommand("history", "print the recorded history of one workload");
  add_target(*commands.history, flags);
  add_output(*commands.history, flags);

  commands.hold =
      app.add_subcommand("hold", "do not roll a workload, those of a namespace, or any");
  add_order(*commands.hold, flags);
  commands.hold->add_option("--reason", flags.reason, "why, for those who look later");
  auto* until = commands.hold->add_option("--until", flags.until,
                                          "when it ends by itself, such as 2026-12-01T06:00:00Z");
  auto* hold_for =
      commands.hold->add_option("--for", flags.hold_for, "the same as a duration, such as 48h")
          ->excludes(until);
  commands.hold
      ->add_option("--digest", flags.digest,
                   "hold only this digest (sha256:...) of the one --slot, until the tag moves on")
      ->excludes(until)
      ->excludes(hold_for);

  commands.resume = app.add_subcommand("resume", "take a hold back, also that of a rollback");
  add_order(*commands.resume, flags);

  commands.migrate = app.add_subcommand(
      "migrate", "tell what other programs were told, in Tidemark's words; --apply writes it");
  add_migrate(*commands.migrate, flags);

  commands.completion =
      app.add_subcommand("completion", "print what makes a shell complete this program's commands");
  commands.completion->add_option("shell", flags.shell, "which shell")
      ->required()
      ->type_name("bash|zsh|fish");

  commands.manifest = app.add_subcommand(
      "manifest", "print the rights that the configuration's kinds need, to be applied");

  commands.check =
      app.add_subcommand("check-config", "read a configuration file and tell what it says");
  commands.check->add_option("file", flags.checked_file, "YAML configuration file")->required();
  return commands;
}

Result<config::Config> merge_config(const Flags& flags, const config::Environment& environment,
                                    Command command) {
  config::Config config;
  if (!flags.config_file.empty()) {
    auto loaded = config::load_config(flags.config_file, environment);
    if (!loaded) return loaded;
    config = std::move(*loaded);
  }
  // Who runs a command by hand reads its answer, not its log.
  if (command != Command::kRun) config.log_level = LogLevel::kWarn;
  if (!flags.log_level.empty()) {
    const auto level = parse_log_level(flags.log_level);
    if (!level) return fail(within("--log-level", level.error()));
    config.log_level = *level;
  }
  if (!flags.interval.empty()) {
    const auto interval = workload::parse_duration(flags.interval);
    if (!interval) return fail(within("--interval", interval.error()));
    config.sweeper.interval = *interval;
    config.sweeper.schedule.reset();
  }
  if (!flags.schedule.empty()) {
    const auto schedule = Cron::parse(flags.schedule);
    if (!schedule) return fail(within("--schedule", schedule.error()));
    config.sweeper.schedule = *schedule;
  }
  if (config.sweeper.interval < kMinInterval) {
    return fail(ErrorKind::kInvalid, "--interval: at least 1s");
  }
  if (!flags.ops_listen.empty()) config.ops_listen = flags.ops_listen;
  if (!flags.ui_listen.empty()) config.sweeper.ui_listen = flags.ui_listen;
  return config;
}

Status select(const Flags& flags, Options& out) {
  Selection& selection = out.selection;
  selection = configured_selection(out.config.sweeper);
  for (const std::string& ns : flags.excluded) {
    if (!workload::is_dns_label(ns)) {
      return fail(ErrorKind::kInvalid, "--exclude-namespace: " + brief_quote(ns) + " is no name");
    }
  }
  if (!flags.excluded.empty()) selection.excluded = flags.excluded;
  if (!flags.label_selector.empty()) selection.label_selector = flags.label_selector;
  if (!flags.field_selector.empty()) selection.field_selector = flags.field_selector;
  if (flags.all_namespaces) selection.namespaces.clear();
  if (!flags.namespaces.empty()) selection.namespaces = flags.namespaces;
  const bool by_hand = out.command == Command::kOnce || out.command == Command::kStatus ||
                       out.command == Command::kPolicy || out.command == Command::kMigrate;
  out.own_namespace_only =
      by_hand && selection.namespaces.empty() && !flags.all_namespaces && flags.excluded.empty();
  return {};
}

void elect(const Flags& flags, const config::Environment& environment, Options& out) {
  const auto pod_namespace = environment("POD_NAMESPACE");
  out.leader_elect = flags.leader_elect || (pod_namespace && !flags.no_leader_elect);
  out.system_namespace = flags.system_namespace.empty() ? pod_namespace.value_or("tidemark-system")
                                                        : flags.system_namespace;
  out.identity = environment("POD_NAME").value_or("");
}

Result<Target> parse_order_target(std::string_view text, const workload::KindTable& kinds) {
  for (const std::string_view prefix : {"namespace/", "namespaces/", "ns/"}) {
    if (!text.starts_with(prefix)) continue;
    const std::string_view name = text.substr(prefix.size());
    if (!workload::is_dns_label(name)) break;
    return Target{.kind = &namespace_kind(), .ns = "", .name = std::string(name)};
  }
  return parse_target(text, kinds);
}

// Of hold and resume.
Result<Target> read_order_target(const Flags& flags, const Options& options) {
  if (!flags.digest.empty() && flags.all_namespaces) {
    return fail(ErrorKind::kInvalid, "--digest: of one workload alone");
  }
  if (flags.all_namespaces) {
    return Target{
        .kind = &namespace_kind(), .ns = "", .name = options.system_namespace, .is_cluster = true};
  }
  if (flags.target.empty()) {
    return fail(ErrorKind::kInvalid, "name what is meant: KIND/NAME, namespace/NAME, or -A");
  }
  auto target = parse_order_target(flags.target, options.config.kinds);
  if (target && target->kind == &namespace_kind() && !flags.digest.empty()) {
    return fail(ErrorKind::kInvalid, "--digest: of one workload alone");
  }
  return target;
}

Status read_order(const Flags& flags, HoldRequest& out) {
  out.slots = {flags.slots.begin(), flags.slots.end()};
  out.reason = flags.reason;
  if (!flags.digest.empty()) {
    auto digest = image::Digest::parse(flags.digest);
    if (!digest) return fail(within("--digest", digest.error()));
    if (out.slots.size() != 1) {
      return fail(ErrorKind::kInvalid, "--digest: name the one container with --slot");
    }
    out.digest = std::move(*digest);
  }
  if (!flags.until.empty()) {
    const auto until = parse_rfc3339(flags.until);
    if (!until) return fail(within("--until", until.error()));
    out.until = *until;
  }
  if (!flags.hold_for.empty()) {
    const auto duration = workload::parse_duration(flags.hold_for);
    if (!duration) return fail(within("--for", duration.error()));
    out.until = std::chrono::system_clock::now() + *duration;
  }
  if (out.until && *out.until <= std::chrono::system_clock::now()) {
    return fail(ErrorKind::kInvalid, "the hold would be over already");
  }
  return {};
}

Status read_status_flags(const Flags& flags, Options& out) {
  if (flags.asked_of == "sweeper") {
    out.asked_of = AskedOf::kSweeper;
  } else if (flags.asked_of == "api") {
    out.asked_of = AskedOf::kApi;
  } else if (flags.asked_of != "auto") {
    return fail(ErrorKind::kInvalid,
                "--from: " + brief_quote(flags.asked_of) + " is none of auto, sweeper, api");
  }
  out.verbose = flags.verbose;
  out.watch = flags.watch;
  for (const std::string& text : flags.targets) {
    auto target = parse_target(text, out.config.kinds);
    if (!target) return fail(target.error());
    out.only.push_back(std::move(*target));
  }
  return {};
}

// CLI11 gives "true" for the bare flag.
Result<ExitCode> parse_exit_code(std::string_view text) {
  if (text.empty()) return ExitCode::kNone;
  if (text == "true") return ExitCode::kMovedOrFailed;
  if (text == "failed") return ExitCode::kFailed;
  return fail(ErrorKind::kInvalid, "--exit-code: alone, or --exit-code=failed");
}

Status complete(const Flags& flags, const config::Environment& environment, Options& out) {
  const auto load = [flags, environment, command = out.command] {
    return merge_config(flags, environment, command);
  };
  auto merged = load();
  if (!merged) return fail(merged.error());
  out.config = std::move(*merged);
  if (!flags.config_file.empty()) out.reload = load;
  if (out.command == Command::kGit && !out.config.git.writes()) {
    return fail(ErrorKind::kInvalid,
                "git: the configuration (--config) names no git.repositories, and no git.flux");
  }
  if (auto selected = select(flags, out); !selected) return selected;
  elect(flags, environment, out);
  const auto format = parse_format(flags.output);
  if (!format) return fail(within("--output", format.error()));
  out.format = *format;
  out.dry_run = flags.dry_run;
  if (auto read = read_status_flags(flags, out); !read) return read;
  out.terminal = terminal_of_stdout(environment);
  if (out.command == Command::kOnce && !flags.quiet && out.format == Format::kTable) {
    out.progress = terminal_of_stderr(environment);
  }
  const auto exit_code = parse_exit_code(flags.exit_code);
  if (!exit_code) return fail(exit_code.error());
  out.exit_code = *exit_code;
  out.kubeconfig = {.path = flags.kubeconfig, .context = flags.context};
  const bool order = out.command == Command::kHold || out.command == Command::kResume;
  if (order) {
    if (auto read = read_order(flags, out.hold); !read) return read;
  }
  if (out.command == Command::kMigrate) {
    auto from = parse_peers(flags.from);
    if (!from) return fail(within("--from", from.error()));
    out.migrate = {.from = std::move(*from),
                   .apply = flags.apply,
                   .remove = flags.remove,
                   .unpin = flags.unpin};
  }
  if (order || out.command == Command::kExplain || out.command == Command::kHistory) {
    auto target =
        order ? read_order_target(flags, out) : parse_target(flags.target, out.config.kinds);
    if (!target) return fail(target.error());
    out.target = std::move(*target);
    if (!flags.namespaces.empty()) out.target.ns = flags.namespaces.front();
  }
  return {};
}

// kubernetes-image-sync and imago are called with Go's flags, which take one dash as well: scripts
// that call them so need not change. CLI11 would read "-all-namespaces" as the flags -a, -l and so
// on.
std::string with_two_dashes(std::string_view argument) {
  for (const std::string_view name :
       {"-all-namespaces", "-field-selector", "-kubeconfig", "-dry-run"}) {
    if (argument == name || (argument.starts_with(name) && argument[name.size()] == '=')) {
      return "-" + std::string(argument);
    }
  }
  return std::string(argument);
}

// It is half a command line: what could be read is in the flags, whatever is wrong with the rest.
void read_flags(CLI::App& app, const std::vector<std::string>& words) {
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError&) {
    return;
  }
}

// `words`: those behind __complete, the last of which is to be completed.
std::variant<Options, Exit> complete_words(CLI::App& app, const Flags& flags,
                                           std::vector<std::string> words,
                                           const config::Environment& environment,
                                           std::ostream& out) {
  Options options;
  options.command = Command::kComplete;
  const std::string last = words.empty() ? "" : words.back();
  if (!words.empty()) words.pop_back();
  read_flags(app, words);
  if (auto merged = merge_config(flags, environment, options.command)) {
    options.config = std::move(*merged);
  }
  options.config.log_level = LogLevel::kOff;
  options.kubeconfig = {.path = flags.kubeconfig, .context = flags.context};
  options.completion = complete_word(app, words, last, options.config.kinds);
  if (!flags.namespaces.empty()) options.completion.ns = flags.namespaces.front();
  for (const std::string& candidate : options.completion.candidates) out << candidate << "\n";
  if (options.completion.kind != nullptr) return options;
  out << directive_line(options.completion);
  return Exit{kExitOk};
}

int check_config(const std::string& file, const config::Environment& environment, std::ostream& out,
                 std::ostream& err) {
  const auto config = config::load_config(file, environment);
  const Status works = config ? registry::check_options(config->registries) : Status{};
  if (!config || !works) {
    err << "tidemark-sweeper: "
        << (config ? file + ": " + works.error().message : config.error().message) << "\n";
    return kExitUsage;
  }
  out << file << ": ok\n" << config::describe(*config);
  return kExitOk;
}

int print_script(const std::string& shell, std::ostream& out, std::ostream& err) {
  const auto script = completion_script(shell);
  if (!script) {
    err << script.error().message << "\n";
    return kExitUsage;
  }
  out << *script;
  return kExitOk;
}

}  // namespace

Selection configured_selection(const config::SweeperConfig& config) {
  return {.namespaces = config.namespaces,
          .excluded = config.exclude_namespaces,
          .label_selector = config.label_selector,
          .field_selector = config.field_selector};
}

Result<Target> parse_target(std::string_view text, const workload::KindTable& kinds) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash + 1 == text.size()) {
    return fail(ErrorKind::kInvalid,
                "\"" + std::string(text) + "\" is not KIND/NAME, such as deployment/web");
  }
  const workload::Kind* kind = kinds.find_by_name(text.substr(0, slash));
  if (kind == nullptr) {
    return fail(ErrorKind::kInvalid, "unknown kind \"" + std::string(text.substr(0, slash)) + "\"");
  }
  return Target{.kind = kind, .ns = "", .name = std::string(text.substr(slash + 1))};
}

std::variant<Options, Exit> parse_options(int argc, const char* const* argv,
                                          const config::Environment& environment, std::ostream& out,
                                          std::ostream& err) {
  Flags flags;
  CLI::App app("Rolls workloads whose image tags have moved.", "tidemark-sweeper");
  const Commands commands = declare(app, flags);
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    return complete_words(app, flags, {argv + 2, argv + argc}, environment, out);
  }
  // CLI11 takes the arguments from the last to the first.
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.push_back(with_two_dashes(argv[i]));
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return Exit{app.exit(error, out, err) == 0 ? kExitOk : kExitUsage};
  }
  if (app.get_subcommands().empty()) {
    err << "a command is required\n" << app.help();
    return Exit{kExitUsage};
  }
  if (commands.check->parsed())
    return Exit{check_config(flags.checked_file, environment, out, err)};
  if (commands.completion->parsed()) return Exit{print_script(flags.shell, out, err)};
  Options options;
  if (commands.once->parsed()) options.command = Command::kOnce;
  if (commands.status->parsed()) options.command = Command::kStatus;
  if (commands.explain->parsed()) options.command = Command::kExplain;
  if (commands.policy->parsed()) options.command = Command::kPolicy;
  if (commands.git->parsed()) options.command = Command::kGit;
  if (commands.history->parsed()) options.command = Command::kHistory;
  if (commands.hold->parsed()) options.command = Command::kHold;
  if (commands.resume->parsed()) options.command = Command::kResume;
  if (commands.migrate->parsed()) options.command = Command::kMigrate;
  if (auto completed = complete(flags, environment, options); !completed) {
    err << completed.error().message << "\n";
    return Exit{kExitUsage};
  }
  if (commands.manifest->parsed()) {
    const std::string role = kinds_role(options.config.kinds);
    if (role.empty()) err << "the configuration (--config) names no kinds\n";
    out << role;
    return Exit{role.empty() ? kExitUsage : kExitOk};
  }
  return options;
}

}  // namespace tidemark::sweeper
