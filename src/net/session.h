// Session: the life of one accepted connection, on a thread of its own. Internal to net/.
//
// Purpose: handshake, then request after request: wait idle, read a checked head (request_head.h)
// and a bounded body, call the handler, let httplib frame the answer, until one side has enough.
// Thread-safety: serve_connection runs once per connection, many at a time; ServerState is shared
// by all of them and the listener. Ownership: ServerState outlives every session by shared_ptr.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <utility>

#include "base/log.h"
#include "net/connection.h"
#include "net/server.h"

namespace tidemark::net {

struct ServerState {
  ServerState(ServerOptions given_options, Handler given_handler, Logger given_log, Fd eventfd)
      : options(std::move(given_options)),
        handler(std::move(given_handler)),
        log(std::move(given_log)),
        wake(std::move(eventfd)) {}

  const ServerOptions options;
  const Handler handler;
  const Logger log;
  const Fd wake;          // readable once the server stops: ends the listener and idle waits
  std::stop_source stop;  // shuts every connection that is left
  std::atomic<bool> draining = false;
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::size_t> in_flight = 0;
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<std::size_t> buffered_bytes = 0;  // of bodies past kSmallBodyBytes
};

// Serves until the connection ends. Throws what the standard library throws for lack of memory.
void serve_connection(ServerState& server, Fd socket);

}  // namespace tidemark::net
