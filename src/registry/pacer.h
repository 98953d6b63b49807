// Pacer: requests to one registry begin with a distance between them.
//
// Purpose: who comes gets a turn, `spacing` after the turn before it, and waits for it; nothing is
// saved up for later, so no burst ever follows a pause. Thread-safety: all methods from any thread.
// Memory: the kMaxKeys that were used last. Errors: kTooMany at once, with retry_after, where the
// turn would come after the deadline (the turn stays free); kCanceled.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "registry/lru_map.h"

namespace tidemark::registry {

class Pacer {
 public:
  static constexpr std::size_t kMaxKeys =
      1024;  // registries, and accounts; hosts are attacker-chosen

  explicit Pacer(const Clock& clock) : clock_(clock), last_(kMaxKeys) {}

  // Zero spacing: goes at once, and counts for the next who comes with one.
  Status wait(const std::string& key, std::chrono::microseconds spacing, Deadline deadline,
              const std::stop_token& stop);

 private:
  const Clock& clock_;
  std::mutex mutex_;
  LruMap<SteadyTime> last_;
};

}  // namespace tidemark::registry
