#include "sweeper/due.h"

#include <algorithm>
#include <utility>

#include "sweeper/choose.h"

namespace tidemark::sweeper {
namespace {

SteadyTime later(SteadyTime time, std::chrono::milliseconds by) {
  return time == SteadyTime::min() ? time : time + by;
}

}  // namespace

// By itself, or as a tag of a repository that a policy looks at.
bool Due::is_known(const std::string& reference) const {
  return known_.contains(reference) || known_.contains(repository_part(reference));
}

Due::Added Due::add(const std::string& reference) {
  const SteadyTime now = clock_.steady_now();
  const std::lock_guard lock(mutex_);
  const bool known = is_known(reference);
  auto& names = known ? due_ : unknown_;
  if (!names.contains(reference)) {
    if (names.size() >= options_.max_names) return Added::kFull;
    names.emplace(reference, now);
    changed_.notify_all();
  }
  return known ? Added::kDue : Added::kUnknown;
}

void Due::know(std::set<std::string> references) {
  const std::lock_guard lock(mutex_);
  known_ = std::move(references);
  for (auto name = unknown_.begin(); name != unknown_.end();) {
    const auto next = std::next(name);
    if (is_known(name->first)) due_.insert(unknown_.extract(name));
    name = next;
  }
}

SteadyTime Due::next_wake() const {
  SteadyTime wake = SteadyTime::max();
  if (!due_.empty()) wake = later(last_taken_, options_.gap);
  if (!unknown_.empty()) wake = std::min(wake, later(last_taken_, options_.lookup));
  return wake;
}

bool Due::wait(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const SteadyTime end = clock_.steady_now() + time;
  while (!stop.stop_requested()) {
    const SteadyTime wake = next_wake();
    const SteadyTime now = clock_.steady_now();
    if (wake <= now || end <= now) return true;
    // Whatever wakes it, the loop looks again.
    (void)changed_.wait_for(lock, stop, std::min(wake, end) - now,
                            [&] { return next_wake() < wake; });
  }
  return false;
}

std::map<std::string, SteadyTime> Due::take() {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  if (next_wake() > now) return {};
  last_taken_ = now;
  std::map<std::string, SteadyTime> taken = std::exchange(due_, {});
  taken.merge(std::exchange(unknown_, {}));
  return taken;
}

}  // namespace tidemark::sweeper
