#include "workload/rollout.h"

#include <algorithm>

namespace tidemark::workload {
namespace {

RolloutState done_if(bool done) {
  return done ? RolloutState::kComplete : RolloutState::kProgressing;
}

RolloutState deployment_state(const Object& object) {
  const RolloutStatus& status = object.rollout;
  if (object.replicas == 0) return RolloutState::kIdle;
  if (status.observed_generation < object.generation) return RolloutState::kProgressing;
  if (status.deadline_exceeded) return RolloutState::kFailed;
  return done_if(status.updated >= object.replicas && status.replicas <= status.updated &&
                 status.available >= status.updated);
}

RolloutState stateful_set_state(const Object& object) {
  const RolloutStatus& status = object.rollout;
  if (object.replicas == 0) return RolloutState::kIdle;
  return done_if(status.observed_generation >= object.generation &&
                 status.ready >= object.replicas &&
                 status.update_revision == status.current_revision);
}

RolloutState daemon_set_state(const Object& object) {
  const RolloutStatus& status = object.rollout;
  if (status.observed_generation < object.generation) return RolloutState::kProgressing;
  if (status.desired_scheduled == 0) return RolloutState::kIdle;
  return done_if(status.updated_scheduled >= status.desired_scheduled &&
                 status.number_available >= status.desired_scheduled);
}

// An Argo Rollout says it in a word, a CloneSet counts as a Deployment does, a Knative Service has
// its condition.
RolloutState custom_state(const Object& object) {
  const RolloutStatus& status = object.rollout;
  const bool argo = status.phase == "Healthy" || status.phase == "Progressing" ||
                    status.phase == "Paused" || status.phase == "Degraded";
  const bool says = argo || status.has_updated || !status.ready_condition.empty();
  if (object.replicas == 0 || !says) return RolloutState::kIdle;
  if (status.observed_generation != 0 && status.observed_generation < object.generation) {
    return RolloutState::kProgressing;
  }
  if (status.deadline_exceeded || status.phase == "Degraded") return RolloutState::kFailed;
  if (argo) return done_if(status.phase == "Healthy");
  if (status.has_updated) {
    return done_if(status.updated >= object.replicas && status.replicas <= status.updated &&
                   std::max(status.available, status.ready) >= status.updated);
  }
  if (status.ready_condition == "False") return RolloutState::kFailed;
  return done_if(status.ready_condition == "True");
}

}  // namespace

RolloutState rollout_state(const Object& object) {
  if (object.kind->custom) return custom_state(object);
  if (object.kind->group != "apps") return RolloutState::kIdle;
  if (object.kind->kind == "Deployment") return deployment_state(object);
  if (object.kind->kind == "StatefulSet") return stateful_set_state(object);
  if (object.kind->kind == "DaemonSet") return daemon_set_state(object);
  return RolloutState::kIdle;
}

}  // namespace tidemark::workload
