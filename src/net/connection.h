// Connection: one socket, with or without TLS, that cannot be made to wait or to grow.
//
// Purpose: the bottom of both the server and the client. Every read and write obeys one Deadline
// and a stop; stock httplib's per-operation timeouts are defeated by a peer that trickles bytes.
// Thread-safety: one thread at a time; wake() may be called from any thread.
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
  // `wake_fd`: an eventfd (or -1) watched beside the socket; once readable, waiting for a new
  // request ends (see wait_readable), and with `stop` every operation ends with kCanceled.
  Connection(Fd socket, int wake_fd, std::stop_token stop);
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  // TLS on the connected socket. Server side; client side with SNI and identity check of `host`
  // (a DNS name or an IP address), done with X509_VERIFY_PARAM (never httplib's own checks).
  Status accept_tls(const std::shared_ptr<ssl_ctx_st>& context, Deadline deadline);
  Status connect_tls(const std::shared_ptr<ssl_ctx_st>& context, const std::string& host,
                     Deadline deadline);

  // At least one byte, 0 at an orderly end of stream.
  Result<std::size_t> read(std::span<char> into, Deadline deadline);
  // All of it.
  Status write(std::string_view bytes, Deadline deadline);

  // kReadable: bytes (or an end) can be read now, buffered TLS records included.
  enum class Wait { kReadable, kWoken, kTimeout };
  Result<Wait> wait_readable(Deadline deadline);

  // True if the peer has closed or sent something while the connection was idle in a pool.
  bool stale() const;
  int fd() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::net
