#include "sweeper/commands.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <map>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/shutdown.h"
#include "sweeper/ask_sweeper.h"
#include "sweeper/guarded_patch.h"
#include "sweeper/migrate.h"
#include "sweeper/pods.h"
#include "sweeper/progress.h"
#include "sweeper/running.h"
#include "workload/annotations.h"
#include "workload/object.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

int complain(std::ostream& err, const Error& error) {
  err << "error: " << error.message << "\n";
  return kExitMovedOrFailed;
}

std::string path_of(const Target& target) {
  return object_path(*target.kind, target.kind == &namespace_kind() ? "" : target.ns, target.name);
}

Result<workload::Object> read_target(const SweepContext& context, const Target& target,
                                     const std::stop_token& stop) {
  const auto text = context.api.get(path_of(target), Deadline::after(kListDeadline), stop);
  if (!text) return fail(text.error());
  return workload::parse_object(*text, *target.kind);
}

// Whether both may be in one wave: by the tag that they have, or that a policy may choose.
bool may_share_move(const Workload& workload, const Workload& other) {
  const auto share = [&](const TrackedSlot& one, const TrackedSlot& two) {
    if (!one.reference || !two.reference) return false;
    if (one.reference->tagged() == two.reference->tagged()) return true;
    const bool policy = !policy_of(workload, one).empty() || !policy_of(other, two).empty();
    return policy && one.reference->name() == two.reference->name();
  };
  return std::ranges::any_of(workload.slots, [&](const TrackedSlot& one) {
    return std::ranges::any_of(other.slots,
                               [&](const TrackedSlot& two) { return share(one, two); });
  });
}

// As a sweep would adopt it, but nothing is written.
void adopt_target(const SweepContext& context, AdoptOptions options, const Answers& answers,
                  PullCredentials& credentials, Workload& target, const std::stop_token& stop) {
  options.dry_run = true;
  Workloads alone{share(std::move(target))};
  const AdoptReport report = adopt(alone, answers, context.resolver, context.api, credentials,
                                   options, context.clock.wall_now(), stop);
  target = *alone.front();
  for (const CollectProblem& problem : report.problems) {
    target.problems.push_back(problem.what + ": " + problem.error.message);
  }
}

// Whose stamp its pods may run in the form of a platform's manifest: asked only where they run
// something else, and the tag still leads there.
PlatformsBySlot platforms_of(const SweepContext& context, const Workload& target,
                             const std::vector<RunningSlot>& running, const Answers& answers,
                             PullCredentials& credentials, const std::stop_token& stop) {
  PlatformsBySlot platforms;
  for (const TrackedSlot& slot : target.slots) {
    if (!slot.stamp || !slot.reference) continue;
    const auto runs = std::ranges::find(running, slot.id, &RunningSlot::slot);
    const auto* answer = answers.find(*slot.reference, target.pull_source());
    if (runs == running.end() || answer == nullptr || !answer->has_value() ||
        answer->value() != slot.stamp->digest() ||
        std::ranges::all_of(
            runs->pods, [&](const auto& entry) { return entry.first == slot.stamp->digest(); })) {
      continue;
    }
    const auto resolution = context.resolver.resolve(
        {.reference = *slot.reference,
         .credentials = credentials.of(target).keyring.lookup(*slot.reference),
         .with_platforms = true},
        Deadline::after(CheckOptions{}.one), stop);
    if (resolution) platforms[slot.id] = resolution->platforms;
  }
  return platforms;
}

// What its pods run; the skews are added to the problems of `target`.
std::vector<RunningSlot> read_running(const SweepContext& context, Workload& target,
                                      const Answers& answers, PullCredentials& credentials,
                                      const std::stop_token& stop) {
  // Whose the pods of a custom kind are, nobody knows.
  if (target.kind->custom) return {};
  const auto pods = pods_of(context.api, *target.kind, target.ns, target.name,
                            Deadline::after(kListDeadline), stop);
  if (!pods) {
    target.problems.push_back("what runs is not known: " + pods.error().message);
    return {};
  }
  auto running = running_slots(target, *pods);
  const auto platforms = platforms_of(context, target, running, answers, credentials, stop);
  std::ranges::move(skews(target, *pods, platforms), std::back_inserter(target.problems));
  return running;
}

