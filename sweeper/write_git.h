// GitWriter: what the configuration's policies choose, written into its Git repositories.
//
// Purpose: one round: choose -> write back, for `run` (write_git_while) and the command `git`. A
// policy is asked about as a workload would be that follows it: by the pull secrets of its
// namespace. Budgets, windows and holds are the cluster's and say nothing here: what is written is
// rolled out by whoever applies the repository.
// Thread-safety: one thread. Ownership: of the clones below `git.folder`. Errors: in the report; a
// repository that cannot be written holds up no other.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/git.h"
#include "gitops/write_back.h"
#include "kube/api.h"
#include "policy/tag_policy.h"
#include "registry/resolver.h"
#include "sweeper/choose.h"
#include "sweeper/credentials.h"
#include "sweeper/due.h"

namespace tidemark::sweeper {

struct ChosenImage {
  const config::NamedPolicy* policy = nullptr;
  Result<policy::TagChoice> choice = fail(ErrorKind::kCanceled, "not asked: stopped");
  std::string digest{};  // where the policy asks for it
};

struct GitOutcome {
  const config::GitRepository* repository = nullptr;
  Result<gitops::WriteBackOutcome> outcome = fail(ErrorKind::kCanceled, "not asked: stopped");
};

struct GitReport {
  std::vector<ChosenImage> policies;     // in the configuration's order
  std::vector<GitOutcome> repositories;  // the same
  bool failed() const;                   // a policy, a repository, or a marker
  bool changed() const;                  // something was written, or would be
};

struct GitWriterOptions {
  std::vector<config::NamedPolicy> policies;
  config::GitConfig git;
  std::string user_agent;
  bool read_secrets = true;
  std::chrono::milliseconds one{300'000};  // one repository in one round
};

class GitWriter {
 public:
  GitWriter(kube::Api& api, registry::Resolver& resolver, const Clock& clock, Metrics& metrics,
            Logger log, GitWriterOptions options);

  // `pushed`: repositories of images that somebody pushed to, which are asked about at once;
  // nullptr: those whose time it is.
  GitReport round(const std::set<std::string>* pushed, bool dry_run, const std::stop_token& stop);
  // What Due may wake a round for: the policies' repositories of images.
  std::set<std::string> repositories() const;

 private:
  struct Clone {
    gitops::GitCredentials credentials;
    gitops::WriteBack write_back;
  };
  std::vector<ChosenImage> choose_all(const std::set<std::string>* pushed,
                                      const std::stop_token& stop);
  Result<gitops::GitCredentials> credentials_of(const config::GitRepository& repository,
                                                const std::stop_token& stop) const;
  Result<gitops::WriteBack*> clone_of(const config::GitRepository& repository,
                                      const std::stop_token& stop);
  Result<gitops::WriteBackOutcome> write(const config::GitRepository& repository,
                                         const gitops::PolicyImages& images, bool dry_run,
                                         const std::stop_token& stop);
  void record(const GitOutcome& outcome) const;

  kube::Api& api_;
  registry::Resolver& resolver_;
  const Clock& clock_;
  const Logger log_;
  const GitWriterOptions options_;
  PullCredentials pull_credentials_;
  TagChoices choices_;
  std::map<std::string, Clone> clones_;  // by the repository's name
  CounterFamily rounds_;
  CounterFamily commits_;
  GaugeFamily last_success_;
};

// Rounds until `stop`: one each `interval`, and at once for what is due.
void write_git_while(GitWriter& writer, std::chrono::milliseconds interval, Due& due,
                     const Clock& clock, const std::stop_token& stop);

}  // namespace tidemark::sweeper
