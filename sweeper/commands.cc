#include "sweeper/commands.h"

#include <ostream>
#include <utility>

#include "workload/annotations.h"
#include "workload/object.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

int complain(std::ostream& err, const Error& error) {
  err << "error: " << error.message << "\n";
  return kExitMovedOrFailed;
}

Result<workload::Object> read_target(const SweepContext& context, const Target& target,
                                     const std::stop_token& stop) {
  const auto text = context.api.get(
      kube::resource_path(target.kind->api_version(), target.kind->plural, target.ns, target.name),
      Deadline::after(kListDeadline), stop);
  if (!text) return fail(text.error());
  return workload::parse_object(*text, *target.kind);
}

}  // namespace

SweepOptions sweep_options(const Options& options) {
  return {.selection = options.selection,
          .defaults = options.config.defaults,
          .kinds = options.config.kinds,
          .check = {.concurrency = options.config.sweeper.check_concurrency},
          .apply = {},
          .dry_run = options.dry_run};
}

int once(const SweepContext& context, const Options& options, Streams streams,
         std::stop_token stop) {
  const auto report = sweep(context, sweep_options(options), std::move(stop));
  if (!report) return complain(streams.err, report.error());
  streams.out << print_report(*report, options.format);
  return options.exit_code && report->moved_or_failed() ? kExitMovedOrFailed : kExitOk;
}

int explain(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop) {
  const Target& target = options.target;
  const auto object = read_target(context, target, stop);
  if (!object) return complain(streams.err, object.error());
  if (object->controller) {
    streams.out << target.ns << " " << target.name << " belongs to " << object->controller->kind
                << "/" << object->controller->name << ", which is what a sweep looks at\n";
    return kExitOk;
  }
  if (!target.kind->rollable) {
    streams.out << target.ns << " " << target.name << ": a " << target.kind->kind
                << " is not rolled: nothing would replace its pods\n";
    return kExitOk;
  }
  const auto namespaces = read_namespaces(context.api, {target.ns}, stop);
  if (!namespaces) return complain(streams.err, namespaces.error());
  const auto tracked = track_unless_skipped(*object, *namespaces, options.config.defaults);
  if (!tracked) {
    streams.out << target.ns << " " << target.name << " is being deleted\n";
    return kExitOk;
  }
  const CheckResult checked =
      check({*tracked}, context.resolver, context.api, sweep_options(options).check, stop);
  streams.out << print_explanation(
      plan_workload(*tracked, checked.answers, context.clock.wall_now()), options.format);
  return kExitOk;
}

int history(const SweepContext& context, const Options& options, Streams streams,
            std::stop_token stop) {
  const auto object = read_target(context, options.target, stop);
  if (!object) return complain(streams.err, object.error());
  const auto found = object->annotations.find(std::string(workload::kHistoryKey));
  const std::string text = found == object->annotations.end() ? "" : found->second;
  streams.out << print_history(workload::parse_history(text), options.format);
  return kExitOk;
}

}  // namespace tidemark::sweeper
