#include "support/scripted_server.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/shutdown.h"
#include "net/socket_address.h"

namespace tidemark::testing {
namespace {

// Far beyond any test: only the server's end stops a script.
constexpr std::chrono::minutes kForever{10};

Deadline forever() { return Deadline::after(kForever); }

std::runtime_error system_failure(const char* what) {
  return std::runtime_error(std::string(what) + ": " + std::generic_category().message(errno));
}

net::Fd listen_on(const std::string& address, int backlog, std::uint16_t& port) {
  const auto parsed = net::SocketAddress::parse(address);
  if (!parsed) throw std::runtime_error("not an address: " + address);
  net::Fd fd(::socket(parsed->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::bind(fd.get(), &parsed->get(), parsed->size_bytes()) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    throw system_failure("listening");
  }
  sockaddr_in6 bound{};  // sin_port and sin6_port lie at the same place
  socklen_t size = sizeof bound;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    throw system_failure("getsockname");
  }
  port = ntohs(bound.sin6_port);
  return fd;
}

}  // namespace

ScriptedServer::Peer::Peer(net::Connection connection, std::size_t index, std::stop_token stop)
    : connection_(std::move(connection)), index_(index), stop_(std::move(stop)) {}

bool ScriptedServer::Peer::start_tls(const std::shared_ptr<ssl_ctx_st>& context) {
  return connection_ && connection_->accept_tls(context, forever()).has_value();
}

std::string ScriptedServer::Peer::read_head() {
  constexpr std::string_view kEnd = "\r\n\r\n";
  for (;;) {
    if (const std::size_t end = buffer_.find(kEnd); end != std::string::npos) {
      return read_bytes(end + kEnd.size());
    }
    std::array<char, 4096> more{};
    const auto got = connection_ ? connection_->read(more, forever()) : Result<std::size_t>(0);
    if (!got || *got == 0) return "";
    buffer_.append(more.data(), *got);
  }
}

std::string ScriptedServer::Peer::read_bytes(std::size_t count) {
  while (buffer_.size() < count) {
    std::array<char, 4096> more{};
    const auto got = connection_ ? connection_->read(more, forever()) : Result<std::size_t>(0);
    if (!got || *got == 0) return "";
    buffer_.append(more.data(), *got);
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

bool ScriptedServer::Peer::write(std::string_view bytes) {
  return connection_ && connection_->write(bytes, forever()).has_value();
}

bool ScriptedServer::Peer::trickle(std::string_view bytes, std::chrono::milliseconds interval) {
  for (const char byte : bytes) {
    if (!sleep_for(interval, stop_) || !write(std::string_view(&byte, 1))) return false;
  }
  return true;
}

void ScriptedServer::Peer::hang() {
  std::array<char, 4096> ignored{};
  for (;;) {
    const auto got = connection_ ? connection_->read(ignored, forever()) : Result<std::size_t>(0);
    if (!got || *got == 0) return;
  }
}

void ScriptedServer::Peer::freeze() { static_cast<void>(sleep_for(kForever, stop_)); }

void ScriptedServer::Peer::half_close() {
  if (connection_) ::shutdown(connection_->fd(), SHUT_WR);
}

void ScriptedServer::Peer::reset() {
  if (!connection_) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(connection_->fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  connection_.reset();
}

void ScriptedServer::Peer::cut() {
  half_close();
  connection_.reset();  // its close_notify finds the way shut
}

ScriptedServer::ScriptedServer(Script script, const std::string& address)
    : script_(std::move(script)), address_(address) {
  listener_ = listen_on(address, 1024, port_);
  acceptor_ = std::jthread([this] { accept_loop(stop_.get_token()); });
}

ScriptedServer::~ScriptedServer() {
  stop_.request_stop();                    // ends every script's waiting
  ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept()
  acceptor_.join();
  const std::lock_guard lock(mutex_);
  scripts_.clear();
}

void ScriptedServer::accept_loop(const std::stop_token& stop) {
  for (;;) {
    net::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (stop.stop_requested()) return;
    if (!fd.valid()) continue;
    const std::size_t index = accepted_++;
    const std::lock_guard lock(mutex_);
    scripts_.emplace_back([this, index, stop, raw = fd.release()] {
      Peer peer(net::Connection(net::Fd(raw), -1, stop), index, stop);
      script_(peer);
    });
  }
}

net::Url ScriptedServer::url(std::string_view target, bool tls) const {
  return net::Url{.tls = tls, .host = address_, .port = port_, .target = std::string(target)};
}

ScriptedServer::Script answer_always(std::string answer) {
  return [answer = std::move(answer)](ScriptedServer::Peer& peer) {
    while (!peer.read_head().empty()) peer.write(answer);
  };
}

ScriptedServer::Script answer_always_tls(std::shared_ptr<ssl_ctx_st> context, std::string answer) {
  return [context = std::move(context), answer = std::move(answer)](ScriptedServer::Peer& peer) {
    if (!peer.start_tls(context)) return;
    while (!peer.read_head().empty()) peer.write(answer);
  };
}

std::string ok_answer(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

std::shared_ptr<ssl_ctx_st> server_context(const net::KeyPair& pair,
                                           const std::string& client_ca_pem) {
  net::ServerCertificate certificate;
  if (!certificate.load(pair)) throw std::runtime_error("server certificate does not load");
  std::shared_ptr<ssl_ctx_st> context = certificate.context();
  if (client_ca_pem.empty()) return context;
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(client_ca_pem.data(), static_cast<int>(client_ca_pem.size())), BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> ca(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
  if (ca == nullptr) throw std::runtime_error("client CA does not load");
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

FullListener::FullListener() {
  listener_ = listen_on("127.0.0.1", 0, port_);
  const auto address = net::SocketAddress::parse("127.0.0.1")->with_port(port_);
  // Linux lets backlog + 1 connections wait; the first that hangs shows that the queue is full.
  for (int i = 0; i < 16; ++i) {
    net::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    static_cast<void>(::connect(fd.get(), &address.get(), address.size_bytes()));
    pollfd waiting{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    const bool connected = ::poll(&waiting, 1, 100) == 1;
    waiting_.push_back(std::move(fd));
    if (!connected) return;
  }
  throw std::runtime_error("the accept queue did not fill");
}

net::Url FullListener::url() const {
  return net::Url{.tls = false, .host = "127.0.0.1", .port = port_, .target = "/"};
}

}  // namespace tidemark::testing
