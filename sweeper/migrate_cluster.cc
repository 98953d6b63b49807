#include <algorithm>
#include <tuple>
#include <utility>

#include "sweeper/guarded_patch.h"
#include "sweeper/hold.h"
#include "sweeper/migrate.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {
namespace {

// Not the sweeper's: admission sees an edit, and stamps an image that has lost its pin.
constexpr const char* kFieldManager = "kubectl-tidemark";

MigrationPlan plan_of(const workload::Object& object, const workload::Metadata& ns,
                      const MigrateRequest& request) {
  const bool is_namespace = object.kind == &namespace_kind();
  return {.ns = is_namespace ? object.name : object.ns,
          .label = object_label(*object.kind, object.name),
          .path = object_path(*object.kind, object.ns, object.name),
          .kind = object.kind,
          .changes = migrations_of(object, ns, request)};
}

void add_plan(MigrationReport& out, MigrationPlan plan) {
  if (!plan.changes.empty()) out.plans.push_back(std::move(plan));
}

void find_in_namespaces(const Namespaces& namespaces, const Selection& selection,
                        const MigrateRequest& request, MigrationReport& out) {
  if (!selection.label_selector.empty() || !selection.field_selector.empty()) return;
  for (const auto& [name, metadata] : namespaces) {
    if (std::ranges::find(selection.excluded, name) != selection.excluded.end()) continue;
    workload::Object object;
    object.kind = &namespace_kind();
    object.name = name;
    object.annotations = metadata.annotations;
    object.labels = metadata.labels;
    add_plan(out, plan_of(object, {}, request));
  }
}

// Decided anew from what is read: somebody may have changed it since it was listed.
Status write(kube::Api& api, MigrationPlan& plan, const workload::Metadata& ns,
             const MigrateRequest& request, const std::stop_token& stop) {
  const auto make =
      [&](const workload::Object& object) -> Result<std::optional<workload::JsonPatch>> {
    plan.changes = migrations_of(object, ns, request);
    return migration_patch(object, plan.changes);
  };
  const auto patched =
      patch_guarded(api, plan.path, *plan.kind, make, {.field_manager = kFieldManager}, stop);
  if (!patched) return fail(patched.error());
  plan.written = true;
  return {};
}

void write_all(kube::Api& api, const Namespaces& namespaces, const MigrateRequest& request,
               MigrationReport& out, const std::stop_token& stop) {
  for (MigrationPlan& plan : out.plans) {
    if (std::ranges::none_of(plan.changes, &Migration::writes)) continue;
    const auto ns = namespaces.find(plan.ns);
    const bool in_namespace = plan.kind != &namespace_kind() && ns != namespaces.end();
    const auto done =
        write(api, plan, in_namespace ? ns->second : workload::Metadata{}, request, stop);
    if (done) continue;
    plan.error = done.error();
    out.complete = false;
  }
}

std::size_t count(const MigrationReport& report, auto matches) {
  std::size_t found = 0;
  for (const MigrationPlan& plan : report.plans) {
    found += static_cast<std::size_t>(std::ranges::count_if(
        plan.changes, [&](const Migration& change) { return matches(plan, change); }));
  }
  return found;
}

}  // namespace

std::size_t MigrationReport::left() const {
  return count(*this, [](const MigrationPlan& plan, const Migration& change) {
    return change.writes() && !plan.written;
  });
}

std::size_t MigrationReport::pins() const {
  return count(*this, [](const MigrationPlan&, const Migration& change) {
    return change.action == Migration::Action::kByHand;
  });
}

Result<MigrationReport> migrate_cluster(kube::Api& api, const workload::KindTable& kinds,
                                        const Selection& selection, const MigrateRequest& request,
                                        const std::stop_token& stop) {
  const auto namespaces = read_namespaces(api, selection.namespaces, stop);
  if (!namespaces) return fail(namespaces.error());
  MigrationReport out;
  find_in_namespaces(*namespaces, selection, request, out);
  const auto take = [&](const workload::Object& object) {
    // A namespace made since the namespaces were read: its keys are not known.
    const auto ns = namespaces->find(object.ns);
    if (ns != namespaces->end()) add_plan(out, plan_of(object, ns->second, request));
  };
  Collection seen;
  if (auto visited = visit_rollable(api, kinds, selection, take, seen, stop); !visited) {
    return fail(visited.error());
  }
  out.problems = std::move(seen.problems);
  out.complete = seen.listed_everything;
  std::ranges::sort(out.plans, {},
                    [](const MigrationPlan& plan) { return std::tie(plan.ns, plan.label); });
  if (request.apply) write_all(api, *namespaces, request, out, stop);
  return out;
}

}  // namespace tidemark::sweeper
