// ExpiringCache: what a cloud gives for a while, asked for once and renewed before its end.
//
// Purpose: one request for all who need the same thing at the same time. At 80 % of its life a
// value is asked for again by one caller, while all others go on with it; where that fails, so does
// that caller, until its end. What failed with nothing to go on with is not asked for again for
// kRetry, however many ask.
// Thread-safety: all methods from any thread. Ownership: values are copied out. Units: lifetimes
// from the moment of the request. Errors: those of the fetch, and kTimeout and kCanceled for who
// waited in vain (never remembered).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "registry/lru_map.h"
#include "registry/single_flight.h"

namespace tidemark::cloud {

template <typename Value>
struct Expiring {
  Value value;
  std::chrono::seconds lifetime;
};

template <typename Value>
class ExpiringCache {
 public:
  static constexpr std::chrono::seconds kRetry{15};
  static constexpr std::chrono::seconds kRenewalRetry{60};
  // Who had less for a request has learnt nothing from a timeout.
  static constexpr std::chrono::milliseconds kFairTime{500};
  // Keys come from image names: regions, registries.
  static constexpr std::size_t kMaxEntries = 256;

  // `what` for the log: "ECR token".
  ExpiringCache(std::string what, const Clock& clock, Logger log)
      : what_(std::move(what)), clock_(clock), log_(std::move(log)), entries_(kMaxEntries) {}

  // `fetch` is called as `Result<Expiring<Value>> fetch()`.
  template <typename Fetch>
  Result<Value> get(const std::string& key, Deadline deadline, const std::stop_token& stop,
                    const Fetch& fetch) {
    std::optional<Value> old;
    if (auto settled = look_up(key, &old)) return std::move(*settled);
    const auto look = [&]() -> std::optional<Result<Value>> {
      if (old) return std::nullopt;
      return look_up(key, nullptr);
    };
    auto value = flights_.run(key, deadline, stop, look,
                              [&] { return fetch_and_keep(key, deadline, stop, fetch); });
    if (!value && old) return std::move(*old);
    return value;
  }

  // Never waits.
  std::optional<Value> known(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const Entry* entry = entries_.find(key);
    if (entry == nullptr || !entry->value || clock_.steady_now() >= entry->good_until) {
      return std::nullopt;
    }
    return entry->value;
  }

 private:
  struct Entry {
    std::optional<Value> value = std::nullopt;
    SteadyTime good_until{};
    std::optional<Error> error = std::nullopt;
    SteadyTime next_attempt{};
  };

  // What needs no request. Where `old` is given, and this caller is to renew a value that is still
  // good, that value is put there.
  std::optional<Result<Value>> look_up(const std::string& key, std::optional<Value>* old) {
    const std::lock_guard lock(mutex_);
    Entry* entry = entries_.find(key);
    if (entry == nullptr) return std::nullopt;
    const SteadyTime now = clock_.steady_now();
    if (entry->value && now < entry->good_until) {
      if (old == nullptr || now < entry->next_attempt) return *entry->value;
      entry->next_attempt = now + kRenewalRetry;
      *old = entry->value;
      return std::nullopt;
    }
    if (entry->error && now < entry->next_attempt) return fail(*entry->error);
    return std::nullopt;
  }

  template <typename Fetch>
  Result<Value> fetch_and_keep(const std::string& key, Deadline deadline,
                               const std::stop_token& stop, const Fetch& fetch) {
    const SteadyTime asked = clock_.steady_now();
    const bool fair = deadline.remaining() >= kFairTime;
    Result<Expiring<Value>> got = fetch();
    if (!got) {
      // The caller's own reasons say nothing of the cloud.
      if ((!fair && deadline.expired()) || stop.stop_requested()) return fail(got.error());
      log_.warn(what_ + " not to be had", {{"for", key}, {"cause", got.error().message}});
      const std::lock_guard lock(mutex_);
      Entry* entry = entries_.find(key);
      if (entry == nullptr) entry = &entries_.put(key, Entry{});
      if (!entry->value || clock_.steady_now() >= entry->good_until) {
        entry->error = got.error();
        entry->next_attempt = clock_.steady_now() + kRetry;
      }
      return fail(std::move(got.error()));
    }
    // It must not end between here and who checks it.
    const std::lock_guard lock(mutex_);
    const std::chrono::seconds margin =
        std::min<std::chrono::seconds>(got->lifetime / 10, std::chrono::seconds{60});
    entries_.put(key, Entry{.value = got->value,
                            .good_until = asked + got->lifetime - margin,
                            .error = std::nullopt,
                            .next_attempt = asked + got->lifetime * 4 / 5});
    return std::move(got->value);
  }

  const std::string what_;
  const Clock& clock_;
  const Logger log_;
  std::mutex mutex_;
  registry::LruMap<Entry> entries_;
  registry::SingleFlight<Value> flights_;
};

}  // namespace tidemark::cloud
