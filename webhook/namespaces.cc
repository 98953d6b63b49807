#include "webhook/namespaces.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace tidemark::webhook {
namespace {

workload::StringMap read_map(const nlohmann::json& metadata, const char* field) {
  workload::StringMap map;
  const auto found = metadata.find(field);
  if (found == metadata.end() || !found->is_object()) return map;
  for (const auto& [key, value] : found->items()) {
    if (value.is_string()) map.emplace(key, value.get<std::string>());
  }
  return map;
}

}  // namespace

Result<workload::Metadata> read_namespace(std::string_view json) {
  const auto object = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("metadata") || !object["metadata"].is_object()) {
    return fail(ErrorKind::kInvalid, "namespace without metadata");
  }
  const auto& metadata = object["metadata"];
  return workload::Metadata{.annotations = read_map(metadata, "annotations"),
                            .labels = read_map(metadata, "labels")};
}

Namespaces::Namespaces(kube::Api* api, const Clock& clock, Metrics& metrics, Logger log)
    : api_(api),
      cache_(clock, kTtl, kMaxEntries),
      failures_(metrics
                    .counter("tidemark_namespace_read_failures_total",
                             "Namespaces whose settings could not be read at admission.")
                    .with()),
      log_(std::move(log)) {}

workload::Metadata Namespaces::get(const std::string& name, Deadline deadline) {
  if (api_ == nullptr || name.empty()) return {};
  if (const auto known = cache_.get(name)) return **known;
  auto meta = [&] -> Result<workload::Metadata> {
    const auto json = api_->get(kube::resource_path("v1", "namespaces", {}, name), deadline);
    if (!json) return fail(json.error());
    return read_namespace(*json);
  }();
  if (!meta) {
    failures_.add();
    log_.warn("cannot read namespace, its settings do not apply",
              {{"namespace", name}, {"cause", meta.error().message}});
    // What a retry would not mend (missing rights) is not asked for by every admission.
    if (meta.error().retryable()) return {};
    meta = workload::Metadata{};
  }
  cache_.put(name, std::make_shared<const workload::Metadata>(*meta));
  return *std::move(meta);
}

}  // namespace tidemark::webhook
