#include "sweeper/apply.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/shutdown.h"
#include "sweeper/roll_patch.h"
#include "workload/annotations.h"
#include "workload/object.h"
#include "workload/stamp.h"

namespace tidemark::sweeper {
namespace {

using Kind = RollOutcome::Kind;

// True where every slot that `wanted` changes carries its new stamp in `pod_template`.
bool carries(const workload::PodTemplate& pod_template, const WorkloadPlan& wanted) {
  const auto stamps = workload::read_stamps(pod_template.annotations);
  return std::ranges::all_of(wanted.slots, [&](const SlotPlan& planned) {
    if (!planned.changes()) return true;
    return std::ranges::any_of(pod_template.slots, [&](const workload::Slot& slot) {
      if (slot.id() != planned.slot()) return false;
      const auto stamp = stamps.find(slot.stamp_key());
      return stamp != stamps.end() && stamp->second.digest() == *planned.to;
    });
  });
}

Status release_object(const std::string& path, const workload::Object& object, kube::Api& api,
                      const ApplyOptions& options, const std::stop_token& stop) {
  const auto patch = make_release_patch(object);
  if (!patch) return {};
  const auto stored =
      api.patch(path, patch->str(), {.field_manager = std::string(workload::kStampWriter)},
                Deadline::after(options.request), stop);
  if (!stored && stored.error().kind != ErrorKind::kNotFound) return fail(stored.error());
  return {};
}

// Admission runs after the patch and has the last word: a webhook that does not know this user as
// the sweeper carries the old stamp forward, and the API server answers 200 all the same.
std::optional<Error> contradicted(const workload::Object& stored, const WorkloadPlan& wanted) {
  if (carries(stored.pod_template, wanted)) return std::nullopt;
  return Error{.kind = ErrorKind::kForbidden,
               .message =
                   "admission put the old stamp back: the webhook does not know this user "
                   "as the sweeper"};
}

class Roll {
 public:
  Roll(const WorkloadPlan& planned, kube::Api& api, const Answers& answers,
       const Namespaces& namespaces, const workload::Settings& defaults, const Clock& clock,
       const ApplyOptions& options, const std::stop_token& stop)
      : api_(api),
        answers_(answers),
        namespaces_(namespaces),
        defaults_(defaults),
        clock_(clock),
        options_(options),
        stop_(stop),
        path_(object_path(planned.kind(), planned.ns(), planned.name())),
        plan_(planned) {}

  // Nullopt: worth another try, with the reason in last_error().
  std::optional<RollOutcome> attempt() {
    const auto text = api_.get(path_, Deadline::after(options_.request), stop_);
    if (!text) {
      if (text.error().kind == ErrorKind::kNotFound) return outcome(Kind::kNotNeeded);
      return failed(text.error());
    }
    const auto object = workload::parse_object(*text, plan_.kind());
    if (!object) return failed(object.error());
    if (sent_ && carries(object->pod_template, plan_)) return outcome(Kind::kRolled);
    auto tracked = track_unless_skipped(*object, namespaces_, defaults_);
    if (!tracked) return outcome(Kind::kNotNeeded);
    keep_judgement(*tracked);
    const WallTime now = clock_.wall_now();
    plan_ = plan_workload(share(std::move(*tracked)), answers_, now);
    if (!plan_.rolls()) return outcome(Kind::kNotNeeded);
    return send(make_roll_patch(*object, plan_, now).str());
  }

  const Error& last_error() const { return last_error_; }
  RollOutcome give_up(Error error) {
    return {.kind = Kind::kFailed, .plan = plan_, .error = std::move(error)};
  }

 private:
  // The pods said that its rollout failed (judge.h), which the object itself may not.
  void keep_judgement(Workload& workload) const {
    if (plan_.of->rollout != workload::RolloutState::kFailed || !workload.rolled_last ||
        workload.rollout != workload::RolloutState::kProgressing) {
      return;
    }
    workload.rollout = plan_.of->rollout;
    workload.failure = plan_.of->failure;
  }

  std::optional<RollOutcome> send(const std::string& patch) {
    const auto stored =
        api_.patch(path_, patch, {.field_manager = std::string(workload::kStampWriter)},
                   Deadline::after(options_.request), stop_);
    if (!stored) {
      // Its effect is unknown where the answer was lost; the next read tells.
      sent_ = true;
      return failed(stored.error());
    }
    const auto object = workload::parse_object(*stored, plan_.kind());
    if (!object) return give_up(object.error());
    if (auto error = contradicted(*object, plan_); error) return give_up(std::move(*error));
    RollOutcome rolled = outcome(Kind::kRolled);
    rolled.released = release_object(path_, *object, api_, options_, stop_);
    return rolled;
  }

  std::optional<RollOutcome> failed(const Error& error) {
    last_error_ = error;
    if (error.retryable()) return std::nullopt;
    return give_up(error);
  }
  RollOutcome outcome(Kind kind) { return {.kind = kind, .plan = plan_}; }

  kube::Api& api_;
  const Answers& answers_;
  const Namespaces& namespaces_;
  const workload::Settings& defaults_;
  const Clock& clock_;
  const ApplyOptions& options_;
  const std::stop_token& stop_;
  const std::string path_;
  WorkloadPlan plan_;
  bool sent_ = false;
  Error last_error_;
};

}  // namespace

std::string_view to_string(RollOutcome::Kind kind) {
  switch (kind) {
    case Kind::kRolled:
      return "rolled";
    case Kind::kNotNeeded:
      return "not-needed";
    case Kind::kFailed:
      return "failed";
  }
  return "unknown";
}

RollOutcome apply(const WorkloadPlan& planned, kube::Api& api, const Answers& answers,
                  const Namespaces& namespaces, const workload::Settings& defaults,
                  const Clock& clock, const ApplyOptions& options, std::stop_token stop) {
  Roll roll(planned, api, answers, namespaces, defaults, clock, options, stop);
  RetrySchedule backoff(options.backoff, std::random_device{}());
  for (int tries = 1;; ++tries) {
    if (stop.stop_requested()) return roll.give_up({ErrorKind::kCanceled, "stopped"});
    if (auto outcome = roll.attempt(); outcome) return std::move(*outcome);
    if (tries >= options.max_tries) return roll.give_up(roll.last_error());
    (void)sleep_for(
        backoff.next(roll.last_error().retry_after.value_or(std::chrono::milliseconds::zero())),
        stop);
  }
}

Status release(const WorkloadPlan& planned, kube::Api& api, const ApplyOptions& options,
               const std::stop_token& stop) {
  const std::string path = object_path(planned.kind(), planned.ns(), planned.name());
  const auto text = api.get(path, Deadline::after(options.request), stop);
  if (!text && text.error().kind == ErrorKind::kNotFound) return {};
  if (!text) return fail(text.error());
  const auto object = workload::parse_object(*text, planned.kind());
  if (!object) return fail(object.error());
  return release_object(path, *object, api, options, stop);
}

}  // namespace tidemark::sweeper
