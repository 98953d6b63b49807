#include "net/pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tidemark::net {

ConnectionPool::ConnectionPool(std::size_t max_idle_per_key, std::chrono::milliseconds idle_timeout,
                               std::shared_ptr<const Clock> clock)
    : max_idle_per_key_(max_idle_per_key), idle_timeout_(idle_timeout), clock_(std::move(clock)) {}

void ConnectionPool::expire(std::vector<Idle>& closed) {
  const SteadyTime oldest = clock_->steady_now() - idle_timeout_;
  const auto first_kept =
      std::ranges::find_if(idle_, [&](const Idle& entry) { return entry.since > oldest; });
  std::move(idle_.begin(), first_kept, std::back_inserter(closed));
  idle_.erase(idle_.begin(), first_kept);
}

std::optional<Connection> ConnectionPool::take(const std::string& key) {
  std::vector<Idle> closed;
  const std::lock_guard lock(mutex_);
  expire(closed);
  for (;;) {
    const auto found =
        std::find_if(idle_.rbegin(), idle_.rend(), [&](const Idle& e) { return e.key == key; });
    if (found == idle_.rend()) return std::nullopt;
    Connection connection = std::move(found->connection);
    idle_.erase(std::next(found).base());
    if (!connection.stale()) return connection;
  }
}

void ConnectionPool::put(const std::string& key, Connection connection) {
  if (max_idle_per_key_ == 0) return;
  std::vector<Idle> closed;
  const std::lock_guard lock(mutex_);
  expire(closed);
  const auto same_key = [&](const Idle& entry) { return entry.key == key; };
  const auto same = static_cast<std::size_t>(std::ranges::count_if(idle_, same_key));
  if (same >= max_idle_per_key_ || idle_.size() >= kMaxIdleConnections) {
    const auto oldest =
        same >= max_idle_per_key_ ? std::ranges::find_if(idle_, same_key) : idle_.begin();
    closed.push_back(std::move(*oldest));
    idle_.erase(oldest);
  }
  idle_.push_back({.key = key, .connection = std::move(connection), .since = clock_->steady_now()});
}

std::size_t ConnectionPool::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_.size();
}

}  // namespace tidemark::net
