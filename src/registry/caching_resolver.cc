#include "registry/caching_resolver.h"

#include <algorithm>
#include <utility>

namespace tidemark::registry {
namespace {

// Access may be withdrawn all the same.
constexpr std::chrono::milliseconds kImmutableTtl = std::chrono::hours{24};
// Of an image with a tag, its registry and one credential.
constexpr std::size_t kUsualKeyBytes = 256;

// What stays true for a while: asking again at once would get the same answer.
bool is_lasting(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNotFound:
    case ErrorKind::kUnauthorized:
    case ErrorKind::kForbidden:
    case ErrorKind::kInvalid:
    case ErrorKind::kTls:
    case ErrorKind::kTooLarge:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string CachingResolver::key_of(const Query& query) const {
  std::string key;
  key.reserve(kUsualKeyBytes);
  query.reference.append_to(key);
  if (options_.append_name) {
    key += "\n";
    options_.append_name(query.reference.registry(), key);
  }
  if (query.with_platforms) key += "\nplatforms";
  for (const Credential& credential : query.credentials) {
    key.append("\n").append(credential.identity());
  }
  return key;
}

Result<Resolution> CachingResolver::resolve(const Query& query, Deadline deadline,
                                            std::stop_token stop) {
  if (auto answer = known(query)) return std::move(*answer);
  const SteadyTime start = clock_.steady_now();
  const auto observed = [&](CacheOutcome outcome) { observe(query, outcome, start); };
  const std::string key = key_of(query);

  bool asked = false;
  bool known_by_now = false;
  const auto look = [&] {
    auto answer = cached(key, query);
    known_by_now = answer.has_value();
    return answer;
  };
  auto result = flights_.run(key, deadline, stop, look, [&] {
    asked = true;
    return ask(key, query, deadline, stop);
  });
  if (known_by_now) {
    observed(result ? CacheOutcome::kHit : CacheOutcome::kNegative);
    return result;
  }
  if (result) {
    observed(asked ? CacheOutcome::kMiss : CacheOutcome::kJoined);
    return result;
  }
  if (result.error().retryable() && query.max_age.count() > 0 && query.stale_ok) {
    if (auto old = stale(key)) {
      observed(CacheOutcome::kStale);
      return std::move(*old);
    }
  }
  observed(CacheOutcome::kError);
  return result;
}

std::optional<Result<Resolution>> CachingResolver::known(const Query& query) {
  const SteadyTime start = clock_.steady_now();
  auto answer = cached(key_of(query), query);
  if (answer) observe(query, *answer ? CacheOutcome::kHit : CacheOutcome::kNegative, start);
  return answer;
}

void CachingResolver::observe(const Query& query, CacheOutcome outcome, SteadyTime start) {
  metrics_.observe_resolve(query.reference.registry(), outcome, clock_.steady_now() - start);
}

std::optional<Result<Resolution>> CachingResolver::cached(const std::string& key,
                                                          const Query& query) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = cache_.find(key);
  if (entry == nullptr) return std::nullopt;
  // What a digest names never changes.
  const auto longest = entry->bad              ? options_.negative_ttl
                       : query.reference.tag() ? options_.cache_ttl
                                               : std::max(options_.cache_ttl, kImmutableTtl);
  if (clock_.steady_now() - entry->at >= std::min(longest, query.max_age)) return std::nullopt;
  if (entry->bad) return fail(*entry->bad);
  Resolution resolution = *entry->good;
  resolution.freshness = Resolution::Freshness::kCached;
  return resolution;
}

std::optional<Resolution> CachingResolver::stale(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const Entry* entry = cache_.find(key);
  if (entry == nullptr || !entry->good) return std::nullopt;
  if (clock_.steady_now() - entry->at >= options_.stale_if_error) return std::nullopt;
  Resolution resolution = *entry->good;
  resolution.freshness = Resolution::Freshness::kStale;
  return resolution;
}

Result<Resolution> CachingResolver::ask(const std::string& key, const Query& query,
                                        Deadline deadline, const std::stop_token& stop) {
  const SteadyTime asked_at = clock_.steady_now();
  auto result = inner_.resolve(query, deadline, stop);
  const std::lock_guard lock(mutex_);
  if (result) {
    cache_.put(key, Entry{.good = *result, .bad = std::nullopt, .at = asked_at});
  } else if (is_lasting(result.error().kind)) {
    // An old good answer goes too: what the registry takes away must not come back as stale.
    cache_.put(key, Entry{.good = std::nullopt, .bad = result.error(), .at = asked_at});
  }
  return result;
}

}  // namespace tidemark::registry
