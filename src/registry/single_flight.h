// SingleFlight: one piece of work for all who ask for the same thing at the same time.
//
// The work runs on the thread of the first who asks (the leader), with the leader's deadline: no
// threads of its own, so a registry that hangs can never use up a pool that others need. Who comes
// later waits, and leaves on its own deadline or stop. Where the leader gave up for a reason of its
// own (its deadline passed, its stop was requested), nothing has been learnt about the work: one of
// those who wait becomes the next leader, so that a short deadline never becomes another's failure.
// Who leads may look once more whether it is known by now: a flight may have landed between the
// caller's own look and its turn. What it finds is its own; those who wait may want it newer.
// Thread-safety: run() from any thread. Ownership: values are copied to each who waited.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::registry {

template <typename Value>
class SingleFlight {
 public:
  // `work` is called as `Result<Value> work()`. Errors: those of `work`; kTimeout and kCanceled for
  // who waited in vain.
  template <typename Work>
  Result<Value> run(const std::string& key, Deadline deadline, const std::stop_token& stop,
                    const Work& work) {
    return run(
        key, deadline, stop, [] { return std::optional<Result<Value>>(); }, work);
  }
  // `look` is called as `std::optional<Result<Value>> look()`.
  template <typename Look, typename Work>
  Result<Value> run(const std::string& key, Deadline deadline, const std::stop_token& stop,
                    const Look& look, const Work& work) {
    std::unique_lock lock(mutex_);
    while (true) {
      const auto [position, leads] = flights_.try_emplace(key);
      if (leads) {
        position->second = std::make_shared<Flight>();
        const Landing landing(*this, key, position->second);
        lock.unlock();
        if (std::optional<Result<Value>> known = look()) return *std::move(known);
        Result<Value> result = work();
        const bool own_reason =
            !result && ((result.error().kind == ErrorKind::kTimeout && deadline.expired()) ||
                        (result.error().kind == ErrorKind::kCanceled && stop.stop_requested()));
        lock.lock();
        if (!own_reason) landing.flight->result = result;
        lock.unlock();
        return result;
      }
      const std::shared_ptr<Flight> flight = position->second;
      ++waiting_;
      const bool landed =
          flight->landed.wait_until(lock, stop, deadline.point(), [&] { return flight->done; });
      --waiting_;
      if (!landed) {
        if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "canceled while waiting");
        return fail(ErrorKind::kTimeout, "no answer before the deadline");
      }
      if (flight->result) return *flight->result;
    }
  }

  // How many wait for another's answer now.
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  struct Flight {
    std::condition_variable_any landed;
    bool done = false;
    std::optional<Result<Value>> result;  // none: the leader gave up for a reason of its own
  };
  // Ends the flight however its leader leaves.
  struct Landing {
    Landing(SingleFlight& owner, const std::string& key, std::shared_ptr<Flight> its_flight)
        : flight(std::move(its_flight)), owner_(owner), key_(key) {}
    ~Landing() {
      const std::lock_guard lock(owner_.mutex_);
      owner_.flights_.erase(key_);
      flight->done = true;
      flight->landed.notify_all();
    }
    Landing(const Landing&) = delete;
    Landing& operator=(const Landing&) = delete;

    const std::shared_ptr<Flight> flight;

   private:
    SingleFlight& owner_;
    const std::string& key_;
  };

  mutable std::mutex mutex_;
  std::size_t waiting_ = 0;
  std::map<std::string, std::shared_ptr<Flight>, std::less<>> flights_;
};

}  // namespace tidemark::registry
