#include "kube/lease.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "base/shutdown.h"
#include "kube/timestamp.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kApiVersion = "coordination.k8s.io/v1";
// Release happens on the way out: long enough for one round trip, short enough for a shutdown.
constexpr std::chrono::seconds kReleaseTimeout{2};

// Fields that are missing or of another type read as empty: such a lease is free to take.
std::string text_at(const json& object, const char* pointer) {
  const json::json_pointer at(pointer);
  return object.contains(at) && object[at].is_string() ? object[at].get<std::string>()
                                                       : std::string();
}

std::int64_t number_at(const json& object, const char* pointer) {
  const json::json_pointer at(pointer);
  return object.contains(at) && object[at].is_number_integer() ? object[at].get<std::int64_t>() : 0;
}

void annotate(json& lease, const std::map<std::string, std::string>& wanted) {
  for (const auto& [key, value] : wanted) {
    json& annotations = lease["metadata"]["annotations"];
    if (!annotations.is_object()) annotations = json::object();
    if (value.empty()) {
      annotations.erase(key);
    } else {
      annotations[key] = value;
    }
  }
}

}  // namespace

Result<LeaseHolder> read_lease(Api& api, const std::string& ns, const std::string& name,
                               Deadline deadline, const std::stop_token& stop) {
  const auto text = api.get(resource_path(kApiVersion, "leases", ns, name), deadline, stop);
  if (!text) return fail(text.error());
  const json lease = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  LeaseHolder out{.identity = text_at(lease, "/spec/holderIdentity"), .annotations = {}};
  if (out.identity.empty()) return fail(ErrorKind::kNotFound, "nobody holds the lease " + name);
  const json::json_pointer annotations("/metadata/annotations");
  if (!lease.contains(annotations) || !lease[annotations].is_object()) return out;
  for (const auto& [key, value] : lease[annotations].items()) {
    if (value.is_string()) out.annotations.emplace(key, value.get<std::string>());
  }
  return out;
}

LeaderElection::LeaderElection(Api& api, const Clock& clock, LeaseOptions options, Metrics& metrics,
                               Logger log)
    : api_(api),
      clock_(clock),
      options_(std::move(options)),
      leading_gauge_(metrics.gauge("tidemark_leader", "1 while this replica holds the lease.")
                         .with({{"lease", options_.name}})),
      log_(std::move(log)),
      path_(resource_path(kApiVersion, "leases", options_.ns, options_.name)),
      collection_(resource_path(kApiVersion, "leases", options_.ns)) {
  leading_gauge_.set(0);
}

bool LeaderElection::leading() const {
  return holds_.load() && clock_.steady_now() - renewed_at_.load() < options_.lease_duration;
}

bool LeaderElection::step(const std::stop_token& stop) {
  const SteadyTime started = clock_.steady_now();
  // A renewal has what is left of the renew deadline; an attempt to acquire as much as that.
  auto budget = options_.renew_deadline;
  if (holds_) {
    budget -= std::chrono::duration_cast<std::chrono::milliseconds>(started - renewed_at_.load());
  }
  const auto held = budget.count() > 0
                        ? acquire_or_renew(Deadline::after(budget), stop)
                        : Result<bool>(fail(ErrorKind::kTimeout, "renew deadline has passed"));
  if (held && *held) {
    renewed_at_ = started;
    set_leading(true, "acquired");
  } else if (held) {
    set_leading(false, "held by " + observed_holder_);
  } else if (clock_.steady_now() - renewed_at_.load() >= options_.renew_deadline) {
    set_leading(false, held.error().message);
  }
  const std::string error = held ? "" : held.error().message;
  if (error != last_error_ && !error.empty() && held.error().kind != ErrorKind::kCanceled) {
    log_.warn("lease cannot be read or written", {{"lease", options_.name}, {"cause", error}});
  }
  last_error_ = error;
  return holds_;
}

void LeaderElection::set_leading(bool leading, const std::string& why) {
  if (holds_.exchange(leading) == leading) return;
  leading_gauge_.set(leading ? 1 : 0);
  log_.info(leading ? "leading" : "no longer leading",
            {{"lease", options_.name}, {"identity", options_.identity}, {"cause", why}});
}