// To which credential the registry answered, by slot.
std::map<std::string, std::string> credentials_of(const Workload& target, const Answers& answers,
                                                  const CheckResult& checked) {
  std::map<std::string, std::string> out;
  for (const TrackedSlot& slot : target.slots) {
    if (!slot.reference) continue;
    const std::string asked = destination_of(target, slot, answers).reference(slot).tagged();
    const auto used = checked.credentials.find({asked, target.pull_source()});
    if (used != checked.credentials.end()) out[slot.id] = used->second;
  }
  return out;
}

// As a sweep plans it: among all others, whose rollouts its budgets and waves are counted over.
Explanation explain_among_all(const SweepContext& context, const Options& options, Workload target,
                              const std::stop_token& stop) {
  const SweepOptions wanted = sweep_options(options);
  const WallTime now = context.clock.wall_now();
  auto all = collect(context.api, wanted.kinds, configured_selection(options.config.sweeper),
                     wanted.defaults, stop);
  Workloads asked{share(target)};
  if (all) {
    judge(all->workloads, context.api, wanted.judge, now, all->problems, stop);
    std::ranges::copy_if(all->workloads, std::back_inserter(asked),
                         [&](const SharedWorkload& other) {
                           return other->uid != target.uid && may_share_move(*other, target);
                         });
  }
  PullCredentials credentials = pull_credentials(context, wanted);
  TagChoices choices;
  Answers answers;
  choose(asked, context.resolver, credentials, choices, wanted.choose, context.clock, answers,
         stop);
  CheckResult checked = check(asked, context.resolver, credentials, answers, wanted.check, stop);
  answers.update(std::move(checked.answers));
  adopt_target(context, wanted.adopt, answers, credentials, target, stop);
  Explanation out{.plan = {},
                  .running = read_running(context, target, answers, credentials, stop),
                  .credentials = credentials_of(target, answers, checked)};
  if (all) {
    const auto same = std::ranges::find_if(
        all->workloads, [&](const SharedWorkload& each) { return each->uid == target.uid; });
    if (same != all->workloads.end()) {
      target.rollout = (*same)->rollout;
      target.failure = (*same)->failure;
      *same = share(target);
    }
    auto plans = plan(all->workloads, answers, now);
    pace(plans, wanted.pace, now);
    const auto found = std::ranges::find_if(
        plans, [&](const WorkloadPlan& each) { return each.uid() == target.uid; });
    if (found != plans.end() && all->listed_everything) {
      out.plan = std::move(*found);
      return out;
    }
  }
  out.plan = plan_workload(share(target), answers, now);
  if (all && all->listed_everything) {
    out.plan.problems.emplace_back(
        "a sweep does not look at it: see the configuration's namespaces and selectors");
  } else {
    out.plan.problems.push_back(
        "pacing is not considered: " +
        (all ? std::string("it could not be read among all others") : all.error().message));
  }
  return out;
}

// Of what no sweep looks at, and why.
Explanation not_swept(const Target& target, std::string note) {
  Workload alone;
  alone.kind = target.kind;
  alone.ns = target.ns;
  alone.name = target.name;
  Explanation out;
  out.plan.of = share(std::move(alone));
  out.note = std::move(note);
  return out;
}

std::string name_of(const Target& target) {
  if (target.is_cluster) return "the whole cluster";
  const bool is_namespace = target.kind == &namespace_kind();
  return (is_namespace ? "namespace" : target.ns + " " + target.kind->kind) + "/" + target.name;
}

