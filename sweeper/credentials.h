// PullCredentials: the keyrings of the sweeps, one for each place that credentials come from.
//
// Purpose: pull secrets read by name (never listed), the service account's where the template names
// none, each at most once in kTtl; so a sweep after another reads nothing. Carries bytes from kube/
// to registry/, which never meet.
// Thread-safety: one thread; prefetch() reads with many. Ownership: secrets live for kTtl at most,
// from one sweep to the next; who pauses longer calls forget(). Errors: a secret that cannot be
// read is skipped and told in `problems`, as the kubelet goes on without it; what may work in a
// moment is read again by the next sweep.
#pragma once

#include <chrono>
#include <cstddef>
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
  // A rotated credential is read at once where the registry refuses the old one (refused()), so
  // this bounds only how long a secret stays in memory, and a registry that shows less to nobody.
  static constexpr std::chrono::minutes kTtl{5};

  // `api` nullptr: a mode with no access to Secrets at all.
  PullCredentials(kube::Api* api, const Clock& clock) : api_(api), clock_(clock) {}

  // A sweep begins: `deadline` bounds all its reads together. What is too old is forgotten.
  void begin(Deadline deadline, std::stop_token stop);

  // Reads what of() will need for these, many at a time: in a cluster of many namespaces of() would
  // wait for one answer after another.
  void prefetch(const std::vector<const Workload*>& workloads, std::size_t concurrency);

  struct Source {
    registry::Keyring keyring;
    std::string problems;  // "" or "secret team-a/pull: not found"
  };
  const Source& of(const Workload& workload);
  // A registry refused what this source gave: true where it was read before this sweep, and is
  // read again by the next of().
  bool refused(const std::string& pull_source);
  void forget();

 private:
  struct Loaded {
    registry::Keyring keyring;
    std::string problem;
    SteadyTime at{};
    bool keep = true;  // false: its problem may pass
  };
  struct Account {
    std::vector<std::string> secrets;  // their names
    std::string problem;
    SteadyTime at{};
    bool keep = true;
  };
  struct Entry {
    Source source;
    std::string account;               // key of accounts_, "" for none
    std::vector<std::string> secrets;  // keys of secrets_
    SteadyTime at{};
    bool keep = true;
  };
  Account read_account(const std::string& ns, const std::string& name) const;
  Loaded read_secret(const std::string& ns, const std::string& name) const;
  const Account& account(const Workload& workload);
  const Loaded& secret(const std::string& ns, const std::string& name);

  kube::Api* api_;
  const Clock& clock_;
  Deadline deadline_ = Deadline::after(std::chrono::milliseconds::zero());
  std::stop_token stop_;
  SteadyTime began_{};
  std::map<std::string, Entry> sources_;
  std::map<std::string, Account> accounts_;  // by namespace and name, as are the secrets
  std::map<std::string, Loaded> secrets_;
};

}  // namespace tidemark::sweeper
