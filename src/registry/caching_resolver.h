// CachingResolver: answers many askers with one request.
//
// Purpose: good answers are kept for cache_ttl, of a digest for a day (or the query's shorter
// max_age), refusals that time
// alone does not mend (not found, unauthorized, forbidden, invalid, tls) for negative_ttl. Who asks
// for the same at the same time shares one question (SingleFlight). Where asking fails for a reason
// that may pass, an answer not older than stale_if_error stands in, marked kStale; never for a
// query with max_age zero, whose caller wants the registry's own word. The key is the normalised
// reference, what is asked of it, and the identities of all credentials, in order: a tenant learns
// nothing from the cache that its own credentials could not read. Thread-safety: see resolver.h.
// Ownership: views of the inner resolver, clock and metrics, which must outlive it. Memory: at most
// `entries`, the one used longest ago gives way.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "registry/lru_map.h"
#include "registry/registry_metrics.h"
#include "registry/resolver.h"
#include "registry/single_flight.h"

namespace tidemark::registry {

class CachingResolver final : public Resolver {
 public:
  struct Options {
    std::chrono::milliseconds cache_ttl{30'000};
    std::chrono::milliseconds negative_ttl{5'000};
    std::chrono::milliseconds stale_if_error{600'000};
    std::size_t entries = 10'000;
    // Appends the Endpoint::name of a reference's registry to the key: an answer counts no longer
    // than the entry by which it was asked for. None: the registry's entry never changes.
    std::function<void(std::string_view registry, std::string& key)> append_name{};
  };
  CachingResolver(const Options& options, Resolver& inner, const Clock& clock,
                  RegistryMetrics& metrics)
      : options_(options),
        inner_(inner),
        clock_(clock),
        metrics_(metrics),
        cache_(options.entries) {}

  Result<Resolution> resolve(const Query& query, Deadline deadline,
                             std::stop_token stop = {}) override;
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop = {}) override {
    return inner_.tags(query, deadline, std::move(stop));
  }
  Result<Creation> created(const Query& query, Deadline deadline,
                           std::stop_token stop = {}) override {
    return inner_.created(query, deadline, std::move(stop));
  }
  std::optional<Result<Resolution>> known(const Query& query) override;
  // How many callers wait for another's question now.
  std::size_t waiting() const { return flights_.waiting(); }

 private:
  struct Entry {
    std::optional<Resolution> good;
    std::optional<Error> bad;
    SteadyTime at;  // when it was asked for, so that an answer is never younger than it claims
  };
  std::string key_of(const Query& query) const;
  std::optional<Result<Resolution>> cached(const std::string& key, const Query& query);
  void observe(const Query& query, CacheOutcome outcome, SteadyTime start);
  std::optional<Resolution> stale(const std::string& key);
  Result<Resolution> ask(const std::string& key, const Query& query, Deadline deadline,
                         const std::stop_token& stop);

  const Options options_;
  Resolver& inner_;
  const Clock& clock_;
  RegistryMetrics& metrics_;
  std::mutex mutex_;
  LruMap<Entry> cache_;
  SingleFlight<Resolution> flights_;
};

}  // namespace tidemark::registry
