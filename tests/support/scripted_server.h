// ScriptedServer: a loopback TCP server that does exactly what its script says, right or wrong.
//
//   ScriptedServer server([](ScriptedServer::Peer& peer) {
//     peer.read_head();
//     peer.write("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nfew");
//   });                            // the connection closes when the script returns
//   client->send({.url = server.url("/x")}, ...);
//
// Purpose: peers that hang, trickle, lie about lengths, reset or close at the wrong moment. The
// script runs once for each connection, on a thread of its own.
// Thread-safety: port(), url(), accepted() from any thread. Ownership: the destructor ends every
// script (all calls of its Peer fail from then on) and joins.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/connection.h"
#include "net/http.h"
#include "net/tls.h"

namespace tidemark::testing {

class ScriptedServer {
 public:
  class Peer {
   public:
    Peer(net::Connection connection, std::size_t index, std::stop_token stop);

    // 0 for the first connection that the server accepted.
    std::size_t index() const { return index_; }
    bool start_tls(const std::shared_ptr<ssl_ctx_st>& context);
    // Up to and including the empty line; "" where the client closed before it.
    std::string read_head();
    std::string read_bytes(std::size_t count);
    // False where the client is gone.
    bool write(std::string_view bytes);
    // One byte each `interval`; false where the client is gone.
    bool trickle(std::string_view bytes, std::chrono::milliseconds interval);
    // Reads and forgets until the client closes or the server ends.
    void hang();
    // Does not even read, until the server ends.
    void freeze();
    // FIN: no more bytes from here, but still reading. Over TLS without close_notify.
    void half_close();
    // RST.
    void reset();
    // Closes without TLS's close_notify.
    void cut();

   private:
    std::optional<net::Connection> connection_;
    std::string buffer_;  // read and not yet handed out
    const std::size_t index_;
    const std::stop_token stop_;
  };
  using Script = std::function<void(Peer&)>;

  // `address`: "127.0.0.1" or "::1". Throws where it cannot listen.
  explicit ScriptedServer(Script script, const std::string& address = "127.0.0.1");
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }
  net::Url url(std::string_view target = "/", bool tls = false) const;
  // Connections accepted so far.
  std::size_t accepted() const { return accepted_.load(); }

 private:
  void accept_loop(const std::stop_token& stop);

  const Script script_;
  const std::string address_;
  net::Fd listener_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> accepted_{0};
  std::stop_source stop_;
  std::mutex mutex_;
  std::vector<std::jthread> scripts_;
  std::jthread acceptor_;  // last: no script is added once it is joined
};

// Scripts of well-behaved servers: answers every request of the connection with `answer`.
ScriptedServer::Script answer_always(std::string answer);
ScriptedServer::Script answer_always_tls(std::shared_ptr<ssl_ctx_st> context, std::string answer);

// "HTTP/1.1 200 OK" with a Content-Length.
std::string ok_answer(std::string_view body = "ok");

// A server's TLS context. With `client_ca_pem` the client must show a certificate of that CA.
std::shared_ptr<ssl_ctx_st> server_context(const net::KeyPair& pair,
                                           const std::string& client_ca_pem = "");

// A loopback port whose accept queue is full: a connect to it neither succeeds nor fails.
class FullListener {
 public:
  FullListener();
  net::Url url() const;

 private:
  net::Fd listener_;
  std::uint16_t port_ = 0;
  std::vector<net::Fd> waiting_;
};

}  // namespace tidemark::testing
