// The HTTP(S) client: keep-alive pool per host, one deadline per request, bounded answers.
//
// Purpose: HttpClient over real sockets. One client is one trust domain (roots, client certificate,
// proxy, address policy); registry/ and kube/ make one per configured registry or API server.
// Thread-safety: send() and stream() from many threads; each borrows a connection of its own.
// Ownership: the client owns its idle connections; options are copied.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/address_policy.h"
#include "net/http.h"
#include "net/tls.h"

namespace tidemark::net {

// Where a request goes first (RFC 9110, 7.3.2 and 9.3.6), by the rules of Go's httpproxy, which are
// the ones that users of Kubernetes know: https:// targets are reached through CONNECT, http://
// targets by an absolute-form request. The proxy itself is spoken to in plain HTTP; an https://
// proxy is refused. The address policy does not apply to the proxy, which we configured, but a
// target that is a literal address is checked before the proxy hears of it.
struct Proxy {
  Url url;                         // only host and port are used
  std::string authorization = {};  // the Proxy-Authorization value, or empty
};

struct ProxyOptions {
  std::optional<Proxy> http;   // for http:// targets
  std::optional<Proxy> https;  // for https:// targets
  // Targets that are reached directly: "example.com" (and its subdomains), ".example.com" and
  // "*.example.com" (subdomains only), an address, a CIDR (for literal addresses; names are not
  // looked up for it), each but the CIDR with ":port" if wanted, or "*". localhost and literal
  // loopback addresses are always reached directly.
  std::vector<std::string> no_proxy;

  // From HTTP_PROXY, HTTPS_PROXY and NO_PROXY; the lower case name is asked where the upper case
  // one is not set. HTTP_PROXY is not read where REQUEST_METHOD is set (httpoxy). Scheme and port
  // may be left out, user:password@ becomes Basic authorization. kInvalid names the variable.
  static Result<ProxyOptions> from_environment();
  // The same from any source of variables: "" means not set.
  using Variables = std::function<std::string(const std::string& name)>;
  static Result<ProxyOptions> from(const Variables& variables);

  // One proxy for every target but loopback ones ("http://user:password@host:port"); "" for none.
  // kInvalid without the value.
  static Result<ProxyOptions> for_all(const std::string& url);

  // The proxy for `url`, or nullptr for a direct connection. It lives as long as these options.
  const Proxy* select(const Url& url) const;
};

struct ClientOptions {
  TrustOptions trust = {};
  ProxyOptions proxy = {};
  AddressPolicy addresses = AddressPolicy::unrestricted();
  std::string user_agent = {};  // "tidemark/0.1.0 (webhook)"
  // The name that servers are asked for (SNI) and that their certificates must carry; "" for the
  // host of the URL. For a client of one server that is reached under another name.
  std::string server_name = {};
  std::chrono::milliseconds connect_timeout{3000};  // lookup + connect + TLS, within the deadline
  std::size_t max_idle_per_host = 8;                // connections kept for the next request
  std::chrono::milliseconds idle_timeout{60'000};   // below the 90 s of the API server
};

// As requests are checked, for headers that somebody configures. Errors: kInvalid, without the
// value.
Status check_header(const Header& header);

// The real client. Errors: kInvalid where trust options do not load.
Result<std::shared_ptr<HttpClient>> make_client(const ClientOptions& options);

}  // namespace tidemark::net
