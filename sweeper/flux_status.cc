#include "sweeper/flux_status.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"

namespace tidemark::sweeper {
namespace {

using Json = nlohmann::json;

// metav1.Condition bounds a message at 32 KiB; people read one line of it.
constexpr std::size_t kMaxMessage = 1024;

struct Ready {
  bool yes = true;
  std::string reason;
  std::string message;
};

Json condition(const FluxMeta& meta, const Ready& ready, WallTime now) {
  const std::string status = ready.yes ? "True" : "False";
  const bool same = meta.ready == status && !meta.ready_since.empty();
  return {{"type", "Ready"},
          {"status", status},
          {"reason", ready.reason},
          {"message", cut(ready.message, kMaxMessage)},
          {"observedGeneration", meta.generation},
          {"lastTransitionTime", same ? meta.ready_since : to_rfc3339(now)}};
}

Json status_of(const FluxMeta& meta, const Ready& ready, WallTime now) {
  Json out{{"observedGeneration", meta.generation},
           {"conditions", Json::array({condition(meta, ready, now)})}};
  if (!meta.requested_at.empty()) out["lastHandledReconcileAt"] = meta.requested_at;
  return out;
}

Json image_json(const gitops::PolicyImage& image) {
  Json out{{"name", image.name}, {"tag", image.tag}};
  // Null takes away what a merge would keep.
  out["digest"] = image.digest.empty() ? Json() : Json(image.digest);
  return out;
}

class Teller {
 public:
  Teller(const FluxObjects& objects, const FluxPlan& plan, std::span<const ChosenImage> chosen,
         std::span<const GitOutcome> written, WallTime now)
      : objects_(objects), plan_(plan), chosen_(chosen), written_(written), now_(now) {}

  void tell(const FluxImageRepository& object, const FluxPlan::Place& place) {
    if (!place.at)
      return refuse("imagerepositories", object.meta, "ImageURLInvalid", place.problem);
    const ChosenImage& scanned = chosen_[*place.at];
    // Tags, all of which are excluded, are an answer as well.
    const bool answered = scanned.choice || (scanned.choice.error().kind == ErrorKind::kNotFound &&
                                             scanned.choice.error().http_status == 0);
    if (!answered) {
      return refuse("imagerepositories", object.meta, "ReadOperationFailed",
                    scanned.choice.error().message);
    }
    const std::size_t tags = scanned.choice ? scanned.choice->fitting : 0;
    Json status = status_of(object.meta,
                            {.reason = "Succeeded",
                             .message = "successful scan: found " + std::to_string(tags) + " tags"},
                            now_);
    status["canonicalImageName"] = scanned.policy.reference.name();
    status["observedExclusionList"] = object.exclusions;
    status["lastScanResult"] = {{"tagCount", tags}, {"scanTime", to_rfc3339(now_)}};
    add("imagerepositories", object.meta, std::move(status));
  }

  void tell(const FluxImagePolicy& object, const FluxPlan::Place& place) {
    if (object.suspended) return;
    if (!place.at) return refuse("imagepolicies", object.meta, "DependencyNotReady", place.problem);
    const ChosenImage& chosen = chosen_[*place.at];
    if (!chosen.choice) {
      return refuse("imagepolicies", object.meta, "Failed", chosen.choice.error().message);
    }
    const gitops::PolicyImage image{
        .name = chosen.policy.image, .tag = chosen.choice->tag, .digest = chosen.digest};
    Json status =
        status_of(object.meta,
                  {.reason = "Succeeded",
                   .message = "Latest image tag for " + image.name + " resolved to " + image.tag},
                  now_);
    status["latestRef"] = image_json(image);
    const bool v1beta2 = objects_.version == "v1beta2";
    if (v1beta2) status["latestImage"] = image.name + ":" + image.tag;
    if (object.latest && *object.latest != image) {
      status["observedPreviousRef"] = image_json(*object.latest);
      if (v1beta2) {
        status["observedPreviousImage"] = object.latest->name + ":" + object.latest->tag;
      }
    }
    add("imagepolicies", object.meta, std::move(status));
  }

