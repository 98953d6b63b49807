#include "net/client.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "net/connection.h"
#include "net/name_lookup.h"
#include "net/pool.h"
#include "net/response_reader.h"
#include "net/socket_address.h"

namespace tidemark::net {
namespace {

// Requests are short: tokens, tags and Kubernetes paths. What does not fit is a defect, and servers
// answer 431 above 8 KiB anyway.
constexpr std::size_t kMaxRequestHeadBytes = std::size_t{32} * 1024;

// Set here and nowhere else, so that no caller can frame a request twice.
constexpr std::array<std::string_view, 8> kOwnHeaders = {
    "Host",       "Content-Length",    "User-Agent",          "Connection",
    "Keep-Alive", "Transfer-Encoding", "Proxy-Authorization", "Accept-Encoding"};

bool visible(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

bool header_name(std::string_view text) {
  return visible(text) && text.find_first_of(":\"(),/;<=>?@[\\]{}") == std::string_view::npos;
}

bool header_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

// Nothing that a caller passes on from the outside may end a line of the request.
Status check_request(const Request& request) {
  if (!header_name(request.method)) return fail(ErrorKind::kInvalid, "not a request method");
  if (!visible(request.url.host)) return fail(ErrorKind::kInvalid, "no host to connect to");
  if (!visible(request.url.target) || !request.url.target.starts_with('/')) {
    return fail(ErrorKind::kInvalid, "a request target that is no path");
  }
  for (const Header& header : request.headers) {
    if (auto checked = check_header(header); !checked) return checked;
  }
  return {};
}

// Without the query, which may carry a signature (redirects to blob storage).
std::string describe(const Request& request) {
  if (request.secret_target) return request.method + ' ' + request.url.origin();
  std::string text = request.method + ' ' + request.url.str();
  return text.substr(0, text.find('?'));
}

std::string serialise(const Request& request, const Proxy* proxy, const std::string& user_agent) {
  const bool absolute_form = proxy != nullptr && !request.url.tls;
  std::string text = request.method + ' ' +
                     (absolute_form ? request.url.str() : request.url.target) +
                     " HTTP/1.1\r\nHost: " + request.url.host_header() + "\r\n";
  const auto add = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  if (!user_agent.empty()) add("User-Agent", user_agent);
  // No answer may grow after it was counted: nothing compressed is asked for.
  add("Accept-Encoding", "identity");
  if (absolute_form && !proxy->authorization.empty()) {
    add("Proxy-Authorization", proxy->authorization);
  }
  for (const Header& header : request.headers) add(header.name, header.value);
  const bool body_expected =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (body_expected || !request.body.empty()) {
    add("Content-Length", std::to_string(request.body.size()));
  }
  return text.append("\r\n");
}

// The deadlines of one exchange: a fixed one (send), or one that moves on (stream).
struct Timing {
  Deadline head;
  std::function<Deadline()> next_piece;
};

std::unexpected<Error> body_too_large(const Request& request) {
  return fail(ErrorKind::kTooLarge,
              "body of the answer over " + std::to_string(request.max_body_bytes) + " bytes");
}

class RealClient final : public HttpClient {
 public:
  RealClient(const ClientOptions& options, std::shared_ptr<ssl_ctx_st> context)
      : options_(options),
        context_(std::move(context)),
        pool_(options.max_idle_per_host, options.idle_timeout, std::make_shared<SystemClock>()) {}

  Result<Response> send(const Request& request, Deadline deadline, std::stop_token stop) override {
    const Timing timing{.head = deadline, .next_piece = [deadline] { return deadline; }};
    return exchange(request, timing, nullptr, stop);
  }

  Result<Response> stream(const Request& request, const StreamLimits& limits, const Sink& sink,
                          std::stop_token stop) override {
    const Timing timing{
        .head = Deadline::at(std::min(limits.headers.point(), limits.whole.point())),
        .next_piece = [&limits] { return limits.whole.at_most(limits.idle); }};
    return exchange(request, timing, &sink, stop);
  }

 private:
  const std::string& identity(const Url& url) const {
    return options_.server_name.empty() ? url.host : options_.server_name;
  }
  // Completes the context before its first connection.
  const Status& trust() {
    std::call_once(roots_added_, [this] {
      if (options_.trust.system_roots) trusted_ = add_system_roots(context_.get());
    });
    return trusted_;
  }

  Result<Response> exchange(const Request& request, const Timing& timing, const Sink* sink,
                            const std::stop_token& stop);
  // One request on one connection; `answered`: the peer has sent at least one byte.
  Result<Response> converse(Connection connection, const std::string& key, const Request& request,
                            const std::string& head, const Timing& timing, const Sink* sink,
                            bool& answered);
  Result<Response> read_answer(ResponseReader& reader, const Request& request, const Timing& timing,
                               const Sink* sink);

  Result<Connection> connect(const Url& url, const Proxy* proxy, Deadline deadline,
                             const std::stop_token& stop);
  Result<Connection> connect_any(const std::string& host, std::uint16_t port, bool checked,
                                 Deadline deadline, const std::stop_token& stop);
  static Result<Connection> connect_one(const SocketAddress& address, Deadline deadline,
                                        const std::stop_token& stop);
  static Status open_tunnel(Connection& connection, const Url& url, const Proxy& proxy,
                            Deadline deadline);

  const ClientOptions options_;
  const std::shared_ptr<ssl_ctx_st> context_;
  std::once_flag roots_added_;
  Status trusted_;
  ConnectionPool pool_;
  NameLookup lookup_;
};

Result<Response> RealClient::exchange(const Request& request, const Timing& timing,
                                      const Sink* sink, const std::stop_token& stop) {
  if (Status valid = check_request(request); !valid) return fail(std::move(valid.error()));
  const auto failed = [&](Error error) {
    return fail(within(describe(request), std::move(error)));
  };
  if (stop.stop_requested()) return failed({.kind = ErrorKind::kCanceled, .message = "stopped"});
  if (timing.head.expired()) {
    return failed({.kind = ErrorKind::kTimeout, .message = "deadline passed before it was sent"});
  }
  const Proxy* proxy = options_.proxy.select(request.url);
  if (proxy != nullptr) {
    // Only the proxy looks names up; a literal address is refused before the proxy hears of it.
    if (const auto literal = SocketAddress::parse(request.url.host)) {
      if (Status allowed = options_.addresses.check(literal->get()); !allowed) {
        return failed(std::move(allowed.error()));
      }
    }
  }
  const std::string head = serialise(request, proxy, options_.user_agent);
  if (head.size() > kMaxRequestHeadBytes) {
    return failed({.kind = ErrorKind::kInvalid, .message = "request head over 32 KiB"});
  }
  const std::string key = (request.url.tls ? "https " : "http ") + request.url.authority() +
                          (proxy == nullptr ? "" : " by " + proxy->url.authority());

  if (auto idle = pool_.take(key)) {
    idle->set_stop(stop);
    bool answered = false;
    auto response = converse(std::move(*idle), key, request, head, timing, sink, answered);
    if (response) return response;
    // The peer may have closed it just now: that says nothing about the request.
    const bool again = !answered && response.error().kind == ErrorKind::kUnavailable &&
                       (request.method == "GET" || request.method == "HEAD");
    if (!again) return failed(std::move(response.error()));
  }
  auto connection = connect(request.url, proxy, timing.head, stop);
  if (!connection) return failed(std::move(connection.error()));
  bool answered = false;
  auto response = converse(std::move(*connection), key, request, head, timing, sink, answered);
  if (!response) return failed(std::move(response.error()));
  return response;
}

Result<Response> RealClient::converse(Connection connection, const std::string& key,
                                      const Request& request, const std::string& head,
                                      const Timing& timing, const Sink* sink, bool& answered) {
  const Status written = request.body.empty() ? connection.write(head, timing.head)
                                              : connection.write(head + request.body, timing.head);
  if (!written) return fail(within("sending the request", written.error()));
  ResponseReader reader(connection, request.method);
  auto response = read_answer(reader, request, timing, sink);
  answered = reader.any_byte();
  if (!response) return response;
  if (reader.reusable()) {
    connection.set_stop({});
    pool_.put(key, std::move(connection));
  }
  return response;
}

Result<Response> RealClient::read_answer(ResponseReader& reader, const Request& request,
                                         const Timing& timing, const Sink* sink) {
  auto response = reader.read_head(timing.head);
  if (!response) return fail(within("waiting for the answer", response.error()));
  const bool streamed = sink != nullptr && response->status / 100 == 2;
  if (!streamed && reader.body_length().value_or(0) > request.max_body_bytes) {
    return body_too_large(request);
  }
  bool too_large = false;
  const Sink collect = [&](std::string_view piece) {
    too_large = piece.size() > request.max_body_bytes - response->body.size();
    if (!too_large) response->body += piece;
    return !too_large;
  };
  const Status read = reader.read_body(timing.next_piece, streamed ? *sink : collect);
  if (!read) return fail(within("reading the answer", read.error()));
  if (too_large) return body_too_large(request);
  return response;
}

Result<Connection> RealClient::connect(const Url& url, const Proxy* proxy, Deadline deadline,
                                       const std::stop_token& stop) {
  const Deadline until = deadline.at_most(options_.connect_timeout);
  const Url& first = proxy == nullptr ? url : proxy->url;
  auto connection = connect_any(first.host, first.port, proxy == nullptr, until, stop);
  if (!connection) return connection;
  if (!url.tls) return connection;
  if (proxy != nullptr) {
    if (Status open = open_tunnel(*connection, url, *proxy, until); !open) {
      return fail(within("CONNECT through proxy " + proxy->url.authority(), open.error()));
    }
  }
  if (const Status& trusted = trust(); !trusted) return fail(trusted.error());
  if (Status secured = connection->connect_tls(context_, identity(url), until); !secured) {
    return fail(std::move(secured.error()));
  }
  return connection;
}

// Each address gets an even share of what time is left, so that one that swallows packets cannot
// keep the next from being tried.
Result<Connection> RealClient::connect_any(const std::string& host, std::uint16_t port,
                                           bool checked, Deadline deadline,
                                           const std::stop_token& stop) {
  const auto addresses = lookup_.lookup(host, deadline, stop);
  if (!addresses) return fail(addresses.error());
  // A refusal is the answer only where no address was allowed: the others may work later.
  std::optional<Error> refused;
  std::optional<Error> failed;
  auto left = static_cast<std::chrono::milliseconds::rep>(addresses->size());
  for (const SocketAddress& address : *addresses) {
    const auto share = deadline.remaining() / left--;
    const SocketAddress target = address.with_port(port);
    if (checked) {
      if (Status allowed = options_.addresses.check(target.get()); !allowed) {
        refused = std::move(allowed.error());
        continue;
      }
    }
    auto connection = connect_one(target, deadline.at_most(share), stop);
    if (connection || connection.error().kind == ErrorKind::kCanceled) return connection;
    failed = within("connecting to " + address.str() + " port " + std::to_string(port),
                    std::move(connection.error()));
  }
  if (failed) return fail(*std::move(failed));
  if (refused) return fail(*std::move(refused));
  return fail(ErrorKind::kUnavailable, "no address of " + host);
}

Result<Connection> RealClient::connect_one(const SocketAddress& address, Deadline deadline,
                                           const std::stop_token& stop) {
  const auto failed = [](int error) {
    return fail(ErrorKind::kUnavailable, std::generic_category().message(error));
  };
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return failed(errno);
  // Requests are one write each: waiting for more to send would only delay them.
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), &address.get(), address.size_bytes()) != 0 && errno != EINPROGRESS) {
    return failed(errno);
  }
  Connection connection(std::move(fd), -1, stop);
  if (Status connected = connection.finish_connect(deadline); !connected) {
    return fail(std::move(connected.error()));
  }
  return connection;
}

