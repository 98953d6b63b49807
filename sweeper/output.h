// output: plans, rolls and histories as text for people and for scripts.
//
// Purpose: the one place that knows the columns, and the shape of json and yaml.
// Thread-safety: pure functions. Errors: none; parse_format: kInvalid.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sweeper/git_plan.h"
#include "sweeper/migrate.h"
#include "sweeper/plan.h"
#include "sweeper/running.h"
#include "sweeper/status.h"
#include "sweeper/sweep.h"
#include "sweeper/terminal.h"
#include "workload/records.h"

namespace tidemark::sweeper {

enum class Format { kTable, kJson, kYaml };
Result<Format> parse_format(std::string_view name);

// A sweep: one line a slot ("ok", "has to be updated to sha256:..."), then what could not be read.
// With `rolls`, what became of the plan ("updated to ...", "failed: ...") instead of the intention.
std::string print_report(const SweepReport& report, Format format);

// policy: one line for each slot that follows one: which tag it picks, from how many, and why not
// that.
std::string print_policies(const SweepReport& report, Format format);

// git: which tag each named policy picks, what was written of it and where, and what could not be;
// of a dry run the differences.
std::string print_git(const GitReport& report, Format format);

struct Explanation {
  WorkloadPlan plan;  // without slots where `note` says why there is no plan
  std::vector<RunningSlot> running;
  // By slot that has an answer: which credential it was given to, "" for none.
  std::map<std::string, std::string> credentials;
  std::string note{};
};

// explain: every slot of one workload with stamp, registry's digest and by which credential it is
// known, what its pods run, verdict and reason.
std::string print_explanation(const Explanation& told, Format format);

// What `hold` or `resume` did.
struct OrderOutcome {
  std::string target;  // "team-a Deployment/web", "namespace/team-a", "the whole cluster"
  std::string change;  // "held", "resumed", "unchanged"
  bool dry_run = false;
  std::vector<std::string> still_held{};  // what else holds it: HoldOrder::text()
};
std::string print_order(const OrderOutcome& outcome, Format format);

// status: one line a slot. `shown`: for each of its rows whether it is; nullptr: all of them, and
// what could not be read. Columns are as wide as all rows need; a terminal that is too narrow for
// them gets fewer, and lines that end at its width.
std::string print_status(const ClusterStatus& status, Format format, WallTime now,
                         const Terminal& terminal = {}, const std::vector<bool>* shown = nullptr);

// migrate: one line a finding, then what is left to do.
std::string print_migration(const MigrationReport& report, Format format);

// history: newest first.
std::string print_history(const std::vector<workload::HistoryEntry>& entries, Format format);

}  // namespace tidemark::sweeper
