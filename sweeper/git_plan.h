// GitPlan: which policies choose, and into which Git repositories that is written.
//
// Purpose: the value between who asks for a write-back (the configuration, Flux's objects) and who
// does it (write_git.h). Thread-safety: values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/git.h"
#include "gitops/write_back.h"
#include "policy/tag_policy.h"

namespace tidemark::sweeper {

struct GitPolicy {
  config::NamedPolicy named;
  std::string secrets_namespace{};             // of its pull secrets; "": the name's
  std::string service_account = "default";     // whose pull secrets it has, if it names none
  std::optional<gitops::PolicyImage> fixed{};  // chosen already: nobody is asked
  std::optional<gitops::PolicyImage> known{};  // its digest stays as long as its tag is chosen
};

struct GitTarget {
  config::GitRepository repository;
  std::vector<std::size_t> policies{};  // that its markers may name: places in GitPlan::policies
  std::string signing_secret{};         // "namespace/name", with the key in `identity`
};

struct GitPlan {
  std::vector<GitPolicy> policies{};
  std::vector<GitTarget> targets{};
};

GitPlan plan_of(const std::vector<config::NamedPolicy>& policies, const config::GitConfig& git);

struct ChosenImage {
  config::NamedPolicy policy;
  Result<policy::TagChoice> choice = fail(ErrorKind::kCanceled, "not asked: stopped");
  std::string digest{};  // where the policy asks for it
};

struct GitOutcome {
  config::GitRepository repository;
  Result<gitops::WriteBackOutcome> outcome = fail(ErrorKind::kCanceled, "not asked: stopped");
};

struct GitReport {
  std::vector<ChosenImage> policies{};     // in the plan's order
  std::vector<GitOutcome> repositories{};  // the same
  bool failed() const;                     // a policy, a repository, or a marker
  bool changed() const;                    // something was written, or would be
};

}  // namespace tidemark::sweeper
