// answer_error: an HTTP answer that is no success, as an Error.
//
// Purpose: status to kind, the registry's own words ("MANIFEST_UNKNOWN: manifest unknown") to the
// message. What a registry writes is untrusted: it is cut, made printable, and loses every secret
// that was sent to it and the query of every URL.
// Thread-safety: a pure function.
// Source: distribution-spec "Error Codes", RFC 6749 section 5.2 (token servers).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "registry/credentials.h"

namespace tidemark::registry {

// distribution-spec names no bound; every registry's errors fit in a fraction of this.
inline constexpr std::size_t kMaxErrorBodyBytes = std::size_t{64} * 1024;

// `text` with the query of every URL in it left out: it may be a signature, and names no cause.
std::string without_queries(std::string text);

// `authorization`: the header that was sent, "" for none.
Error answer_error(const net::Response& response, WallTime now, const Credential& credential,
                   std::string_view authorization);

}  // namespace tidemark::registry
