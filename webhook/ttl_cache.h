// TtlCache: a bounded map whose entries expire.
//
// Purpose: what admission asks the API server for (namespaces, pull secrets) is asked once in a
// while, not once a request. Thread-safety: all methods from any thread. Ownership: copies; make V
// a shared_ptr where copies are not cheap. Errors: none.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace tidemark::webhook {

template <typename V>
class TtlCache {
 public:
  TtlCache(const Clock& clock, std::chrono::milliseconds ttl, std::size_t max_entries)
      : clock_(clock), ttl_(ttl), max_entries_(max_entries) {}

  std::optional<V> get(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || clock_.steady_now() >= found->second.expires) {
      return std::nullopt;
    }
    return found->second.value;
  }

  // At the bound everything expired goes, and where that is not enough, everything: simpler than
  // an order of use, and the bound is far above what a cluster asks within one `ttl`.
  void put(std::string_view key, V value) {
    const SteadyTime now = clock_.steady_now();
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= max_entries_ && !entries_.contains(key)) {
      std::erase_if(entries_, [now](const auto& entry) { return now >= entry.second.expires; });
      if (entries_.size() >= max_entries_) entries_.clear();
    }
    entries_.insert_or_assign(std::string(key), Entry{std::move(value), now + ttl_});
  }

  void erase(std::string_view key) {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(key); found != entries_.end()) entries_.erase(found);
  }

 private:
  struct Entry {
    V value;
    SteadyTime expires;
  };
  const Clock& clock_;
  const std::chrono::milliseconds ttl_;
  const std::size_t max_entries_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace tidemark::webhook
