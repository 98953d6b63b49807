// Breaker: a registry that does not answer is left alone for a while.
//
// Purpose: a dead or hanging registry delays only the first who ask it; after that they are
// answered at once, and one probe at a time finds out whether it is back. A registry that says
// "slow down" (429) is left alone for as long as it asked. Keys are the caller's: a registry's
// host, or host and credential where a limit belongs to an account. Thread-safety: all methods from
// any thread. Memory: keys without trouble are not stored, and at most kMaxKeys are (hosts are
// attacker-chosen): the one that was touched longest ago gives way.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::registry {

class Breaker {
 public:
  struct Options {
    unsigned failures_to_open = 3;  // consecutive ones; one lost packet opens nothing
    // How long it stays open: drawn from [half, whole], so that replicas do not probe together;
    // doubles with each failed probe up to the maximum.
    std::chrono::milliseconds open_for{5'000};
    std::chrono::milliseconds max_open_for{60'000};
  };
  static constexpr std::size_t kMaxKeys = 1024;

  Breaker(Options options, const Clock& clock, std::uint64_t seed);

  // Permission for one try. Says how the try went exactly once; a ticket that is dropped without a
  // word (canceled, the caller's own deadline) counts as neither.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          key_(std::move(other.key_)),
          probe_(other.probe_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();
    void succeeded();
    void failed();

   private:
    friend class Breaker;
    Ticket(Breaker& owner, std::string key, bool probe)
        : owner_(&owner), key_(std::move(key)), probe_(probe) {}
    Breaker* owner_;  // not owned; nullptr once the ticket is used
    std::string key_;
    bool probe_;  // the one try that an open breaker lets through
  };

  // kUnavailable with retry_after while the key is open; kTooMany while it is paused.
  Result<Ticket> admit(const std::string& key);
  // The same answer without taking part: true where admit() would refuse now.
  Status check(const std::string& key) const;
  // Nobody is admitted for `key` during `time`.
  void pause(const std::string& key, std::chrono::milliseconds time);

 private:
  struct Entry {
    unsigned failures = 0;
    bool open = false;
    bool probing = false;
    std::chrono::milliseconds open_for{0};
    SteadyTime closed_until;  // open: when the next probe may go
    SteadyTime paused_until;
    SteadyTime touched;
  };
  enum class Outcome { kSucceeded, kFailed, kUnknown };

  Status refusal(const Entry& entry, SteadyTime now) const;
  Entry& touch(const std::string& key, SteadyTime now);
  void settle(const std::string& key, bool probe, Outcome outcome);

  const Options options_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::mt19937_64 random_;
};

}  // namespace tidemark::registry
