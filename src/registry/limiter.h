// Limiter: at most so many requests under way for one registry.
//
// Thread-safety: all methods from any thread. Memory: a key is stored only while it is in use.
// Errors: kTimeout and kCanceled for who waited in vain.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::registry {

class Limiter {
 public:
  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (owner_ != nullptr) owner_->release(key_);
    }

   private:
    friend class Limiter;
    Slot(Limiter& owner, std::string key) : owner_(&owner), key_(std::move(key)) {}
    Limiter* owner_;  // not owned
    std::string key_;
  };

  // Waits until fewer than `limit` slots of `key` are taken.
  Result<Slot> acquire(const std::string& key, std::size_t limit, Deadline deadline,
                       const std::stop_token& stop);

 private:
  struct Entry {
    std::size_t taken = 0;
    std::size_t waiting = 0;
    std::condition_variable_any freed;
  };
  void release(const std::string& key);
  void forget_if_idle(const std::string& key);

  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // nodes stay where they are while somebody waits
};

}  // namespace tidemark::registry
