// Credentials: what a request to the API server carries, kept fresh.
//
// Purpose: hides where it comes from (static token, rotated token file, exec plugin, certificate).
// Thread-safety: all methods from many threads; one of them at a time reads the file or runs the
// plugin, the others wait for it within the plugin's deadline.
// Source: KEP-1205: bound tokens are rotated in place, client-go re-reads the file each minute.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "kube/config.h"
#include "kube/exec.h"

namespace tidemark::kube {

struct Credential {
  std::string token;
  std::optional<net::KeyPair> client_pair;
  std::uint64_t generation = 0;  // changes whenever token or pair do
};

class Credentials {
 public:
  // `config` and `clock` must outlive this.
  Credentials(const ClusterConfig& config, const Clock& clock, Logger log);

  Result<Credential> current(Deadline deadline, const std::stop_token& stop);

  // The API server answered 401 to a request that carried `generation`. True where the next
  // current() may give something else, so that one more attempt makes sense.
  bool rejected(std::uint64_t generation);

 private:
  void read_token_file();
  Status run_plugin(Deadline deadline, const std::stop_token& stop);

  const ClusterConfig& config_;
  const Clock& clock_;
  const Logger log_;
  std::mutex mutex_;
  Credential credential_;
  std::optional<SteadyTime> read_at_;  // of the token file; nullopt: read it now
  bool plugin_due_ = true;
  std::optional<WallTime> expires_;  // of what the plugin gave
};

}  // namespace tidemark::kube
