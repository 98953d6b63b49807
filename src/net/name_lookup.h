// NameLookup: getaddrinfo that cannot keep its caller waiting.
//
// Purpose: getaddrinfo has no deadline and cannot be cancelled (20 s with a dead name server). It
// runs on a thread of its own; callers wait until it answers, their deadline passes or they are
// stopped. Callers that ask for the same name at the same time share one call, and its addresses
// are kept for a while.
// Thread-safety: lookup() from any thread. Ownership: the threads own what they need, so that the
// destructor does not wait for a call that hangs; each ends with its call. At most max_threads of
// them exist, and none while nothing is looked up.
// Errors: kUnavailable (no such name, the name server failed, or max_waiting names are queued
// already), kTimeout, kCanceled.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/socket_address.h"

namespace tidemark::net {

// In the order of preference of RFC 6724, without ports.
using Addresses = std::vector<SocketAddress>;

// One blocking call of getaddrinfo (AF_UNSPEC, SOCK_STREAM).
Result<Addresses> resolve_blocking(const std::string& host);

class NameLookup {
 public:
  struct Options {
    // A dead name server holds one thread per name; the others still answer.
    std::size_t max_threads = 8;
    std::size_t max_waiting = 256;
    std::chrono::milliseconds ttl{30'000};
    std::size_t max_cached = 1024;
    std::function<Result<Addresses>(const std::string& host)> resolve = resolve_blocking;
    std::shared_ptr<const Clock> clock = std::make_shared<SystemClock>();  // for the ttl
  };

  NameLookup() : NameLookup(Options{}) {}
  explicit NameLookup(Options options);

  // A literal address is its own answer, without a thread.
  Result<Addresses> lookup(const std::string& host, Deadline deadline, std::stop_token stop = {});

 private:
  struct State;
  static Status start_thread(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace tidemark::net
