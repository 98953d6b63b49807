// The HTTP(S) client: keep-alive pool per host, one deadline per request, bounded bodies.
//
// Purpose: HttpClient over real sockets. One client is one trust domain (roots, client certificate,
// proxy, address policy); registry/ and kube/ make one per configured registry or API server.
// Thread-safety: send() and stream() from many threads; each borrows a connection of its own.
// Ownership: the client owns its idle connections; options are copied.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/address_policy.h"
#include "net/http.h"
#include "net/tls.h"

namespace tidemark::net {

// Where a request goes first (RFC 9110, 7.3.2): HTTP(S)_PROXY and NO_PROXY in the usual forms
// (host, .suffix, *.suffix, host:port, CIDR, *). https:// targets use CONNECT.
struct ProxyOptions {
  std::optional<Url> http_proxy;
  std::optional<Url> https_proxy;
  std::string proxy_authorization;  // the whole header value, or empty
  std::vector<std::string> no_proxy;
  // From the process environment, upper and lower case names (HTTP_PROXY only in lower case where
  // REQUEST_METHOD is set: httpoxy). kInvalid names the variable.
  static Result<ProxyOptions> from_environment();
  // The proxy for `url`, or nullptr for a direct connection.
  const Url* select(const Url& url) const;
};

struct ClientOptions {
  TrustOptions trust;
  ProxyOptions proxy;
  AddressPolicy addresses = AddressPolicy::unrestricted();
  std::string user_agent;                           // "tidemark/0.1.0 (webhook)"
  std::chrono::milliseconds connect_timeout{3000};  // lookup + connect + TLS, within the deadline
  std::size_t max_idle_per_host = 8;
  std::chrono::milliseconds idle_timeout{60'000};
};

// The real client. Errors: kInvalid where trust options do not load.
Result<std::shared_ptr<HttpClient>> make_client(const ClientOptions& options);

}  // namespace tidemark::net
