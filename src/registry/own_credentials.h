// OwnCredentials: what Tidemark itself may use, behind what a query brings along.
//
// Purpose: a docker config file of the administrator's (a mounted Secret), as the kubelet has its
// node's: tried after the pod's own credentials, for everybody's images. The outermost resolver of
// a stack, so that the caches behind it keep answers apart by these credentials, too.
// Thread-safety: all of it from many threads. Ownership: refers to `next`, `clock`; both outlive
// it. Errors: make(): of read_file() or kInvalid, with the file's name. Later a file that cannot be
// read is told in the log, and what was read last goes on. Source: Kubernetes
// pkg/credentialprovider (the node's docker config).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "registry/credentials.h"
#include "registry/resolver.h"

namespace tidemark::registry {

class OwnCredentials final : public Resolver {
 public:
  // Mounted Secrets change by a rename that no open file sees: the file is read anew this often.
  static constexpr std::chrono::milliseconds kReread{10'000};

  static Result<std::unique_ptr<OwnCredentials>> make(std::filesystem::path file, Resolver& next,
                                                      const Clock& clock, Logger log);

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override;
  std::optional<Result<Resolution>> known(const Query& query) override;

 private:
  OwnCredentials(std::filesystem::path file, Keyring keyring, Resolver& next, const Clock& clock,
                 Logger log);
  Query with_own(const Query& query);

  const std::filesystem::path file_;
  Resolver& next_;
  const Clock& clock_;
  const Logger log_;
  std::mutex mutex_;
  Keyring keyring_;  // guarded by mutex_, as is read_at_
  SteadyTime read_at_;
};

}  // namespace tidemark::registry
