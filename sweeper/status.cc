#include "sweeper/status.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "workload/pod.h"

namespace tidemark::sweeper {
namespace {

// What each slot of each workload runs: by namespace, kind and name, then by slot.
using Running = std::map<std::string, std::map<std::string, RunningSlot>>;

std::string key_of(std::string_view ns, std::string_view kind, std::string_view name) {
  return std::string(ns) + "/" + std::string(kind) + "/" + std::string(name);
}

void count_pod(const workload::Pod& pod, Running& out) {
  const auto maker = workload::workload_of(pod);
  if (!pod.live || !maker) return;
  auto& slots = out[key_of(pod.ns, maker->first, maker->second)];
  for (const workload::PodContainer& container : pod.containers) {
    RunningSlot& running = slots[container.slot];
    running.slot = container.slot;
    count(running, container);
  }
}

Running read_pods(kube::Api& api, const Selection& selection, std::vector<CollectProblem>& problems,
                  const std::stop_token& stop) {
  Running out;
  const auto take = [&out](std::string_view text) -> Status {
    if (const auto pod = workload::parse_pod(text); pod) count_pod(*pod, out);
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

Result<ClusterStatus> read_status(const SweepContext& context, SweepOptions options,
                                  const std::stop_token& stop) {
  options.dry_run = true;
  auto report = sweep(context, options, stop);
  if (!report) return fail(report.error());
  ClusterStatus out{.rows = {}, .problems = std::move(report->problems)};
  Running running = read_pods(context.api, options.selection, out.problems, stop);
  for (WorkloadPlan& plan : report->plans) {
    auto& slots = running[key_of(plan.ns, plan.kind->kind, plan.name)];
    for (SlotPlan& slot : plan.slots) {
      StatusRow& row = out.rows.emplace_back();
      row.ns = plan.ns;
      row.workload = plan.label;
      row.slot = slot.slot;
      row.image = std::move(slot.image);
      if (slot.from) row.stamped = slot.from->digest();
      row.registry = std::move(slot.to);
      if (const auto runs = slots.find(slot.slot); runs != slots.end()) row.running = runs->second;
      row.verdict = slot.verdict;
      row.reason = std::move(slot.reason);
      if (row.verdict == Verdict::kUpToDate && plan.rolled_last && !plan.failure.empty()) {
        row.reason = "its last roll failed: " + plan.failure;
      }
      row.since = std::move(slot.since);
    }
  }
  return out;
}

}  // namespace tidemark::sweeper
