// Kind: which Kubernetes kinds carry pod templates, and where.
//
// Purpose: the one table that knows group, version, plural and template path. Everything else asks
// it. Thread-safety: values. Source: the Kubernetes API reference, apps/v1, batch/v1, core/v1.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tidemark::workload {

struct Kind {
  std::string group;    // "" for the core group
  std::string version;  // "v1"
  std::string kind;     // "Deployment"
  std::string plural;   // "deployments"
  // JSON pointer to the pod template, the object that has metadata and spec: "/spec/template",
  // "/spec/jobTemplate/spec/template"; "" where the object is a pod itself.
  std::string template_pointer;
  // The API server refuses a changed template on UPDATE (Job, Pod).
  bool template_immutable = false;
  // The sweeper rolls it by changing its template: what a controller turns into new pods.
  bool rollable = false;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

// Deployment, StatefulSet, DaemonSet, CronJob, Job, ReplicaSet, ReplicationController, Pod.
std::span<const Kind> builtin_kinds();
// nullptr where the kind is not in the table.
const Kind* find_builtin_kind(std::string_view group, std::string_view kind);
// "deployment", "deployments", "deploy", "sts", "ds", "cj", ... as kubectl takes them.
const Kind* find_builtin_kind_by_name(std::string_view name);

}  // namespace tidemark::workload