  void tell(const FluxAutomation& object, const FluxPlan::Place& place) {
    if (!place.at) {
      return refuse("imageupdateautomations", object.meta, "InvalidSourceConfiguration",
                    place.problem);
    }
    const GitOutcome& written = written_[*place.at];
    if (!written.outcome) {
      if (written.outcome.error().kind == ErrorKind::kCanceled) return;
      return refuse("imageupdateautomations", object.meta, "GitOperationFailed",
                    written.outcome.error().message);
    }
    const gitops::WriteBackOutcome& outcome = *written.outcome;
    Ready ready{.reason = "Succeeded", .message = "repository up-to-date"};
    if (!outcome.commit.empty()) {
      ready.message =
          "pushed commit '" + outcome.commit.substr(0, 7) + "' to branch '" + outcome.branch + "'";
    } else if (!outcome.troubles.empty()) {
      ready.message += "; " + outcome.troubles.front();
    }
    Json status = status_of(object.meta, ready, now_);
    status["lastAutomationRunTime"] = to_rfc3339(now_);
    Json observed = Json::object();
    for (const std::size_t at : plan_.plan.targets[*place.at].policies) {
      const ChosenImage& chosen = chosen_[at];
      if (!chosen.choice) continue;
      observed[chosen.policy.name.substr(chosen.policy.name.find(':') + 1)] = image_json(
          {.name = chosen.policy.image, .tag = chosen.choice->tag, .digest = chosen.digest});
    }
    status["observedPolicies"] = std::move(observed);
    if (!outcome.head.empty()) {
      status["observedSourceRevision"] = written.repository.branch + "@sha1:" + outcome.head;
    }
    if (!outcome.commit.empty()) {
      status["lastPushCommit"] = outcome.commit;
      status["lastPushTime"] = to_rfc3339(now_);
    }
    add("imageupdateautomations", object.meta, std::move(status));
  }

  std::vector<FluxStatus> take() { return std::move(out_); }

 private:
  // "" as a message: there is nothing to say, for what is suspended.
  void refuse(const char* plural, const FluxMeta& meta, const char* reason,
              const std::string& message) {
    if (message.empty()) return;
    add(plural, meta, status_of(meta, {.yes = false, .reason = reason, .message = message}, now_));
  }

  void add(const char* plural, const FluxMeta& meta, Json status) {
    // A name from an object may hold what is no UTF-8 to a serialiser that is strict.
    out_.push_back({.plural = plural,
                    .ns = meta.ns,
                    .name = meta.name,
                    .patch = Json{{"status", std::move(status)}}.dump(
                        -1, ' ', false, Json::error_handler_t::replace)});
  }

  const FluxObjects& objects_;
  const FluxPlan& plan_;
  const std::span<const ChosenImage> chosen_;
  const std::span<const GitOutcome> written_;
  const WallTime now_;
  std::vector<FluxStatus> out_;
};

}  // namespace

std::vector<FluxStatus> flux_statuses(const FluxObjects& objects, const FluxPlan& plan,
                                      std::span<const ChosenImage> chosen,
                                      std::span<const GitOutcome> written, WallTime now) {
  Teller teller(objects, plan, chosen, written, now);
  for (std::size_t i = 0; i < objects.repositories.size(); ++i) {
    teller.tell(objects.repositories[i], plan.repositories[i]);
  }
  for (std::size_t i = 0; i < objects.policies.size(); ++i) {
    teller.tell(objects.policies[i], plan.policies[i]);
  }
  for (std::size_t i = 0; i < objects.automations.size(); ++i) {
    teller.tell(objects.automations[i], plan.automations[i]);
  }
  return teller.take();
}

}  // namespace tidemark::sweeper
