#include "net/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "net/connection.h"
#include "net/session.h"

namespace tidemark::net {
namespace {

// More than the hard bound: a burst of every API server and prober waits here instead of in SYN
// retries of a second. The kernel cuts it to net.core.somaxconn (4096 since Linux 5.4).
constexpr int kListenBacklog = 1024;
// Without free descriptors or memory the pending connection stays readable: wait, do not spin.
constexpr std::chrono::milliseconds kAcceptBackoff{50};
// What the destructor gives requests in flight where stop() was not called.
constexpr std::chrono::milliseconds kDestructorGrace{100};

std::string errno_text(int error) { return std::generic_category().message(error); }

struct ListenAddress {
  std::string host;  // empty: every address
  std::string port;
};

// "host:port", ":port", "[v6]:port".
Result<ListenAddress> parse_listen(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) {
    return fail(ErrorKind::kInvalid, "listen address \"" + text + "\": not host:port");
  }
  ListenAddress address{.host = text.substr(0, colon), .port = text.substr(colon + 1)};
  std::uint16_t port = 0;  // getaddrinfo would cut 99999 to 16 bits
  const char* const port_end = address.port.data() + address.port.size();
  if (const auto [end, error] = std::from_chars(address.port.data(), port_end, port);
      error != std::errc{} || end != port_end) {
    return fail(ErrorKind::kInvalid, "listen address \"" + text + "\": not a port");
  }
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return fail(ErrorKind::kInvalid,
                "listen address \"" + text + "\": an IPv6 address needs brackets");
  }
  return address;
}

Result<Fd> listen_on(const addrinfo& address) {
  Fd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(ErrorKind::kUnavailable, errno_text(errno));
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // "every address" over IPv6 serves IPv4 as well.
  if (address.ai_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 ||
      ::listen(fd.get(), kListenBacklog) != 0) {
    return fail(ErrorKind::kUnavailable, errno_text(errno));
  }
  return fd;
}

Result<Fd> open_listener(const std::string& text) {
  const Result<ListenAddress> where = parse_listen(text);
  if (!where) return fail(where.error());
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(where->host.empty() ? nullptr : where->host.c_str(),
                                  where->port.c_str(), &hints, &found);
  if (error != 0) {
    return fail(ErrorKind::kInvalid, "listen address \"" + text + "\": " + gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  std::vector<const addrinfo*> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    addresses.push_back(each);
  }
  // IPv6 first where every address is meant (it serves both); a node without IPv6 has the other.
  if (where->host.empty()) {
    std::ranges::stable_partition(addresses,
                                  [](const addrinfo* each) { return each->ai_family == AF_INET6; });
  }
  Result<Fd> listener = fail(ErrorKind::kUnavailable, "no address");
  for (const addrinfo* each : addresses) {
    listener = listen_on(*each);
    if (listener) return listener;
  }
  return fail(within("listen on " + text, listener.error()));
}

std::uint16_t local_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  // The port stands at the same place in sockaddr_in and sockaddr_in6.
  sockaddr_in address{};
  std::memcpy(&address, &storage, sizeof(address));
  return ntohs(address.sin_port);
}

// The listener and the count of its connections' threads. Those are detached, so that an ended one
// gives back its stack at once; each holds this by shared_ptr until its very end.
class Listener final : public std::enable_shared_from_this<Listener> {
 public:
  Listener(ServerOptions options, Handler handler, Logger log, Fd eventfd)
      : state(std::move(options), std::move(handler), std::move(log), std::move(eventfd)) {}

  ServerState state;

