// Connection: one socket, with or without TLS, that cannot be made to wait or to grow.
//
// Purpose: the bottom of both the server and the client. Every read and write obeys one Deadline
// and a stop; stock httplib's per-operation timeouts are defeated by a peer that trickles bytes.
// Thread-safety: one thread at a time; only the stop may come from another. A stop shuts the socket
// down, so that a call that waits returns at once: after kCanceled the connection is of no use.
// Ownership: owns the descriptor and the SSL object. Errors: kTimeout, kCanceled, kUnavailable
// (closed or reset by the peer), kTls.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

struct ssl_st;      // OpenSSL's SSL
struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace tidemark::net {

// A file descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release();

 private:
  int fd_ = -1;
};

class Connection {
 public:
  // Makes the socket non-blocking. `wake_fd`: an eventfd (or -1), borrowed, watched beside the
  // socket by wait_readable alone; it is never read, so one may wake any number of connections.
  Connection(Fd socket, int wake_fd, std::stop_token stop);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  // For a connection that serves several calls in turn (a client's pool): each brings its own stop.
  void set_stop(std::stop_token stop);

  // Waits for the end of a ::connect() that answered EINPROGRESS.
  Status finish_connect(Deadline deadline);

  // TLS on the connected socket. Server side; client side with SNI and identity check of `host`
  // (a DNS name or an IP address), done with X509_VERIFY_PARAM (never httplib's own checks).
  Status accept_tls(const std::shared_ptr<ssl_ctx_st>& context, Deadline deadline);
  Status connect_tls(const std::shared_ptr<ssl_ctx_st>& context, const std::string& host,
                     Deadline deadline);

  // At least one byte, 0 at an orderly end of stream (over TLS: only after close_notify; a bare
  // end is kUnavailable, for it may be an attacker's truncation).
  Result<std::size_t> read(std::span<char> into, Deadline deadline);
  // All of it.
  Status write(std::string_view bytes, Deadline deadline);

  // kReadable: bytes (or an end) can be read now, buffered TLS records included. kWoken: wake_fd
  // is readable and the socket is not.
  enum class Wait { kReadable, kWoken, kTimeout };
  Result<Wait> wait_readable(Deadline deadline);

  // True if the peer has closed or sent something while the connection was idle in a pool.
  bool stale() const;
  int fd() const;

  // Says goodbye (close_notify, FIN) and discards what the peer still sends, until its end, the
  // deadline or `max_discarded_bytes`: closing with unread bytes would reset the connection, and
  // the reset can overtake an answer already sent (RFC 9112, 9.6).
  void finish(Deadline deadline, std::size_t max_discarded_bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::net
