// RegistryMetrics: what is counted about registries.
//
//   tidemark_registry_requests_total{registry, operation, outcome}   every HTTP request
//   tidemark_resolve_seconds{registry, cache}                        every answer of the cache
//   tidemark_mirror_comparisons_total{registry, outcome}             mirrors beside their registry
//
// Hosts are attacker-chosen: the first kMaxRegistries keep their names, all others are "other".
// Thread-safety: all methods from any thread. Ownership: a view of Metrics, which must outlive it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"

namespace tidemark::registry {

enum class Operation { kHead, kGet, kTags, kToken };
// How the cache answered: from memory (a good or a negative entry, or an old one standing in), by
// asking, by waiting for another's question, or not at all.
enum class CacheOutcome { kHit, kNegative, kStale, kMiss, kJoined, kError };
inline constexpr std::size_t kCacheOutcomes = 6;

class RegistryMetrics {
 public:
  // A cluster's images come from a handful of registries; 100 are a page of Grafana.
  static constexpr std::size_t kMaxRegistries = 100;

  explicit RegistryMetrics(Metrics& metrics);

  // `outcome`: "ok" or the name of an ErrorKind.
  void count_request(std::string_view registry, Operation operation, std::string_view outcome);
  enum class Comparison { kSame, kDifferent, kUnanswered };
  void count_comparison(std::string_view registry, Comparison outcome);
  void observe_resolve(std::string_view registry, CacheOutcome outcome,
                       std::chrono::steady_clock::duration took);

 private:
  struct Series {
    std::array<std::optional<Histogram>, kCacheOutcomes> resolve;
  };
  // With the lock held.
  std::map<std::string, Series, std::less<>>::iterator series_of(std::string_view registry);

  const CounterFamily requests_;
  const CounterFamily comparisons_;
  const HistogramFamily resolve_;
  std::mutex mutex_;
  std::map<std::string, Series, std::less<>> series_;
};

}  // namespace tidemark::registry