// From the sweeper that leads; an error where it cannot tell, or not what the API server would.
Result<ClusterStatus> status_of_sweeper(const SweepContext& context, const Options& options,
                                        std::string& note, const std::stop_token& stop) {
  auto answer = ask_sweeper(context.api, options.system_namespace, options.selection,
                            Deadline::after(kAskDeadline), stop);
  if (!answer) return fail(answer.error());
  const auto recent = is_recent(*answer);
  if (!recent && options.asked_of == AskedOf::kAuto) return fail(recent.error());
  if (auto narrowed = narrow(*answer, context.api, options.config.kinds, options.selection, stop);
      !narrowed) {
    return fail(narrowed.error());
  }
  note = "answered by the running sweeper, which asked the registries " +
         std::to_string(answer->age.count()) + " s ago";
  if (!recent) note += " (" + recent.error().message + ")";
  return std::move(answer->status);
}

// One look. `note`: who answered, and why not the sweeper.
Result<ClusterStatus> look(const SweepContext& context, const Options& options, std::string& note,
                           const std::stop_token& stop) {
  if (options.asked_of != AskedOf::kApi) {
    auto told = status_of_sweeper(context, options, note, stop);
    if (told) return told;
    if (options.asked_of == AskedOf::kSweeper) {
      return fail(within("the running sweeper", told.error()));
    }
    note = "answered by the API server and the registries; the running sweeper: " +
           told.error().message;
  } else {
    note = "answered by the API server and the registries";
  }
  return read_status(context, sweep_options(options), stop);
}

// Only what was named. Errors: kNotFound of the first that is not there.
Status keep_only(const std::vector<Target>& wanted, ClusterStatus& status) {
  if (wanted.empty()) return {};
  std::map<std::string, bool> labels;
  for (const Target& target : wanted) labels[object_label(*target.kind, target.name)] = false;
  std::erase_if(status.rows, [&](const StatusRow& row) {
    const auto found = labels.find(row.workload);
    if (found == labels.end()) return true;
    found->second = true;
    return false;
  });
  for (const auto& [label, found] : labels) {
    if (!found) return fail(ErrorKind::kNotFound, label + " is not among what is looked at");
  }
  return {};
}

// What became of the order, and of the object. Nullopt: the error was told.
struct Ordered {
  OrderOutcome outcome;
  workload::Object object;
};
std::optional<Ordered> order(const SweepContext& context, const Options& options, const char* done,
                             const AnnotationChange& change, Streams streams,
                             const std::stop_token& stop) {
  auto target = annotate(context.api, path_of(options.target), *options.target.kind, change,
                         options.dry_run, stop);
  if (!target) {
    complain(streams.err, within(name_of(options.target), target.error()));
    return std::nullopt;
  }
  return Ordered{.outcome = {.target = name_of(options.target),
                             .change = target->changed ? done : "unchanged",
                             .dry_run = options.dry_run},
                 .object = std::move(target->object)};
}

// What holds a workload still.
std::vector<std::string> holds_on(const SweepContext& context, const Options& options,
                                  const workload::Object& object, const std::stop_token& stop) {
  const auto namespaces = read_namespaces(context.api, {options.target.ns}, stop);
  if (!namespaces) return {};
  workload::Settings defaults;
  auto orders = read_cluster_orders(context.api, *namespaces, options.system_namespace, stop);
  if (orders) defaults.holds = std::move(*orders);
  const auto effective =
      workload::effective_settings(object, namespaces->begin()->second, defaults);
  std::vector<std::string> out;
  for (const workload::HoldOrder& left : effective.settings.holds) out.push_back(left.text());
  return out;
}

// Until the next look. False: there is none.
bool wait_for_next_look(const Options& options, Streams streams, const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kStep{500};  // how soon a closed pipe is seen
  for (auto left = options.config.sweeper.interval; left.count() > 0; left -= kStep) {
    if (streams.reader_is_gone != nullptr && streams.reader_is_gone()) {
      streams.out.setstate(std::ios::badbit);
    }
    if (!streams.out || !sleep_for(std::min(left, kStep), stop)) return false;
  }
  return true;
}

}  // namespace

