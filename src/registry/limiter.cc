#include "registry/limiter.h"

namespace tidemark::registry {

Result<Limiter::Slot> Limiter::acquire(const std::string& key, std::size_t limit, Deadline deadline,
                                       const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  Entry& entry = entries_[key];
  ++entry.waiting;
  const bool free =
      entry.freed.wait_until(lock, stop, deadline.point(), [&] { return entry.taken < limit; });
  --entry.waiting;
  if (!free) {
    forget_if_idle(key);
    if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "canceled while waiting");
    return fail(ErrorKind::kTimeout, "too many requests are under way to this registry");
  }
  ++entry.taken;
  return Slot(*this, key);
}

void Limiter::release(const std::string& key) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_.at(key);
  --entry.taken;
  // One slot, one waiter; a waiter that leaves at this very moment has taken the slot first or has
  // found the predicate true (wait_until checks it once more at the end).
  entry.freed.notify_one();
  forget_if_idle(key);
}

void Limiter::forget_if_idle(const std::string& key) {
  const auto found = entries_.find(key);
  if (found != entries_.end() && found->second.taken == 0 && found->second.waiting == 0) {
    entries_.erase(found);
  }
}

}  // namespace tidemark::registry
