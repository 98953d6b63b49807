#include "sweeper/sweep.h"

#include <algorithm>
#include <concepts>
#include <iterator>
#include <string>
#include <utility>

#include "sweeper/tell.h"

namespace tidemark::sweeper {
namespace {

// Lines of one kind in one sweep; a registry that is down would else write one for every slot.
constexpr std::size_t kMaxProblemLines = 20;

void log_release(const Logger& log, const WorkloadPlan& planned, const Status& released) {
  if (released) return;
  log.warn("an image is owned by the sweeper until the next sweep: server-side apply conflicts",
           {{"namespace", planned.ns()},
            {"workload", planned.label()},
            {"cause", released.error().message}});
}

std::vector<RollOutcome> apply_all(const SweepContext& context, const SweepOptions& options,
                                   const std::vector<WorkloadPlan>& plans, const Answers& answers,
                                   const Namespaces& namespaces, const std::stop_token& stop) {
  std::vector<RollOutcome> outcomes;
  for (const WorkloadPlan& planned : plans) {
    if (!planned.rolls()) {
      // A sweeper was killed after a roll, before it gave up the image that it had written.
      if (planned.of->owns_image) {
        log_release(context.log, planned, release(planned, context.api, options.apply, stop));
      }
      continue;
    }
    outcomes.push_back(apply(planned, context.api, answers, namespaces, options.defaults,
                             context.clock, options.apply, stop));
  }
  return outcomes;
}

// A full queue counts what it loses; the next sweep sees what is still so.
void tell(const SweepContext& context, const SweepReport& report) {
  if (context.events == nullptr && context.audience == nullptr) return;
  const WallTime now = context.clock.wall_now();
  std::vector<notify::Notification> notifications;
  for (Note& note : notes_of(report)) {
    if (context.audience != nullptr) notifications.push_back(notification_of(note, now));
    if (context.events != nullptr) (void)context.events->record(std::move(note.event));
  }
  if (context.audience != nullptr) context.audience->tell(std::move(notifications));
}

void log_outcome(const Logger& log, const RollOutcome& outcome) {
  // A Lease that was lost, or a stop: the roll is the next sweep's, whoever makes it.
  if (outcome.error && outcome.error->kind == ErrorKind::kCanceled) {
    log.info("roll not made: stopped",
             {{"namespace", outcome.plan.ns()}, {"workload", outcome.plan.label()}});
    return;
  }
  if (outcome.kind == RollOutcome::Kind::kFailed) {
    log.error("roll failed", {{"namespace", outcome.plan.ns()},
                              {"workload", outcome.plan.label()},
                              {"cause", outcome.error->message}});
    return;
  }
  if (outcome.kind == RollOutcome::Kind::kNotNeeded) {
    log.info("roll not needed any more",
             {{"namespace", outcome.plan.ns()}, {"workload", outcome.plan.label()}});
    return;
  }
  log_release(log, outcome.plan, outcome.released);
  for (const SlotPlan& slot : outcome.plan.slots) {
    if (!slot.changes()) continue;
    log.info(slot.verdict == Verdict::kUndo ? "rolled back" : "rolled",
             {{"namespace", outcome.plan.ns()},
              {"workload", outcome.plan.label()},
              {"slot", slot.slot()},
              {"image", slot.image()},
              {"from", slot.from()->digest().str()},
              {"to", slot.to->str()}});
  }
}

void log_plans(const Logger& log, const std::vector<WorkloadPlan>& plans) {
  std::size_t unresolved = 0;
  for (const WorkloadPlan& planned : plans) {
    for (const SlotPlan& slot : planned.slots) {
      if (slot.verdict == Verdict::kUnresolved && ++unresolved <= kMaxProblemLines) {
        log.warn("no answer", {{"namespace", planned.ns()},
                               {"workload", planned.label()},
                               {"slot", slot.slot()},
                               {"image", slot.image()},
                               {"cause", slot.reason}});
      } else if (is_moved(slot.verdict) && slot.verdict != Verdict::kRoll) {
        log.debug("moved, not rolled", {{"namespace", planned.ns()},
                                        {"workload", planned.label()},
                                        {"slot", slot.slot()},
                                        {"verdict", to_string(slot.verdict)},
                                        {"cause", slot.reason}});
      }
    }
  }
}

std::size_t count(const std::vector<RollOutcome>& rolls, RollOutcome::Kind kind) {
  return static_cast<std::size_t>(
      std::ranges::count_if(rolls, [kind](const RollOutcome& roll) { return roll.kind == kind; }));
}

void log_report(const Logger& log, const SweepReport& report) {
  std::size_t lines = 0;
  for (const CollectProblem& problem : report.problems) {
    if (++lines > kMaxProblemLines) break;
    log.warn("cannot read",
             {{"namespace", problem.ns}, {"what", problem.what}, {"cause", problem.error.message}});
  }
  log_plans(log, report.plans);
  for (const Adoption& adoption : report.adopted) {
    log.debug("adopted", {{"namespace", adoption.ns},
                          {"workload", adoption.label},
                          {"slot", adoption.slot},
                          {"baseline", adoption.baseline.str()}});
  }
  for (const RollOutcome& outcome : report.rolls) log_outcome(log, outcome);
  log.info("sweep done", {{"workloads", report.plans.size()},
                          {"references", report.references_asked},
                          {"unanswered", report.references_failed},
                          {"adopted", report.adopted.size()},
                          {"rolled", count(report.rolls, RollOutcome::Kind::kRolled)},
                          {"failed", count(report.rolls, RollOutcome::Kind::kFailed)},
                          {"unreadable", report.problems.size()},
                          {"milliseconds", report.took.count()}});
}

template <std::predicate<Verdict> Predicate>
bool any_slot(const std::vector<WorkloadPlan>& plans, Predicate holds) {
  return std::ranges::any_of(plans, [&](const WorkloadPlan& planned) {
    return std::ranges::any_of(planned.slots,
                               [&](const SlotPlan& slot) { return holds(slot.verdict); });
  });
}

SweepReport begin_report(const SweepContext& context, const SweepOptions& options,
                         Collection& collected, const std::stop_token& stop) {
  SweepReport report;
  judge(collected.workloads, context.api, options.judge, context.clock.wall_now(),
        collected.problems, stop);
  report.problems = std::move(collected.problems);
  report.read_everything = collected.listed_everything;
  return report;
}

void adopt_into(const SweepContext& context, const SweepOptions& options, Collection& collected,
                PullCredentials& credentials, SweepReport& report, const std::stop_token& stop) {
  AdoptOptions adopting = options.adopt;
  adopting.dry_run = adopting.dry_run || options.dry_run;
  AdoptReport adopted = adopt(collected.workloads, report.answers, context.resolver, context.api,
                              credentials, adopting, context.clock.wall_now(), stop);
  report.adopted = std::move(adopted.adopted);
  std::ranges::move(adopted.problems, std::back_inserter(report.problems));
}

// What the source gave, under the orders about the whole cluster. They are read with every step,
// for they are what stops a roll-out that is under way.
Result<Collection> collect_under_orders(const SweepContext& context, const SweepOptions& options,
                                        const Source& source, const std::stop_token& stop) {
  auto collected = source(stop);
  if (!collected) return collected;
  if (options.selection.namespaces.empty()) {
    collected->orders = cluster_orders(collected->namespaces, options.system_namespace);
  } else {
    auto orders =
        read_cluster_orders(context.api, collected->namespaces, options.system_namespace, stop);
    if (orders) {
      collected->orders = std::move(*orders);
    } else if (orders.error().kind == ErrorKind::kForbidden) {  // one who only has namespaces
      context.log.debug("orders about the whole cluster cannot be read",
                        {{"cause", orders.error().message}});
    } else {
      return fail(orders.error());
    }
  }
  if (collected->orders.empty()) return collected;
  for (SharedWorkload& workload : collected->workloads) {
    Workload ordered = *workload;
    auto& holds = ordered.settings.holds;
    holds.insert(holds.end(), collected->orders.begin(), collected->orders.end());
    workload = share(std::move(ordered));
  }
  return collected;
}

void plan_and_apply(const SweepContext& context, SweepOptions options, Collection& collected,
                    SweepReport& report, const std::stop_token& stop) {
  const WallTime now = context.clock.wall_now();
  options.defaults.holds = collected.orders;
  report.plans = plan(collected.workloads, report.answers, now);
  if (collected.uncounted.empty()) {
    pace(report.plans, options.pace, now);
  } else {
    pace_all(report.plans, collected.uncounted + " cannot be read: what is under way is unknown");
  }
  if (options.dry_run) return;
  report.rolls =
      apply_all(context, options, report.plans, report.answers, collected.namespaces, stop);
  tell(context, report);
}

// What slots of these repositories are to run, by their policies.
std::set<std::string> targets_in(const Workloads& workloads,
                                 const std::set<std::string>& repositories,
                                 const Answers& answers) {
  std::set<std::string> out;
  for (const SharedWorkload& workload : workloads) {
    for (const TrackedSlot& slot : workload->slots) {
      if (!slot.reference || policy_of(*workload, slot).empty()) continue;
      if (!repositories.contains(slot.reference->name())) continue;
      out.insert(destination_of(*workload, slot, answers).reference(slot).tagged());
    }
  }
  return out;
}

// All stages after collect. Of the registries only `pushed` is asked for, references and
// repositories, and what that leaves out stands as `before` has it; nullptr: everything.
SweepReport ask_and_apply(const SweepContext& context, const SweepOptions& options,
                          Collection& collected, const std::set<std::string>* pushed,
                          const Answers& before, const std::stop_token& stop) {
  SweepReport report = begin_report(context, options, collected, stop);
  PullCredentials of_this_sweep = pull_credentials(context, options);
  PullCredentials& credentials =
      context.credentials != nullptr ? *context.credentials : of_this_sweep;
  TagChoices choices_of_this_sweep;
  TagChoices& choices = context.choices != nullptr ? *context.choices : choices_of_this_sweep;
  report.answers = before;
  ChooseOptions choosing = options.choose;
  choosing.pushed = pushed;
  choose(collected.workloads, context.resolver, credentials, choices, choosing, context.clock,
         report.answers, stop);
  CheckOptions asked = options.check;
  asked.now = context.clock.wall_now();
  std::set<std::string> asked_for;
  if (pushed != nullptr) {
    asked_for = *pushed;
    asked_for.merge(targets_in(collected.workloads, *pushed, report.answers));
    asked.only = &asked_for;
  }
  CheckResult checked =
      check(collected.workloads, context.resolver, credentials, report.answers, asked, stop);
  report.answers.update(std::move(checked.answers));
  report.references_asked = checked.asked;
  report.references_failed = checked.failed;
  adopt_into(context, options, collected, credentials, report, stop);
  plan_and_apply(context, options, collected, report, stop);
  return report;
}

}  // namespace

bool SweepReport::moved() const { return any_slot(plans, is_moved); }

bool SweepReport::failed() const {
  return references_failed > 0 || !problems.empty() || count(rolls, RollOutcome::Kind::kFailed) > 0;
}

bool SweepReport::paced() const {
  return any_slot(plans, [](Verdict verdict) { return verdict == Verdict::kPaced; });
}

PullCredentials pull_credentials(const SweepContext& context, const SweepOptions& options) {
  return {options.read_secrets ? &context.api : nullptr, context.clock};
}

Result<SweepReport> sweep(const SweepContext& context, const SweepOptions& options,
                          std::stop_token stop) {
  const Source source = [&](const std::stop_token& asked) {
    return collect(context.api, options.kinds, options.selection, options.defaults, asked);
  };
  return sweep(context, options, source, std::move(stop));
}

Result<SweepReport> sweep(const SweepContext& context, const SweepOptions& options,
                          const Source& source, std::stop_token stop) {
  const SteadyTime begin = context.clock.steady_now();
  auto collected = collect_under_orders(context, options, source, stop);
  if (!collected) {
    context.metrics.record_failure();
    return fail(collected.error());
  }
  SweepReport report =
      ask_and_apply(context, options, *collected, /*pushed=*/nullptr, /*before=*/{}, stop);
  report.took =
      std::chrono::duration_cast<std::chrono::milliseconds>(context.clock.steady_now() - begin);
  context.metrics.record(report, context.clock.wall_now());
  log_report(context.log, report);
  return report;
}

std::set<std::string> references_of(const Workloads& workloads) {
  std::set<std::string> out;
  for (const SharedWorkload& workload : workloads) {
    for (const TrackedSlot& slot : workload->slots) {
      if (!slot.reference || !slot.reference->tag()) continue;
      out.insert(slot.reference->tagged());
      if (!policy_of(*workload, slot).empty()) out.insert(slot.reference->name());
    }
  }
  return out;
}

Result<std::optional<SweepReport>> sweep_pushed(const SweepContext& context,
                                                const SweepOptions& options, const Source& source,
                                                const Answers& before, const Pushed& pushed,
                                                std::stop_token stop) {
  auto collected = collect_under_orders(context, options, source, stop);
  if (!collected) return fail(collected.error());
  std::set<std::string> used;
  const std::set<std::string> known = references_of(collected->workloads);
  for (const auto& [reference, since] : pushed) {
    for (const std::string& name : {reference, repository_part(reference)}) {
      if (known.contains(name)) used.insert(name);
    }
  }
  if (used.empty()) return std::nullopt;
  SweepReport report = ask_and_apply(context, options, *collected, &used, before, stop);
  context.metrics.record_rolls(report, context.clock.wall_now());
  context.metrics.record_pushed(report, pushed, context.clock.steady_now());
  for (const RollOutcome& outcome : report.rolls) log_outcome(context.log, outcome);
  return report;
}

Result<SweepReport> continue_sweep(const SweepContext& context, const SweepOptions& options,
                                   const Source& source, Answers answers, std::stop_token stop) {
  auto collected = collect_under_orders(context, options, source, stop);
  if (!collected) return fail(collected.error());
  SweepReport report = begin_report(context, options, *collected, stop);
  report.answers = std::move(answers);
  plan_and_apply(context, options, *collected, report, stop);
  context.metrics.record_rolls(report, context.clock.wall_now());
  for (const RollOutcome& outcome : report.rolls) log_outcome(context.log, outcome);
  return report;
}

Learned learned_by(const SweepReport& report) {
  Learned out{.answers = report.answers, .failures = {}};
  for (const WorkloadPlan& planned : report.plans) {
    if (!planned.of->failure.empty()) out.failures.emplace(planned.uid(), planned.of->failure);
  }
  return out;
}

Result<SweepReport> plan_again(const SweepContext& context, SweepOptions options,
                               const Source& source, const Learned& learned,
                               const std::stop_token& stop) {
  options.dry_run = true;
  auto collected = collect_under_orders(context, options, source, stop);
  if (!collected) return fail(collected.error());
  for (SharedWorkload& workload : collected->workloads) {
    const auto failed = learned.failures.find(workload->uid);
    if (failed == learned.failures.end() || !workload->rolled_last ||
        workload->rollout != workload::RolloutState::kProgressing) {
      continue;
    }
    workload = with_failed_rollout(*workload, failed->second);
  }
  SweepReport report;
  report.problems = std::move(collected->problems);
  report.read_everything = collected->listed_everything;
  report.answers = learned.answers;
  plan_and_apply(context, options, *collected, report, stop);
  return report;
}

}  // namespace tidemark::sweeper
