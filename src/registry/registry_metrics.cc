#include "registry/registry_metrics.h"

namespace tidemark::registry {
namespace {

constexpr std::string_view kOther = "other";

std::string_view name_of(Operation operation) {
  switch (operation) {
    case Operation::kHead:
      return "head";
    case Operation::kGet:
      return "get";
    case Operation::kTags:
      return "tags";
    case Operation::kToken:
      return "token";
  }
  return "head";
}

std::string_view name_of(CacheOutcome outcome) {
  switch (outcome) {
    case CacheOutcome::kHit:
      return "hit";
    case CacheOutcome::kNegative:
      return "negative";
    case CacheOutcome::kStale:
      return "stale";
    case CacheOutcome::kMiss:
      return "miss";
    case CacheOutcome::kJoined:
      return "joined";
    case CacheOutcome::kError:
      return "error";
  }
  return "error";
}

}  // namespace

RegistryMetrics::RegistryMetrics(Metrics& metrics)
    : requests_(metrics.counter("tidemark_registry_requests_total",
                                "Requests to registries and their token servers.")),
      comparisons_(metrics.counter("tidemark_mirror_comparisons_total",
                                   "Comparisons of a mirror's digest with its registry's.")),
      resolve_(metrics.histogram("tidemark_resolve_seconds",
                                 "Time to answer which digest a reference has, by cache outcome.",
                                 latency_bounds_seconds())) {}

std::map<std::string, RegistryMetrics::Series, std::less<>>::iterator RegistryMetrics::series_of(
    std::string_view registry) {
  if (const auto known = series_.find(registry); known != series_.end()) return known;
  const std::string_view label = series_.size() < kMaxRegistries ? registry : kOther;
  return series_.try_emplace(std::string(label)).first;
}

void RegistryMetrics::count_request(std::string_view registry, Operation operation,
                                    std::string_view outcome) {
  const std::lock_guard lock(mutex_);
  requests_
      .with({{"registry", series_of(registry)->first},
             {"operation", std::string(name_of(operation))},
             {"outcome", std::string(outcome)}})
      .add();
}

void RegistryMetrics::count_comparison(std::string_view registry, Comparison outcome) {
  const std::string_view name = outcome == Comparison::kSame        ? "same"
                                : outcome == Comparison::kDifferent ? "different"
                                                                    : "unanswered";
  const std::lock_guard lock(mutex_);
  comparisons_.with({{"registry", series_of(registry)->first}, {"outcome", std::string(name)}})
      .add();
}

void RegistryMetrics::observe_resolve(std::string_view registry, CacheOutcome outcome,
                                      std::chrono::steady_clock::duration took) {
  const std::lock_guard lock(mutex_);
  const auto series = series_of(registry);
  std::optional<Histogram>& histogram = series->second.resolve[static_cast<std::size_t>(outcome)];
  if (!histogram) {
    histogram =
        resolve_.with({{"registry", series->first}, {"cache", std::string(name_of(outcome))}});
  }
  histogram->observe(std::chrono::duration<double>(took).count());
}

}  // namespace tidemark::registry