Status RealClient::open_tunnel(Connection& connection, const Url& url, const Proxy& proxy,
                               Deadline deadline) {
  std::string text =
      "CONNECT " + url.authority() + " HTTP/1.1\r\nHost: " + url.authority() + "\r\n";
  if (!proxy.authorization.empty()) {
    text.append("Proxy-Authorization: ").append(proxy.authorization).append("\r\n");
  }
  text.append("\r\n");
  if (Status written = connection.write(text, deadline); !written) return written;
  ResponseReader reader(connection, "CONNECT");
  const auto answer = reader.read_head(deadline);
  if (!answer) return fail(answer.error());
  if (answer->status / 100 != 2) {
    return fail(ErrorKind::kUnavailable, "it answered " + std::to_string(answer->status));
  }
  // A TLS server speaks second: what comes before our hello is not from the target.
  if (reader.has_leftover()) return fail(ErrorKind::kUnavailable, "unexpected bytes");
  return {};
}

}  // namespace

Status check_header(const Header& header) {
  if (!header_name(header.name)) return fail(ErrorKind::kInvalid, "not a header name");
  if (!header_value(header.value)) {
    return fail(ErrorKind::kInvalid, "control character in header " + header.name);
  }
  const Headers one = {header};
  if (std::ranges::any_of(kOwnHeaders, [&](auto name) { return find_header(one, name); })) {
    return fail(ErrorKind::kInvalid, "header " + header.name + " is set by the client itself");
  }
  return {};
}

Result<std::shared_ptr<HttpClient>> make_client(const ClientOptions& options) {
  if (!header_value(options.user_agent)) {
    return fail(ErrorKind::kInvalid, "control character in the user agent");
  }
  for (const std::optional<Proxy>* proxy : {&options.proxy.http, &options.proxy.https}) {
    if (!*proxy) continue;
    if ((*proxy)->url.tls) return fail(ErrorKind::kInvalid, "https:// proxies are not supported");
    if (!header_value((*proxy)->authorization)) {
      return fail(ErrorKind::kInvalid, "control character in the proxy's credentials");
    }
  }
  auto context = make_client_context(options.trust);
  if (!context) return fail(std::move(context.error()));
  return std::make_shared<RealClient>(options, std::move(*context));
}

}  // namespace tidemark::net
