// Quotas: what registries tell of how many more requests they will answer.
//
// Purpose: an anonymous account's quota (Docker Hub's 100 pulls in six hours) is shared with the
// nodes behind the same address, and must be left to them. Once no more than half of it is there,
// what is left is spread over the time that it has to last for, and the last one is never taken.
// HEADs may cost nothing (Docker Hub counts none), and then are not held back: each one that was is
// followed by one that is not, and where as many are left after that, they are free.
// Thread-safety: all methods from any thread. Memory: the kMaxKeys accounts that were used last.
// Source: Docker Hub "Usage and rate limits" (ratelimit-limit: 100;w=21600, ratelimit-remaining:
// 76;w=21600), IETF draft-ietf-httpapi-ratelimit-headers-03 (RateLimit-Limit, -Remaining, -Reset in
// seconds).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/http.h"
#include "registry/lru_map.h"

namespace tidemark::registry {

class Quotas {
 public:
  static constexpr std::size_t kMaxKeys = 1024;

  explicit Quotas(const Clock& clock) : clock_(clock), quotas_(kMaxKeys) {}

  // After an answer to a request of `key` (registry and account).
  void learn(const std::string& key, bool head, const net::Headers& headers);
  // How far the next request is to keep from the one before it.
  std::chrono::milliseconds spacing(const std::string& key, bool head);

  // What is known and not over yet, of each key.
  struct Left {
    std::string key;
    std::uint64_t limit;  // 0: not told
    std::uint64_t left;
    std::chrono::seconds to_come;
  };
  std::vector<Left> known();

 private:
  struct Quota {
    std::uint64_t limit = 0;  // 0: not told
    std::uint64_t left = 0;
    SteadyTime until;  // what is left has to last so long
    bool heads_are_free = false;
    bool last_was_head = false;
    enum class Probe { kNone, kReady, kSent } probe = Probe::kNone;  // the HEAD after a held one
  };
  const Clock& clock_;
  std::mutex mutex_;
  LruMap<Quota> quotas_;
};

}  // namespace tidemark::registry