  void accept_until_stopped(Fd listener) {
    while (wait_for_event(listener.get(), std::chrono::hours{1})) {
      Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket.valid()) {
        admit(std::move(socket));
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!std::exchange(starved_, true)) {
          state.log.warn("cannot accept connections", {{"cause", errno_text(errno)}});
        }
        wait_for_event(-1, kAcceptBackoff);
        continue;
      }  // else: the peer left before we came, or somebody woke us for nothing
      starved_ = false;
    }
  }

  // True once every connection's thread has let go of the server.
  bool wait_until_empty(Deadline deadline) {
    std::unique_lock lock(mutex_);
    return ended_.wait_until(lock, deadline.point(), [this] { return threads_ == 0; });
  }
  void wait_until_empty() {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return threads_ == 0; });
  }

 private:
  // What a new thread is given.
  struct Start {
    std::shared_ptr<Listener> owner;
    Fd socket;
  };

  // False once the server stops. `fd` -1: only waits.
  bool wait_for_event(int fd, std::chrono::milliseconds at_most) const {
    std::array<pollfd, 2> events{pollfd{.fd = fd, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = state.wake.get(), .events = POLLIN, .revents = 0}};
    ::poll(events.data(), events.size(), static_cast<int>(at_most.count()));
    return events[1].revents == 0;
  }

  void admit(Fd socket) {
    if (state.connections >= state.options.hard_max_connections) {
      state.refused.fetch_add(1);
      return;
    }
    // A keep-alive answer would otherwise wait 40 ms for the peer's delayed ACK.
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (start_thread(std::move(socket))) {
      state.accepted.fetch_add(1);
    } else {
      state.refused.fetch_add(1);
      state.log.warn("cannot start a thread for a connection");
    }
  }

  bool start_thread(Fd socket) {
    auto start = std::make_unique<Start>(shared_from_this(), std::move(socket));
    begin();
    pthread_attr_t attributes{};
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, state.options.thread_stack_bytes);
    pthread_t thread{};
    const int error = pthread_create(&thread, &attributes, &Listener::run, start.get());
    pthread_attr_destroy(&attributes);
    if (error != 0) {
      end();
      return false;
    }
    [[maybe_unused]] const auto* given = start.release();  // run() owns it now
    return true;
  }

  static void* run(void* argument) {
    const std::unique_ptr<Start> start(static_cast<Start*>(argument));
    Listener& owner = *start->owner;
    try {
      serve_connection(owner.state, std::move(start->socket));
    } catch (const std::exception& error) {  // no memory: this connection ends, the others go on
      owner.state.log.error("connection failed", {{"cause", error.what()}});
    }
    owner.end();
    return nullptr;
  }

  void begin() {
    state.connections.fetch_add(1);
    const std::lock_guard lock(mutex_);
    ++threads_;
  }
  void end() {
    state.connections.fetch_sub(1);
    const std::lock_guard lock(mutex_);
    --threads_;
    ended_.notify_all();
  }

  bool starved_ = false;  // of the accepting thread alone
  std::mutex mutex_;
  std::condition_variable ended_;
  std::size_t threads_ = 0;
};

class HttpServer final : public Server {
 public:
  HttpServer(std::shared_ptr<Listener> listener, Fd socket)
      : listener_(std::move(listener)),
        port_(local_port(socket.get())),
        acceptor_([this, fd = std::move(socket)]() mutable {
          listener_->accept_until_stopped(std::move(fd));
        }) {}

  ~HttpServer() override {
    stop(Deadline::after(kDestructorGrace));
    listener_->wait_until_empty();
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const override { return port_; }

  ServerStats stats() const override {
    const ServerState& state = listener_->state;
    return {.connections = state.connections,
            .in_flight = state.in_flight,
            .buffered_bytes = state.buffered_bytes,
            .accepted = state.accepted,
            .refused = state.refused};
  }

  void begin_drain() override { listener_->state.draining = true; }

  void stop(Deadline deadline) override {
    const std::lock_guard lock(stopping_);
    ServerState& state = listener_->state;
    state.draining = true;
    ::eventfd_write(state.wake.get(), 1);  // it is never read, and so readable from now on
    if (acceptor_.joinable()) acceptor_.join();
    if (!listener_->wait_until_empty(deadline)) state.stop.request_stop();
  }

 private:
  std::shared_ptr<Listener> listener_;
  const std::uint16_t port_;
  std::mutex stopping_;
  std::thread acceptor_;  // last: it uses the members above
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler handler, Logger log) {
  Result<Fd> socket = open_listener(options.listen);
  if (!socket) return fail(socket.error());
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail(ErrorKind::kInternal, "eventfd: " + errno_text(errno));
  return std::make_unique<HttpServer>(
      std::make_shared<Listener>(std::move(options), std::move(handler), std::move(log),
                                 std::move(wake)),
      std::move(*socket));
}

}  // namespace tidemark::net
