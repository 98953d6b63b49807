// rollout_state: how far a workload's pods have followed its template.
//
// Purpose: the one place that reads a rollout off an object's status, as `kubectl rollout status`
// does. Of a custom kind the fields count that such kinds share: observedGeneration, the numbers of
// replicas, else the condition Ready. Thread-safety: a pure function. Errors: none; a kind whose
// status says nothing is idle. Source: k8s.io/kubectl pkg/polymorphichelpers/rollout_status.go;
// apps/v1; sigs.k8s.io/cli-utils pkg/kstatus for custom kinds.
#pragma once

#include "workload/object.h"

namespace tidemark::workload {

enum class RolloutState {
  kIdle,         // no pods that a changed template replaces now: no replicas, a CronJob
  kComplete,     // every pod is of this template, and available
  kProgressing,  // not yet
  kFailed,       // a Deployment past its progressDeadlineSeconds, a custom kind that says so
};

RolloutState rollout_state(const Object& object);

}  // namespace tidemark::workload