SweepOptions sweep_options(const Options& options) {
  return {.selection = options.selection,
          .defaults = options.config.defaults,
          .system_namespace = options.system_namespace,
          .kinds = options.config.kinds,
          .read_secrets = options.config.read_secrets,
          .choose = {.max_age = options.config.sweeper.list_tags_every},
          .check = {.concurrency = options.config.sweeper.check_concurrency,
                    .compare_platforms = options.config.sweeper.compare_platforms,
                    .adopt = options.config.sweeper.adopt},
          .judge = {},
          .adopt = {.enabled = options.config.sweeper.adopt},
          .pace = {.max_rollouts = options.config.sweeper.max_rollouts,
                   .max_rollouts_per_namespace = options.config.sweeper.max_rollouts_per_namespace,
                   .max_rollouts_per_image = options.config.sweeper.max_rollouts_per_image,
                   .waves = options.config.sweeper.waves},
          .apply = {},
          .dry_run = options.dry_run};
}

int once(const SweepContext& context, const Options& options, Streams streams,
         std::stop_token stop) {
  static constexpr std::chrono::milliseconds kTick{250};
  std::optional<Progress> progress;
  std::jthread ticker;  // after what it draws: it ends first
  SweepOptions wanted = sweep_options(options);
  if (options.progress) {
    progress.emplace(streams.err, *options.progress, context.clock);
    wanted.check.progress = [&progress](std::size_t done, std::size_t total) {
      progress->update(done, total);
    };
    ticker = std::jthread([&progress](const std::stop_token& over) {
      while (sleep_for(kTick, over)) progress->tick();
    });
  }
  const auto report = sweep(context, wanted, std::move(stop));
  ticker = {};
  progress.reset();
  if (!report) return complain(streams.err, report.error());
  streams.out << print_report(*report, options.format);
  const bool told = (options.exit_code == ExitCode::kFailed && report->failed()) ||
                    (options.exit_code == ExitCode::kMovedOrFailed && report->moved_or_failed());
  return told ? kExitMovedOrFailed : kExitOk;
}

int status(const SweepContext& context, const Options& options, Streams streams,
           std::stop_token stop) {
  std::map<std::string, StatusRow> before;
  bool first = true;
  do {
    std::string note;
    auto now = look(context, options, note, stop);
    if (now && first && options.verbose) streams.err << note << "\n";
    const Status kept = now ? keep_only(options.only, *now) : Status();
    if (first && !kept) return complain(streams.err, kept.error());  // later on it may go away
    if (!now && (first || !options.watch)) return complain(streams.err, now.error());
    if (!now) {
      if (!stop.stop_requested()) (void)complain(streams.err, now.error());
      continue;
    }
    std::vector<bool> changed;
    std::map<std::string, StatusRow> seen;
    for (const StatusRow& row : now->rows) {
      const std::string key = row.ns + " " + row.workload + " " + row.slot;
      const auto known = before.find(key);
      changed.push_back(known == before.end() || known->second != row);
      seen.emplace(key, row);
    }
    streams.out << print_status(*now, options.format, context.clock.wall_now(), options.terminal,
                                first ? nullptr : &changed)
                << std::flush;
    before = std::move(seen);
    first = false;
  } while (options.watch && wait_for_next_look(options, streams, stop));
  return kExitOk;
}

int explain(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop) {
  const Target& target = options.target;
  const auto object = read_target(context, target, stop);
  if (!object) return complain(streams.err, object.error());
  if (object->controller) {
    streams.out << print_explanation(
        not_swept(target, "it belongs to " + object->controller->kind + "/" +
                              object->controller->name + ", which is what a sweep looks at"),
        options.format);
    return kExitOk;
  }
  if (!target.kind->rollable) {
    streams.out << print_explanation(
        not_swept(target,
                  "a " + target.kind->kind + " is not rolled: nothing would replace its pods"),
        options.format);
    return kExitOk;
  }
  const auto namespaces = read_namespaces(context.api, {target.ns}, stop);
  if (!namespaces) return complain(streams.err, namespaces.error());
  auto orders = read_cluster_orders(context.api, *namespaces, options.system_namespace, stop);
  if (!orders) return complain(streams.err, orders.error());
  Options under_orders = options;
  under_orders.config.defaults.holds = std::move(*orders);
  const workload::Settings& defaults = under_orders.config.defaults;
  const auto tracked = track_unless_skipped(*object, *namespaces, defaults);
  if (!tracked) {
    streams.out << print_explanation(not_swept(target, "it is being deleted"), options.format);
    return kExitOk;
  }
  const Explanation told = explain_among_all(context, under_orders, *tracked, stop);
  streams.out << print_explanation(told, options.format);
  return kExitOk;
}

