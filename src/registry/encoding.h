// Base64 and SHA-2, as docker configurations, Basic authentication and digests need them.
//
// Thread-safety: pure functions. Errors: base64_decode() answers nullopt for anything that is not
// base64; nothing of its input is ever quoted, for it is a secret.
// Source: RFC 4648 section 4 (with or without padding, as Go's decoders in the kubelet take it),
// FIPS 180-4 through OpenSSL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/digest.h"

namespace tidemark::registry {

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

// 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);
// True where `bytes` have this digest, by the digest's own algorithm.
bool matches(const image::Digest& digest, std::string_view bytes);

}  // namespace tidemark::registry
