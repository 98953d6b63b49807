#include "sweeper/status.h"

#include <string_view>
#include <utility>

#include "workload/pod.h"

namespace tidemark::sweeper {
namespace {

RunningByWorkload read_pods(kube::Api& api, const Selection& selection,
                            std::vector<CollectProblem>& problems, const std::stop_token& stop) {
  RunningByWorkload out;
  const auto take = [&out](std::string_view text) -> Status {
    const auto pod = workload::parse_pod(text);
    if (!pod) return {};
    if (const auto images = images_of(*pod); images) count(*images, out);
    return {};
  };
  const std::vector<std::string> all{""};
  for (const std::string& ns : selection.namespaces.empty() ? all : selection.namespaces) {
    const auto listed = api.list(kube::resource_path("v1", "pods", ns), {}, take,
                                 Deadline::after(kListDeadline), stop);
    if (!listed) problems.push_back({.ns = ns, .what = "pods", .error = listed.error()});
  }
  return out;
}

}  // namespace

std::vector<StatusRow> rows_of(std::vector<WorkloadPlan> plans, const RunningByWorkload& running) {
  std::vector<StatusRow> rows;
  for (WorkloadPlan& plan : plans) {
    const auto slots = running.find(running_key(plan.ns(), plan.kind().kind, plan.name()));
    for (SlotPlan& slot : plan.slots) {
      StatusRow& row = rows.emplace_back();
      row.ns = plan.ns();
      row.workload = plan.label();
      row.slot = slot.slot();
      row.image = slot.image();
      if (slot.from()) row.stamped = slot.from()->digest();
      row.registry = std::move(slot.to);
      row.running.slot = slot.slot();
      if (slots != running.end() && slots->second.contains(slot.slot())) {
        row.running = slots->second.at(slot.slot());
      }
      row.verdict = slot.verdict;
      row.reason = std::move(slot.reason);
      if (row.verdict == Verdict::kUpToDate && plan.of->rolled_last && !plan.of->failure.empty()) {
        row.reason = "its last roll failed: " + plan.of->failure;
      }
      const SlotRecords& records = slot.of->records();
      row.since = records.since;
      if (records.rolled_from) row.rolled_from = records.rolled_from->str();
    }
  }
  return rows;
}

Result<ClusterStatus> read_status(const SweepContext& context, SweepOptions options,
                                  const std::stop_token& stop) {
  options.dry_run = true;
  auto report = sweep(context, options, stop);
  if (!report) return fail(report.error());
  ClusterStatus out{.rows = {}, .problems = std::move(report->problems)};
  const auto running = read_pods(context.api, options.selection, out.problems, stop);
  out.rows = rows_of(std::move(report->plans), running);
  return out;
}

}  // namespace tidemark::sweeper