int policies(const SweepContext& context, const Options& options, Streams streams,
             std::stop_token stop) {
  SweepOptions wanted = sweep_options(options);
  wanted.dry_run = true;
  SweepContext quietly = context;
  quietly.log = Logger::none();  // what it would say is in the table
  const auto report = sweep(quietly, wanted, std::move(stop));
  if (!report) return complain(streams.err, report.error());
  streams.out << print_policies(*report, options.format);
  return kExitOk;
}

int write_git(GitLoop& loop, const Options& options, Streams streams, std::stop_token stop) {
  const GitReport report = loop.round(/*pushed=*/nullptr, options.dry_run, stop);
  streams.out << print_git(report, options.format);
  const bool told =
      (options.exit_code == ExitCode::kFailed && report.failed()) ||
      (options.exit_code == ExitCode::kMovedOrFailed && (report.failed() || report.changed()));
  return told ? kExitMovedOrFailed : kExitOk;
}

int history(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop) {
  const auto object = read_target(context, options.target, stop);
  if (!object) return complain(streams.err, object.error());
  const auto found = object->annotations.find(workload::kHistoryKey);
  const std::string text = found == object->annotations.end() ? "" : found->second;
  streams.out << print_history(workload::parse_history(text), options.format);
  return kExitOk;
}

int hold(const SweepContext& context, const Options& options, Streams streams,
         std::stop_token stop) {
  const auto change = [&](const workload::Object& object) {
    return hold_annotations(object, options.hold, context.clock.wall_now());
  };
  const auto done = order(context, options, "held", change, streams, stop);
  if (!done) return kExitMovedOrFailed;
  streams.out << print_order(done->outcome, options.format);
  return kExitOk;
}

int resume(const SweepContext& context, const Options& options, Streams streams,
           std::stop_token stop) {
  const auto change = [&](const workload::Object& object) {
    return resume_annotations(object, options.hold.slots, context.clock.wall_now());
  };
  auto done = order(context, options, "resumed", change, streams, stop);
  if (!done) return kExitMovedOrFailed;
  if (!options.dry_run && options.target.kind != &namespace_kind()) {
    done->outcome.still_held = holds_on(context, options, done->object, stop);
  }
  streams.out << print_order(done->outcome, options.format);
  return kExitOk;
}

int migrate(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop) {
  const auto report =
      migrate_cluster(context.api, options.config.kinds, options.selection, options.migrate, stop);
  if (!report) return complain(streams.err, report.error());
  streams.out << print_migration(*report, options.format);
  return report->complete ? kExitOk : kExitMovedOrFailed;
}

int complete_names(kube::Api& api, const Options& options, std::ostream& out,
                   std::stop_token stop) {
  constexpr std::chrono::seconds kPatience{1};
  const Completion& asked = options.completion;
  const auto print = [&](std::string_view text) -> Status {
    const auto name = object_key(text).second;
    if (name.starts_with(asked.name_prefix)) out << asked.before_name << name << "\n";
    return {};
  };
  const std::string ns = asked.kind == &namespace_kind() ? "" : asked.ns;
  [[maybe_unused]] const auto listed = api.list(object_path(*asked.kind, ns), {}, print,
                                                Deadline::after(kPatience), std::move(stop));
  out << directive_line(asked);
  return kExitOk;
}

}  // namespace tidemark::sweeper
