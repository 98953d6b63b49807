// sweep: one pass over the cluster, as one function of named stages.
//
// Purpose: collect -> judge -> choose -> check -> adopt -> plan -> pace -> apply -> tell.
// Everything that a sweep knows is in the objects themselves; between two sweeps nothing is
// remembered but metrics and, for minutes, pull credentials (credentials.h) and what policies chose
// (choose.h). Thread-safety: one sweep at a time per SweepMetrics; callers (run, once) see to it.
// Errors: a Result error where the pass could not be made at all; all else is in the report.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "kube/api.h"
#include "kube/events.h"
#include "notify/notifier.h"
#include "registry/resolver.h"
#include "sweeper/adopt.h"
#include "sweeper/apply.h"
#include "sweeper/check.h"
#include "sweeper/choose.h"
#include "sweeper/collect.h"
#include "sweeper/credentials.h"
#include "sweeper/judge.h"
#include "sweeper/pace.h"
#include "sweeper/plan.h"
#include "sweeper/sweep_metrics.h"
#include "workload/kind.h"
#include "workload/settings.h"

namespace tidemark::sweeper {

struct SweepOptions {
  Selection selection;
  workload::Settings defaults;
  std::string system_namespace = "tidemark-system";  // Tidemark's own: cluster_orders()
  workload::KindTable kinds;
  bool read_secrets = true;  // false: nobody's pull secrets are read
  ChooseOptions choose;
  CheckOptions check;
  JudgeOptions judge;
  AdoptOptions adopt;
  PaceOptions pace;
  ApplyOptions apply;
  bool dry_run = false;  // plan only
};

// Stage 1: a LIST (collect.h), or what watches have kept (inventory.h).
using Source = std::function<Result<Collection>(const std::stop_token&)>;

struct SweepReport {
  std::vector<WorkloadPlan> plans;       // ordered by namespace, kind and name
  std::vector<RollOutcome> rolls;        // one for each plan that rolls, in the same order
  std::vector<CollectProblem> problems;  // what could not be read
  bool read_everything = true;           // every kind could be listed
  std::vector<Adoption> adopted;         // slots that got a baseline
  Answers answers;                       // of the registries, for continue_sweep()
  std::size_t references_asked = 0;
  std::size_t references_failed = 0;
  std::chrono::milliseconds took{0};

  bool moved() const;   // some tag has, whether it was rolled or not
  bool failed() const;  // a roll, an answer of a registry, or something could not be read
  bool moved_or_failed() const { return moved() || failed(); }
  bool paced() const;  // some rolls wait for others
};

// What a sweep works with. Ownership: the caller's; all must outlive the sweep.
struct SweepContext {
  kube::Api& api;
  registry::Resolver& resolver;
  const Clock& clock;
  SweepMetrics& metrics;
  Logger log;
  kube::EventSink* events = nullptr;       // nullptr: nobody is told
  PullCredentials* credentials = nullptr;  // nullptr: of one sweep alone
  TagChoices* choices = nullptr;           // the same
  notify::Audience* audience = nullptr;    // outside the cluster; nullptr: nobody
};

// Of a sweep, or of many: none is read yet.
PullCredentials pull_credentials(const SweepContext& context, const SweepOptions& options);

Result<SweepReport> sweep(const SweepContext& context, const SweepOptions& options,
                          std::stop_token stop = {});
Result<SweepReport> sweep(const SweepContext& context, const SweepOptions& options,
                          const Source& source, std::stop_token stop);

// References that somebody says were pushed, with the time when that was known.
using Pushed = std::map<std::string, SteadyTime>;

// A sweep of the workloads that use them: of their registries only these are asked, all else stands
// as the answers of the sweep before have it. Nullopt: no workload uses any, and no registry was
// asked. Errors: as sweep().
Result<std::optional<SweepReport>> sweep_pushed(const SweepContext& context,
                                                const SweepOptions& options, const Source& source,
                                                const Answers& before, const Pushed& pushed,
                                                std::stop_token stop);

// The tagged references that workloads use, and the repositories of which a policy may choose
// another tag ("docker.io/library/nginx").
std::set<std::string> references_of(const Workloads& workloads);

// The next steps of paced rolls, by the answers of the sweep that paced them: no registry is asked.
// Errors: as sweep().
Result<SweepReport> continue_sweep(const SweepContext& context, const SweepOptions& options,
                                   const Source& source, Answers answers, std::stop_token stop);

// What a sweep learned that the objects do not say.
struct Learned {
  Answers answers;                              // of the registries
  std::map<std::string, std::string> failures;  // of rollouts (judge.h), by the workload's uid
};
Learned learned_by(const SweepReport& report);

// What would be planned now, by what an earlier sweep learned: no registry is asked and no pod is
// read, nothing is written, told or counted. Thread-safety: as its source. Errors: as sweep().
Result<SweepReport> plan_again(const SweepContext& context, SweepOptions options,
                               const Source& source, const Learned& learned,
                               const std::stop_token& stop);

}  // namespace tidemark::sweeper
