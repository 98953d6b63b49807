#include "net/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

namespace tidemark::net {
namespace {

struct SslDelete {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslDelete>;

// poll() takes an int of milliseconds: a day at most, callers come back at their deadline anyway.
int poll_timeout(Deadline deadline) {
  constexpr std::chrono::milliseconds kDay = std::chrono::hours{24};
  return static_cast<int>(std::min(deadline.remaining(), kDay).count());
}

std::string errno_text(int error) { return std::generic_category().message(error); }

// The oldest reason in OpenSSL's queue of this thread, without file names: what is behind it came
// of it, such as an alert that could not be sent.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

// A socket BIO like OpenSSL's own, but with MSG_NOSIGNAL: a peer that hangs up must not raise
// SIGPIPE in a process that did not ignore it. Its data is the Fd.
int fd_of(BIO* bio) { return static_cast<const Fd*>(BIO_get_data(bio))->get(); }

int bio_write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(fd_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(fd_of(bio), into, static_cast<std::size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

// What libssl asks of a BIO beside reading and writing; nothing is buffered here.
long bio_control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Immutable once made.
const BIO_METHOD* socket_method() {
  struct MethodDelete {
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
  };
  static const std::unique_ptr<BIO_METHOD, MethodDelete> method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tidemark socket");
    if (made != nullptr) {
      BIO_meth_set_write(made, bio_write);
      BIO_meth_set_read(made, bio_read);
      BIO_meth_set_ctrl(made, bio_control);
    }
    return std::unique_ptr<BIO_METHOD, MethodDelete>(made);
  }();
  return method.get();
}

bool is_ip_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (valid()) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

Fd::~Fd() {
  if (valid()) ::close(fd_);
}

int Fd::release() { return std::exchange(fd_, -1); }

struct Connection::State {
  State(Fd fd, int wake) : socket(std::move(fd)), wake_fd(wake) {
    const int flags = ::fcntl(socket.get(), F_GETFL);
    if (flags >= 0) ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
  }

  // How an operation that could not go on at once ends: waits for `events`, or says why not.
  Status wait_for(short events, Deadline deadline) const;
  // Why `call` (a read, a write, a handshake) answered `result`; success: try it again.
  Status after_ssl(int result, std::string_view call, Deadline deadline);
  Status after_errno(int error, short events, Deadline deadline) const;
  Status handshake(int (*step)(SSL*), std::string_view call, Deadline deadline);
  Status start_tls(const std::shared_ptr<SSL_CTX>& context);
  // Before each system call, so that a peer that always has one more byte is cut as well.
  Status check(Deadline deadline) const;

  Fd socket;
  int wake_fd;
  SslPtr ssl;
  bool broken = false;  // a fatal TLS error: OpenSSL forbids any further call, SSL_shutdown too
  std::stop_token stop;
  // Last: its destructor waits for a callback under way, which uses the socket.
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
};

Status Connection::State::check(Deadline deadline) const {
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  if (deadline.expired()) return fail(ErrorKind::kTimeout, "deadline passed");
  return {};
}

Status Connection::State::wait_for(short events, Deadline deadline) const {
  for (;;) {
    if (Status ok = check(deadline); !ok) return ok;
    pollfd waiting{.fd = socket.get(), .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, poll_timeout(deadline));
    if (ready > 0) return check(deadline);
    if (ready < 0 && errno != EINTR) return fail(ErrorKind::kInternal, errno_text(errno));
  }
}

Status Connection::State::after_errno(int error, short events, Deadline deadline) const {
  if (error == EAGAIN || error == EINTR) return wait_for(events, deadline);
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  return fail(ErrorKind::kUnavailable, errno_text(error));
}

Status Connection::State::after_ssl(int result, std::string_view call, Deadline deadline) {
  const int error = errno;
  switch (SSL_get_error(ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait_for(POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait_for(POLLOUT, deadline);
    default:
      break;
  }
  broken = true;
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  const unsigned long code = ERR_peek_error();
  if (code == 0) {
    return fail(ErrorKind::kUnavailable, error == 0 ? "connection closed" : errno_text(error));
  }
  if (ERR_GET_LIB(code) == ERR_LIB_SYS) {  // the socket's; OpenSSL before 3.2 queues none
    ERR_clear_error();
    return fail(ErrorKind::kUnavailable, errno_text(ERR_GET_REASON(code)));
  }
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    ERR_clear_error();
    return fail(ErrorKind::kUnavailable, "connection closed without close_notify");
  }
  std::string message = std::string(call) + ": " + openssl_reason();
  if (const long verified = SSL_get_verify_result(ssl.get()); verified != X509_V_OK) {
    message.append(" (").append(X509_verify_cert_error_string(verified)).append(")");
  }
  return fail(ErrorKind::kTls, std::move(message));
}

Status Connection::State::start_tls(const std::shared_ptr<SSL_CTX>& context) {
  ERR_clear_error();
  ssl.reset(context == nullptr ? nullptr : SSL_new(context.get()));
  const BIO_METHOD* method = socket_method();
  BIO* bio = ssl == nullptr || method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr) {
    ssl.reset();
    return fail(ErrorKind::kTls, context == nullptr ? "no certificate loaded" : openssl_reason());
  }
  BIO_set_data(bio, &socket);
  SSL_set_bio(ssl.get(), bio, bio);  // takes the BIO
  return {};
}

Status Connection::State::handshake(int (*step)(SSL*), std::string_view call, Deadline deadline) {
  for (;;) {
    if (Status ok = check(deadline); !ok) return ok;
    ERR_clear_error();
    errno = 0;
    const int result = step(ssl.get());
    if (result == 1) return {};
    if (Status again = after_ssl(result, call, deadline); !again) {
      broken = true;  // a handshake cut short has no close_notify to send either
      return again;
    }
  }
}

Connection::Connection(Fd socket, int wake_fd, std::stop_token stop)
    : state_(std::make_unique<State>(std::move(socket), wake_fd)) {
  set_stop(std::move(stop));
}

Connection::~Connection() {
  if (state_ == nullptr || state_->ssl == nullptr || state_->broken) return;
  // One attempt at a close_notify; the socket does not block.
  ERR_clear_error();
  SSL_shutdown(state_->ssl.get());
  ERR_clear_error();
}

Connection::Connection(Connection&&) noexcept = default;

Connection& Connection::operator=(Connection&& other) noexcept {
  // By way of a third, so that what this one held says goodbye as its destructor does.
  Connection old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

void Connection::set_stop(std::stop_token stop) {
  state_->on_stop.reset();
  state_->stop = stop;
  if (!stop.stop_possible()) return;
  state_->on_stop.emplace(std::move(stop),
                          [fd = state_->socket.get()] { ::shutdown(fd, SHUT_RDWR); });
}

Status Connection::finish_connect(Deadline deadline) {
  if (Status ready = state_->wait_for(POLLOUT, deadline); !ready) return ready;
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(state_->socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail(ErrorKind::kUnavailable, errno_text(error));
  return {};
}

Status Connection::accept_tls(const std::shared_ptr<ssl_ctx_st>& context, Deadline deadline) {
  if (Status started = state_->start_tls(context); !started) return started;
  return state_->handshake(SSL_accept, "TLS accept", deadline);
}

Status Connection::connect_tls(const std::shared_ptr<ssl_ctx_st>& context, const std::string& host,
                               Deadline deadline) {
  if (Status started = state_->start_tls(context); !started) return started;
  SSL* ssl = state_->ssl.get();
  // A root dot names the same host, but neither SNI nor certificates carry it (RFC 6066, 3).
  const std::string name = host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
  bool set = false;
  if (is_ip_address(name)) {
    set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
  } else {
    // Only subject alternative names count, never the common name (RFC 6125, 6.4.4; as Go).
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    // The macro SSL_set_tlsext_host_name casts its const away in the old style.
    set = !name.empty() && SSL_set1_host(ssl, name.c_str()) == 1 &&
          SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                   const_cast<char*>(name.c_str())) == 1;
  }
  if (!set) {
    state_->broken = true;
    return fail(ErrorKind::kTls, "TLS connect: not a host name: " + host);
  }
  return state_->handshake(SSL_connect, "TLS connect", deadline);
}

Result<std::size_t> Connection::read(std::span<char> into, Deadline deadline) {
  for (;;) {
    if (Status ok = state_->check(deadline); !ok) return fail(ok.error());
    Status again;
    if (state_->ssl == nullptr) {
      const ssize_t got = ::recv(state_->socket.get(), into.data(), into.size(), 0);
      if (got == 0 && state_->stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
      if (got >= 0) return static_cast<std::size_t>(got);
      again = state_->after_errno(errno, POLLIN, deadline);
    } else {
      std::size_t got = 0;
      ERR_clear_error();
      errno = 0;
      const int result = SSL_read_ex(state_->ssl.get(), into.data(), into.size(), &got);
      if (result == 1) return got;
      if (SSL_get_error(state_->ssl.get(), result) == SSL_ERROR_ZERO_RETURN) return 0;
      again = state_->after_ssl(result, "TLS read", deadline);
    }
    if (!again) return fail(again.error());
  }
}

Status Connection::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (Status ok = state_->check(deadline); !ok) return ok;
    Status again;
    if (state_->ssl == nullptr) {
      const ssize_t sent = ::send(state_->socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        continue;
      }
      again = state_->after_errno(errno, POLLOUT, deadline);
    } else {
      std::size_t sent = 0;
      ERR_clear_error();
      errno = 0;
      const int result = SSL_write_ex(state_->ssl.get(), bytes.data(), bytes.size(), &sent);
      if (result == 1) {
        bytes.remove_prefix(sent);
        continue;
      }
      again = state_->after_ssl(result, "TLS write", deadline);
    }
    if (!again) return again;
  }
  return {};
}

Result<Connection::Wait> Connection::wait_readable(Deadline deadline) {
  if (state_->ssl != nullptr && SSL_has_pending(state_->ssl.get()) == 1) return Wait::kReadable;
  for (;;) {
    if (state_->stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
    std::array<pollfd, 2> waiting{
        pollfd{.fd = state_->socket.get(), .events = POLLIN, .revents = 0},
        pollfd{.fd = state_->wake_fd, .events = POLLIN, .revents = 0}};  // -1 is skipped by poll
    const int ready = ::poll(waiting.data(), waiting.size(), poll_timeout(deadline));
    if (ready < 0 && errno != EINTR) return fail(ErrorKind::kInternal, errno_text(errno));
    if (state_->stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
    if (ready > 0) return waiting[0].revents != 0 ? Wait::kReadable : Wait::kWoken;
    if (deadline.expired()) return Wait::kTimeout;
  }
}

bool Connection::stale() const {
  if (state_->broken) return true;
  if (state_->ssl != nullptr && SSL_has_pending(state_->ssl.get()) == 1) return true;
  pollfd now{.fd = state_->socket.get(), .events = POLLIN, .revents = 0};
  return ::poll(&now, 1, 0) != 0;
}

int Connection::fd() const { return state_->socket.get(); }

void Connection::finish(Deadline deadline, std::size_t max_discarded_bytes) {
  if (state_->broken) return;
  if (state_->ssl != nullptr) {
    ERR_clear_error();
    SSL_shutdown(state_->ssl.get());
    ERR_clear_error();
    state_->broken = true;  // what follows bypasses OpenSSL
  }
  ::shutdown(state_->socket.get(), SHUT_WR);
  std::array<char, 4096> discarded{};
  std::size_t total = 0;
  while (total < max_discarded_bytes && state_->wait_for(POLLIN, deadline)) {
    const ssize_t got = ::recv(state_->socket.get(), discarded.data(), discarded.size(), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return;
    if (got > 0) total += static_cast<std::size_t>(got);
  }
}

}  // namespace tidemark::net
