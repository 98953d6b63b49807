// Kind: which Kubernetes kinds carry pod templates, and where.
//
// Purpose: the one table that knows group, version, plural and template path: the built-in kinds,
// and those of the configuration. Everything else asks it. Thread-safety: values.
// Source: the Kubernetes API reference, apps/v1, batch/v1, core/v1.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

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
  // Controllers make it from a template that was stamped already: left alone where one owns it.
  bool made_by_controllers = false;
  bool custom = false;  // of the configuration: a CustomResourceDefinition says what it keeps

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

// Deployment, StatefulSet, DaemonSet, CronJob, Job, ReplicaSet, ReplicationController, Pod.
std::span<const Kind> builtin_kinds();

// A template pointer's length: the name of its matchCondition is "changed" and the pointer, with
// '-' for '/', and is a qualified name of 63 characters at most (webhook/manifest.cc).
inline constexpr std::size_t kMaxTemplatePointerBytes = 56;
// Each may add one matchCondition, and a webhook has at most 64 (admissionregistration/v1).
inline constexpr std::size_t kMaxCustomKinds = 32;

// A kind of the configuration. `name`: "argoproj.io/v1alpha1/Rollout". `plural`: "" for the one
// that Kubernetes itself would guess. `template_pointer`: "/spec/template"; its tokens are letters
// and digits, as the API conventions name fields. Errors: kInvalid saying what is wrong.
Result<Kind> make_custom_kind(std::string_view name, std::string_view plural,
                              std::string_view template_pointer);
// As UnsafeGuessKindToResource of k8s.io/apimachinery guesses it: "Rollout" -> "rollouts".
std::string guess_plural(std::string_view kind);

// The kinds that a program knows. Copies share them, and never change: a pointer to a kind is good
// for as long as any copy of its table, to a built-in one for ever.
class KindTable {
 public:
  KindTable();  // the built-in ones
  // The built-in ones, then these. kInvalid: a kind or a resource comes twice, or they are too
  // many.
  static Result<KindTable> with(const std::vector<Kind>& custom);

  std::span<const Kind> all() const { return *kinds_; }
  // nullptr where the kind is not in the table.
  const Kind* find(std::string_view group, std::string_view kind) const;
  // "deployment", "deployments", "deploy", "rollouts.argoproj.io", ... as kubectl takes them.
  const Kind* find_by_name(std::string_view name) const;

 private:
  explicit KindTable(std::shared_ptr<const std::vector<Kind>> kinds) : kinds_(std::move(kinds)) {}
  std::shared_ptr<const std::vector<Kind>> kinds_;  // never null
};

}  // namespace tidemark::workload
