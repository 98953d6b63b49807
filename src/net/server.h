// The HTTP(S) server: httplib's parser and framing above a listener and stream of our own.
//
// Purpose: what stock httplib cannot keep (design 7.1): one deadline per request, bounded heads,
// bodies and connections, immediate drain, idle connections at no cost. A thread per connection
// (256 KiB stack); past the soft bound answers carry Connection: close, past the hard bound new
// connections are closed at once. What is refused, and with which status: net/request_head.h; a
// refusal's body is {"error":"..."}.
// Thread-safety: the handler is called from many threads at once. drain() and stop() from any.
// Ownership: the server owns its threads and sockets; the certificate must outlive it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "net/http.h"
#include "net/tls.h"

namespace tidemark::net {

// Valid during the call of the handler only.
struct ServerRequest {
  std::string_view method;
  std::string_view path;   // percent-decoded, without the query
  std::string_view query;  // as sent, without '?'
  const Headers& headers;
  std::string_view body;
};

// Runs on a connection's thread (thread_stack_bytes), and must return by a deadline of its own: the
// server's destructor waits for it. What it throws becomes a 500. Content-Length and Connection are
// set by the server.
using Handler = std::function<Response(const ServerRequest&)>;

inline constexpr std::size_t kSmallBodyBytes = std::size_t{64} * 1024;

struct ServerOptions {
  std::string listen = ":8443";              // "host:port", ":port", "[v6]:port"; port 0 for tests
  ServerCertificate* certificate = nullptr;  // nullptr: plain HTTP (the ops port)
  std::size_t max_head_bytes = std::size_t{16} * 1024;
  std::size_t max_body_bytes = std::size_t{7} * 1024 * 1024;
  // Of all connections together, bodies up to kSmallBodyBytes not counted: four of the greatest
  // size. Past it 503: 512 peers that each send 7 MiB would need 3.5 GiB.
  std::size_t max_buffered_bytes = std::size_t{28} * 1024 * 1024;
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds request_timeout{10'000};  // reading one request, first byte to last
  std::chrono::milliseconds write_timeout{10'000};
  std::chrono::milliseconds idle_timeout{120'000};  // the API server keeps idle ones for 90 s
  std::size_t soft_max_connections = 384;
  std::size_t hard_max_connections = 512;
  std::size_t thread_stack_bytes = std::size_t{256} * 1024;
};

struct ServerStats {
  std::size_t connections = 0;     // open now
  std::size_t in_flight = 0;       // requests being handled now
  std::size_t buffered_bytes = 0;  // of large bodies being read or handled now
  std::uint64_t accepted = 0;      // since start
  std::uint64_t refused = 0;       // closed at once at the hard bound
};

class Server {
 public:
  // Binds and listens before it returns, so that port() is known; kUnavailable names the address.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler handler, Logger log);
  virtual ~Server() = default;

  virtual std::uint16_t port() const = 0;
  virtual ServerStats stats() const = 0;
  // From now on every answer carries Connection: close; connections are still accepted.
  virtual void begin_drain() = 0;
  // Stops accepting, wakes idle connections, waits for requests in flight until the deadline, then
  // shuts what is left. Called by the destructor with a short deadline where it was not before; the
  // destructor then waits for handlers that still run, for they use what outlives the server.
  virtual void stop(Deadline deadline) = 0;
};

}  // namespace tidemark::net
