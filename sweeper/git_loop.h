// GitLoop: rounds of write-back, for what the configuration and Flux's objects ask for.
//
// Purpose: plan -> write (write_git.h) -> tell Flux, once for the command `git` and again and again
// beside the sweeps of `run`. Flux's objects are listed anew for each round: they are few, and a
// round is minutes apart. Thread-safety: one thread. Errors: in the report; Flux's objects that
// cannot be read are logged, and what the configuration asks for is done all the same.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "kube/api.h"
#include "sweeper/due.h"
#include "sweeper/flux_objects.h"
#include "sweeper/git_plan.h"
#include "sweeper/write_git.h"

namespace tidemark::sweeper {

// What is installed of Flux's image automation; nullopt: nothing.
Result<std::optional<FluxObjects>> read_flux(kube::Api& api, const std::stop_token& stop);

class GitLoop {
 public:
  // `flux`: its objects are read, too.
  GitLoop(kube::Api& api, const Clock& clock, Logger log, GitWriter writer, GitPlan configured,
          bool flux);

  GitReport round(const std::set<std::string>* pushed, bool dry_run, const std::stop_token& stop);

  // Rounds until `stop`: one each `interval`, and at once for what is due.
  void run(std::chrono::milliseconds interval, Due& due, const std::stop_token& stop);

 private:
  kube::Api& api_;
  const Clock& clock_;
  const Logger log_;
  GitWriter writer_;
  const GitPlan configured_;
  const bool flux_;
  std::set<std::string> images_;  // repositories of the last plan
};

}  // namespace tidemark::sweeper
