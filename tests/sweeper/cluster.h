// Workloads for the sweeper's tests, as the API server would give them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "kube/api.h"
#include "support/fake_audience.h"
#include "support/fake_clock.h"
#include "support/fake_event_sink.h"
#include "support/fake_kube_api.h"
#include "support/fake_resolver.h"
#include "sweeper/collect.h"
#include "sweeper/sweep.h"
#include "sweeper/tracked.h"
#include "workload/annotations.h"
#include "workload/object.h"
#include "workload/stamp.h"

namespace tidemark::sweeper::testing {

using nlohmann::json;
using tidemark::testing::fake_digest;

inline constexpr const char* kImage = "registry.test/app:1";

inline std::string stamp_text(std::string_view image, char digest) {
  return workload::Stamp::make(image::Reference::parse(image).value(), fake_digest(digest)).str();
}

struct Container {
  std::string name = "app";
  std::string image = kImage;
  std::string policy = "Always";
  std::string stamp = stamp_text(kImage, 'a');  // "": none
  bool init = false;
};

struct Spec {
  std::string kind = "Deployment";
  std::string ns = "team-a";
  std::string name = "web";
  std::vector<Container> containers = {Container{}};
  json annotations = {{"tidemark.dev/sweep", "roll"}};
  json spec = json::object();      // merged into .spec
  json pod_spec = json::object();  // merged into the template's spec
};

inline const workload::Kind& kind_of(const Spec& spec) {
  return *workload::KindTable().find(spec.kind == "CronJob" ? "batch" : "apps", spec.kind);
}

inline json object_of(const Spec& spec) {
  json containers = json::array();
  json init = json::array();
  json stamps = json::object();
  for (const Container& container : spec.containers) {
    json entry{{"name", container.name}, {"image", container.image}};
    if (!container.policy.empty()) entry["imagePullPolicy"] = container.policy;
    (container.init ? init : containers).push_back(entry);
    if (!container.stamp.empty()) {
      stamps[std::string(workload::kStampPrefix) + container.name] = container.stamp;
    }
  }
  json pod_spec{{"containers", containers}};
  if (!init.empty()) pod_spec["initContainers"] = init;
  pod_spec.merge_patch(spec.pod_spec);
  json pod_template{{"metadata", {{"labels", {{"app", spec.name}}}}}, {"spec", pod_spec}};
  if (!stamps.empty()) pod_template["metadata"]["annotations"] = stamps;
  json body{
      {"metadata", {{"name", spec.name}, {"namespace", spec.ns}, {"uid", "uid-of-" + spec.name}}},
      {"spec", json::object()}};
  if (!spec.annotations.empty()) body["metadata"]["annotations"] = spec.annotations;
  body["spec"].merge_patch(spec.spec);
  body[json::json_pointer(kind_of(spec).template_pointer)] = pod_template;
  return body;
}

inline std::string path_of(const Spec& spec) {
  const workload::Kind& kind = kind_of(spec);
  return kube::resource_path(kind.api_version(), kind.plural, spec.ns, spec.name);
}

inline workload::Object parsed(const Spec& spec) {
  return workload::parse_object(object_of(spec).dump(), kind_of(spec)).value();
}

inline Workload tracked(const Spec& spec, const workload::Metadata& ns = {}) {
  Workload workload = track(parsed(spec));
  settle(workload, ns, {});
  return workload;
}

// One cluster with its registry: what a sweep works with.
struct Cluster {
  tidemark::testing::FakeKubeApi api;
  tidemark::testing::FakeResolver resolver;
  tidemark::testing::FakeClock clock;
  tidemark::testing::FakeEventSink events;
  tidemark::testing::FakeAudience audience;
  Metrics metrics;
  SweepMetrics sweep_metrics{metrics, 20};
  SweepOptions options;

  Cluster() {
    options.apply.backoff = {.initial = std::chrono::milliseconds{1},
                             .max = std::chrono::milliseconds{1}};
    // The controllers that would bring a rollout to its end are not here (pace_test.cc).
    options.pace = {.max_rollouts = 1000,
                    .max_rollouts_per_namespace = 1000,
                    .max_rollouts_per_image = 1000,
                    .waves = false};
    add_namespace("team-a");
  }
  void add_namespace(const std::string& name, const json& metadata = json::object()) {
    api.put("/api/v1/namespaces/" + name, json{{"metadata", metadata}}.dump());
    api.put("/api/v1/namespaces/" + name + "/serviceaccounts/default", "{}");
  }
  void put(const Spec& spec) { api.put(path_of(spec), object_of(spec).dump()); }
  SweepContext context() {
    return {.api = api,
            .resolver = resolver,
            .clock = clock,
            .metrics = sweep_metrics,
            .log = Logger::none(),
            .events = &events,
            .audience = &audience};
  }
  Result<SweepReport> sweep(std::stop_token stop = {}) {
    return sweeper::sweep(context(), options, std::move(stop));
  }
  Source source() {
    return [this](const std::stop_token& stop) {
      return collect(api, options.kinds, options.selection, options.defaults, stop);
    };
  }
  // A running pod with one container, made from the template of the workload.
  void put_pod(const Spec& spec, const std::string& name, const std::string& image_id,
               const std::string& container = "app", const json& annotations = json::object()) {
    const bool deployment = spec.kind == "Deployment";
    const json pod{{"metadata",
                    {{"labels", {{"pod-template-hash", "5d4f"}}},
                     {"annotations", annotations},
                     {"ownerReferences",
                      {{{"kind", deployment ? "ReplicaSet" : spec.kind},
                        {"name", deployment ? spec.name + "-5d4f" : spec.name},
                        {"controller", true}}}}}},
                   {"status",
                    {{"phase", "Running"},
                     {"containerStatuses", {{{"name", container}, {"imageID", image_id}}}}}}};
    api.put("/api/v1/namespaces/" + spec.ns + "/pods/" + name, pod.dump());
  }
  std::size_t pod_lists() const {
    const auto lists = api.calls("list");
    return static_cast<std::size_t>(std::ranges::count_if(
        lists, [](const auto& call) { return call.path.find("/pods") != std::string::npos; }));
  }
  std::string annotation(const Spec& spec, std::string_view key) const {
    return api.object(path_of(spec))["metadata"]["annotations"].value(std::string(key), "");
  }
  std::string stamp(const Spec& spec, const std::string& container = "app") const {
    const json object = api.object(path_of(spec));
    const json& meta = object.at(json::json_pointer(kind_of(spec).template_pointer + "/metadata"));
    if (!meta.contains("annotations")) return "";
    return meta["annotations"].value(std::string(workload::kStampPrefix) + container, "");
  }
};

}  // namespace tidemark::sweeper::testing
