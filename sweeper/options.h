// Options: the command line of tidemark-sweeper, and the configuration file below it.
//
// Purpose: every flag, its check and what it overrides. A wrong flag, key or value ends with usage
// on standard error and exit code 2. Thread-safety: values; called once, before threads start.
// Source: design section 6; -A, -n, -l, --field-selector, --kubeconfig and -o as kubectl has them.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "kube/config.h"
#include "sweeper/collect.h"
#include "sweeper/completion.h"
#include "sweeper/hold.h"
#include "sweeper/migrate.h"
#include "sweeper/output.h"
#include "sweeper/terminal.h"

namespace tidemark::sweeper {

enum class Command {
  kRun,
  kOnce,
  kStatus,
  kExplain,
  kPolicy,
  kGit,
  kHistory,
  kHold,
  kResume,
  kMigrate,
  kComplete  // what is left of __complete: names that only the API server knows
};

// KIND/NAME of explain, history, hold and resume; the whole cluster's is Tidemark's own namespace.
struct Target {
  const workload::Kind* kind = nullptr;  // of the configuration's table, or namespace_kind()
  std::string ns;                        // "" for the kubeconfig's
  std::string name;
  bool is_cluster = false;  // -A of hold and resume
};

// Who answers `status`: the sweeper that leads if it can, else the API server; or one of them only.
enum class AskedOf { kAuto, kSweeper, kApi };

// What of a sweep makes `once` exit with 1, beside one that could not be made at all.
enum class ExitCode { kNone, kFailed, kMovedOrFailed };

struct Options {
  Command command = Command::kRun;
  config::Config config;  // the file's values, overridden by flags
  // The same of the file as it is when this is called; empty without a file.
  std::function<Result<config::Config>()> reload;
  kube::KubeconfigRequest kubeconfig;
  Selection selection;
  std::string system_namespace;     // Tidemark's own: of the Lease, and of orders about the cluster
  bool own_namespace_only = false;  // once without -A and -n: the kubeconfig's namespace
  bool dry_run = false;
  ExitCode exit_code = ExitCode::kNone;
  Format format = Format::kTable;
  Terminal terminal;                   // of a table
  std::optional<Terminal> progress{};  // where once draws how far it is; nullopt: nowhere
  bool watch = false;                  // status, as are the three below
  AskedOf asked_of = AskedOf::kAuto;
  bool verbose = false;
  std::vector<Target> only;  // empty: all of the selection; their namespaces are the selection's
  Target target;
  HoldRequest hold;  // resume: its slots
  MigrateRequest migrate;
  Completion completion;
  bool leader_elect = false;  // run
  std::string identity;       // of this replica; "" for the host's name
};

// What main answers where there is nothing to run: after --help and --version (0) or a mistake (2).
struct Exit {
  int code = 0;
};

// runbook: exit code: 0 | done, or told to stop | nothing
inline constexpr int kExitOk = 0;
// runbook: exit code: 1 | not all could be read or written (the last lines of standard error say
// what); with `--exit-code` also that something moved or failed | rights, registries or the API
// server, as named; a CronJob tries again at its next time
inline constexpr int kExitMovedOrFailed = 1;
// runbook: exit code: 2 | a wrong option, argument, configuration or kubeconfig, or an address
// that cannot be listened on; standard error names it | correct it: `tidemark-webhook check-config
// FILE` reads a configuration without running
inline constexpr int kExitUsage = 2;

// Writes help, and what needs no cluster (manifest, completion), to `out`, mistakes to `err`.
std::variant<Options, Exit> parse_options(int argc, const char* const* argv,
                                          const config::Environment& environment, std::ostream& out,
                                          std::ostream& err);

// What a sweep looks at where no flag says otherwise.
Selection configured_selection(const config::SweeperConfig& config);

// "deployment/web", "deploy/web". kInvalid names what is wrong with it.
Result<Target> parse_target(std::string_view text, const workload::KindTable& kinds);

}  // namespace tidemark::sweeper
