// SHA-2, as digests and the identity of credentials need it.
//
// Thread-safety: pure functions. Errors: none. Source: FIPS 180-4 through OpenSSL.
#pragma once

#include <string>
#include <string_view>

#include "image/digest.h"

namespace tidemark::registry {

// 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);
// True where `bytes` have this digest, by the digest's own algorithm.
bool matches(const image::Digest& digest, std::string_view bytes);

}  // namespace tidemark::registry
