#include "webhook/template_schemas.h"

#include <utility>

#include "workload/crd.h"

namespace tidemark::webhook {

TemplateSchemas::TemplateSchemas(kube::Api* api, const Clock& clock, Metrics& metrics, Logger log)
    : api_(api),
      clock_(clock),
      failures_(
          metrics
              .counter("tidemark_schema_read_failures_total",
                       "CustomResourceDefinitions of configured kinds that could not be read.")
              .with()),
      log_(std::move(log)) {}

bool TemplateSchemas::prunes(const workload::Kind& kind, Deadline deadline) {
  if (!kind.custom || api_ == nullptr) return false;
  const std::string name = kind.plural + "." + kind.group;
  {
    const std::lock_guard lock(mutex_);
    const auto known = answers_.find(name);
    if (known != answers_.end()) {
      if (clock_.steady_now() < known->second.ask_again) return known->second.pruned;
      // Others go on with what is known while this caller asks.
      known->second.ask_again = clock_.steady_now() + kInterval;
    }
  }
  const auto text = api_->get(
      kube::resource_path("apiextensions.k8s.io/v1", "customresourcedefinitions", "", name),
      deadline);
  auto pruned = text ? workload::template_metadata_pruned(*text, kind) : fail(text.error());
  if (pruned) {
    remember(name, *pruned, kind);
    return *pruned;
  }
  const bool missing = pruned.error().kind == ErrorKind::kNotFound;
  failures_.add(missing ? 0 : 1);
  log_.warn("cannot tell whether a kind keeps template annotations",
            {{"definition", name}, {"cause", pruned.error().message}});
  const std::lock_guard lock(mutex_);
  // Without a definition there are no objects either: the first one asks again.
  if (missing) {
    answers_.erase(name);
    return false;
  }
  return answers_.try_emplace(name, Answer{false, clock_.steady_now() + kInterval})
      .first->second.pruned;
}

void TemplateSchemas::remember(const std::string& name, bool pruned, const workload::Kind& kind) {
  const std::lock_guard lock(mutex_);
  const auto [known, fresh] = answers_.try_emplace(name);
  const bool changed = known->second.pruned != pruned;
  known->second = {.pruned = pruned, .ask_again = clock_.steady_now() + kInterval};
  if (pruned && (fresh || changed)) {
    log_.warn("this kind's definition prunes template annotations: stamped in pin mode only",
              {{"definition", name}, {"template", kind.template_pointer}});
  } else if (changed) {
    log_.info("this kind's definition keeps template annotations now", {{"definition", name}});
  }
}

}  // namespace tidemark::webhook