Result<bool> LeaderElection::acquire_or_renew(Deadline deadline, const std::stop_token& stop) {
  const std::string now = to_micro_time(clock_.wall_now());
  // The API takes whole seconds; what others wait is never shorter than what we promise ourselves.
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options_.lease_duration).count();
  json spec{{"holderIdentity", options_.identity},
            {"leaseDurationSeconds", seconds},
            {"acquireTime", now},
            {"renewTime", now},
            {"leaseTransitions", 0}};

  const auto text = api_.get(path_, deadline, stop);
  if (!text && text.error().kind != ErrorKind::kNotFound) return fail(text.error());
  Result<std::string> written = fail(ErrorKind::kInternal, "not written");
  if (!text) {
    json lease{{"apiVersion", kApiVersion},
               {"kind", "Lease"},
               {"metadata", {{"name", options_.name}, {"namespace", options_.ns}}},
               {"spec", std::move(spec)}};
    annotate(lease, options_.annotations);
    written = api_.create(collection_, lease.dump(), deadline, stop);
  } else {
    json lease = json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!lease.is_object()) return fail(ErrorKind::kInvalid, "the lease is no JSON object");
    const std::string version = text_at(lease, "/metadata/resourceVersion");
    const std::string holder = text_at(lease, "/spec/holderIdentity");
    const std::int64_t duration = number_at(lease, "/spec/leaseDurationSeconds");
    if (version != observed_version_) {
      observed_version_ = version;
      observed_holder_ = holder;
      observed_at_ = clock_.steady_now();
    }
    const bool ours = holder == options_.identity;
    const bool alive = clock_.steady_now() < observed_at_ + std::chrono::seconds(duration);
    if (!holder.empty() && !ours && alive) return false;
    const std::int64_t transitions = number_at(lease, "/spec/leaseTransitions");
    spec["leaseTransitions"] = ours ? transitions : transitions + 1;
    if (const std::string since = text_at(lease, "/spec/acquireTime"); ours && !since.empty()) {
      spec["acquireTime"] = since;
    }
    lease["spec"] = std::move(spec);
    annotate(lease, options_.annotations);
    written = api_.update(path_, lease.dump(), deadline, stop);
  }
  if (written) return true;
  if (written.error().kind == ErrorKind::kConflict) {
    // Another replica was faster. Whether it holds the lease now is seen at the next attempt; a
    // leader goes on until its renew deadline, in case somebody merely labelled the object.
    return holds_ ? Result<bool>(fail(written.error())) : Result<bool>(false);
  }
  return fail(written.error());
}

void LeaderElection::release() {
  if (!holds_) return;
  set_leading(false, "released");
  const auto deadline = Deadline::after(kReleaseTimeout);
  const auto text = api_.get(path_, deadline);
  if (!text) return;
  json lease = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!lease.is_object() || text_at(lease, "/spec/holderIdentity") != options_.identity) return;
  lease["spec"]["holderIdentity"] = "";
  lease["spec"]["leaseDurationSeconds"] = 1;
  if (const auto written = api_.update(path_, lease.dump(), deadline); !written) {
    log_.warn("lease was not released: another replica waits for its end",
              {{"lease", options_.name}, {"cause", written.error().message}});
  }
}

void LeaderElection::run(const std::stop_token& stop,
                         const std::function<void(std::stop_token)>& work) {
  while (!stop.stop_requested()) {
    if (!step(stop)) {
      sleep_for(options_.retry_period, stop);
      continue;
    }
    std::atomic<bool> finished{false};
    std::stop_source work_done;
    std::jthread worker([&](std::stop_token lost) {
      work(std::move(lost));
      finished = true;
      work_done.request_stop();
    });
    const std::stop_callback stopped(stop, [&] { work_done.request_stop(); });
    while (sleep_for(options_.retry_period, work_done.get_token()) && step(stop)) {
    }
    worker.request_stop();
    worker.join();
    if (finished && holds_ && !stop.stop_requested()) {
      release();
      return;
    }
  }
  release();
}

}  // namespace tidemark::kube
