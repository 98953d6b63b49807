// RequestHead: the head of one HTTP/1.1 request, checked before anything else reads it.
//
// Purpose: a pure gate in front of httplib's parser, which takes what it should not (design 7.1):
// gzip bombs, a Range header that runs a recursive regex, bodies without a bound. Whoever passes
// has one well-formed request line, well-formed headers and a body of known length.
// Thread-safety: a function of values. Ownership: views point into the text that was parsed.
// Source: RFC 9112 (message syntax), RFC 9110 (methods and statuses).
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "net/http.h"

namespace tidemark::net {

// The answer to a request that is not served; the connection is closed after it.
struct Refusal {
  int status = 400;
  std::string message;
};

struct RequestHead {
  std::string_view method;
  std::string_view path;   // as sent, begins with '/'
  std::string_view query;  // as sent, without '?'
  Headers headers;
  std::size_t content_length = 0;
  bool close = false;  // the client wants no other request on this connection
};

// `head`: from the first byte to the empty line, both line ends included. Refuses with
// 400: broken syntax, a Host that is not there once, a Content-Length that is not one number, and
//      Range, Transfer-Encoding, Content-Encoding, Expect (the API server sends none of these)
// 411: POST, PUT and PATCH without Content-Length
// 413: a Content-Length over `max_body_bytes`
// 414: a path and query longer than kMaxTargetBytes
// 431: more than kMaxHeaderLines
// 501: another method than GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
// 505: another version than HTTP/1.1 and HTTP/1.0 (which is always answered with close)
std::expected<RequestHead, Refusal> parse_request_head(std::string_view head,
                                                       std::size_t max_body_bytes);

// httplib answers 414 by itself above 8192 bytes of request line.
inline constexpr std::size_t kMaxTargetBytes = 8000;
// The API server sends about ten; a line is an allocation, and 16 KiB would hold 4,000.
inline constexpr std::size_t kMaxHeaderLines = 100;

}  // namespace tidemark::net
