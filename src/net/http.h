// The plain structs of HTTP that every folder above net/ speaks, and the client's interface.
//
// Purpose: no type of an HTTP library travels further than net/. Tests of registry/ and kube/ give
// their code a scripted HttpClient (tests/support/fake_http_client.h) instead of a socket.
// Thread-safety: structs are values; HttpClient's methods may be called from many threads at once.
// Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 3986 (URLs).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::net {

struct Header {
  std::string name;
  std::string value;
};
using Headers = std::vector<Header>;

// The first header of that name, compared without case; nullptr where there is none.
const std::string* find_header(const Headers& headers, std::string_view name);
// All values of that name, in order.
std::vector<std::string_view> find_headers(const Headers& headers, std::string_view name);

// An absolute http or https URL, taken apart once. No user information, no fragment.
struct Url {
  bool tls = true;
  std::string host;  // lower case; an IPv6 address without its brackets
  std::uint16_t port = 443;
  std::string target = "/";  // path and query, percent-encoded as it was given

  // kInvalid for anything else than http:// or https:// with a host.
  static Result<Url> parse(std::string_view text);
  // `location` may be absolute, or relative to this URL (RFC 3986, 5.2): redirects, Link headers.
  Result<Url> resolve(std::string_view location) const;
  std::string str() const;
  // Scheme, host and port alone.
  std::string origin() const;
  // "host:port" with brackets where needed: the key of a connection pool.
  std::string authority() const;
  // The Host header: the port is left out where it is the scheme's default.
  std::string host_header() const;
  bool same_origin(const Url& other) const {
    return tls == other.tls && host == other.host && port == other.port;
  }
};

// Percent-encodes everything but unreserved characters: for one query value or path segment.
std::string percent_encode(std::string_view text);

struct Request {
  std::string method = "GET";
  Url url;
  Headers headers;  // without Host, Content-Length, User-Agent and Connection: net/ sets those
  std::string body;
  // A longer response body is kTooLarge. Every caller names its own bound.
  std::size_t max_body_bytes = std::size_t{64} * 1024;
  // The path is a secret (Slack's webhooks): errors name no more of the URL than its origin.
  bool secret_target = false;
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};

// HTTP-date (RFC 9110, 5.6.7), also in its two obsolete forms.
std::optional<WallTime> parse_http_date(const std::string& text);

// Seconds or HTTP-date form of Retry-After (RFC 9110, 10.2.3), at most an hour.
std::optional<std::chrono::milliseconds> retry_after(const Headers& headers, WallTime now);

class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // One request, one answer. Redirects are not followed: who may see which credential is the
  // caller's knowledge. Any status is an answer, not an error. One deadline bounds name lookup,
  // connect, TLS, write and read together. A GET or HEAD that fails on a reused connection before
  // the first byte of the answer is tried once more on a new one.
  // Errors: kTimeout, kCanceled, kUnavailable, kTls, kTooLarge, kForbidden (address refused by
  // policy), kInvalid.
  virtual Result<Response> send(const Request& request, Deadline deadline,
                                std::stop_token stop = {}) = 0;

  struct StreamLimits {
    Deadline headers;                // until the response head is complete
    std::chrono::milliseconds idle;  // longest silence between two pieces of the body
    Deadline whole;                  // the end of the stream, whatever arrives
  };
  // Called with each piece of a 2xx body as it arrives; false ends the stream without an error.
  using Sink = std::function<bool(std::string_view piece)>;

  // A long answer, piece by piece (watches, large lists). An answer outside 2xx is not streamed:
  // its body (at most request.max_body_bytes) is in the Response. A 2xx Response has no body.
  virtual Result<Response> stream(const Request& request, const StreamLimits& limits,
                                  const Sink& sink, std::stop_token stop = {}) = 0;
};

}  // namespace tidemark::net
