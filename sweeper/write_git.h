// GitWriter: what a plan's policies choose, written into its Git repositories.
//
// Purpose: one round: choose -> write back (git_loop.h calls it). A
// policy is asked about as a workload would be that follows it: by the pull secrets of its
// namespace. Budgets, windows and holds are the cluster's and say nothing here: what is written is
// rolled out by whoever applies the repository.
// Thread-safety: one thread. Ownership: of the clones below its folder. Errors: in the report; a
// repository that cannot be written holds up no other.
#pragma once

#include <chrono>
#include <filesystem>
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
#include "registry/resolver.h"
#include "sweeper/choose.h"
#include "sweeper/credentials.h"
#include "sweeper/git_plan.h"

namespace tidemark::sweeper {

struct GitWriterOptions {
  std::chrono::milliseconds interval{300'000};
  std::filesystem::path folder{};  // of the clones
  std::string user_agent{};
  bool read_secrets = true;
  std::chrono::milliseconds one{300'000};  // one repository in one round
};

class GitWriter {
 public:
  GitWriter(kube::Api& api, registry::Resolver& resolver, const Clock& clock, Metrics& metrics,
            Logger log, GitWriterOptions options);

  // `pushed`: repositories of images that somebody pushed to, which are asked about at once;
  // nullptr: those whose time it is.
  GitReport round(const GitPlan& plan, const std::set<std::string>* pushed, bool dry_run,
                  const std::stop_token& stop);

 private:
  struct Clone {
    gitops::GitCredentials credentials;
    config::GitRepository repository;
    gitops::WriteBack write_back;
  };
  std::vector<ChosenImage> choose_all(const std::vector<GitPolicy>& policies,
                                      const std::set<std::string>* pushed,
                                      const std::stop_token& stop);
  Result<std::map<std::string, std::string>> read_secret(const std::string& name,
                                                         const std::stop_token& stop) const;
  Result<gitops::GitCredentials> credentials_of(const GitTarget& target,
                                                const std::stop_token& stop) const;
  Result<gitops::WriteBack*> clone_of(const GitTarget& target, const std::stop_token& stop);
  Result<gitops::WriteBackOutcome> write(const GitTarget& target,
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

// What Due may wake a round for: the policies' repositories of images.
std::set<std::string> image_repositories(const GitPlan& plan);

}  // namespace tidemark::sweeper
