// PullCredentials: the keyrings of one sweep, one for each place that credentials come from.
//
// Purpose: pull secrets read by name (never listed), the service account's where the template names
// none, each at most once in a sweep. Carries bytes from kube/ to registry/, which never meet.
// Thread-safety: one thread. Ownership: secrets live as long as this object: one sweep.
// Errors: a secret that cannot be read is skipped and told in `problems`, as the kubelet goes on
// without it.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/api.h"
#include "registry/credentials.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {

class PullCredentials {
 public:
  // `api` nullptr: a mode with no access to Secrets at all. `deadline` bounds all reads together.
  PullCredentials(kube::Api* api, Deadline deadline, std::stop_token stop)
      : api_(api), deadline_(deadline), stop_(std::move(stop)) {}

  struct Source {
    registry::Keyring keyring;
    std::string problems;  // "" or "secret team-a/pull: not found"
  };
  const Source& of(const Workload& workload);

 private:
  struct Loaded {
    registry::Keyring keyring;
    std::string problem;
  };
  const Loaded& secret(const std::string& ns, const std::string& name);

  kube::Api* api_;
  Deadline deadline_;
  std::stop_token stop_;
  std::map<std::string, Source> sources_;
  std::map<std::string, Loaded> secrets_;
};

}  // namespace tidemark::sweeper
