// ConnectionPool: idle connections of one client, kept for its next request.
//
// Purpose: a TLS handshake costs more than the HEAD that follows it. A connection has one borrower
// at a time: it leaves the pool with take() and comes back with put() once an answer was read to
// its end. take() hands out the newest, which the peer is least likely to have closed.
// Thread-safety: every method from any thread. Ownership: the pool owns what was put; connections
// that are stale, too old or too many are closed by the next take() or put().
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/connection.h"

namespace tidemark::net {

// All hosts together: image names choose the hosts, so the number of hosts is not ours to bound.
inline constexpr std::size_t kMaxIdleConnections = 64;

class ConnectionPool {
 public:
  ConnectionPool(std::size_t max_idle_per_key, std::chrono::milliseconds idle_timeout,
                 std::shared_ptr<const Clock> clock);

  // nullopt where a new connection must be made.
  std::optional<Connection> take(const std::string& key);
  void put(const std::string& key, Connection connection);
  std::size_t idle() const;

 private:
  struct Idle {
    std::string key;
    Connection connection;
    SteadyTime since;
  };
  // Moves what has been idle for too long to `closed`, to be destroyed outside the lock.
  void expire(std::vector<Idle>& closed);

  const std::size_t max_idle_per_key_;
  const std::chrono::milliseconds idle_timeout_;
  const std::shared_ptr<const Clock> clock_;
  mutable std::mutex mutex_;
  std::vector<Idle> idle_;  // oldest first
};

}  // namespace tidemark::net
