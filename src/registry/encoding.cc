#include "registry/encoding.h"

#include <openssl/sha.h>

#include <array>
#include <span>

namespace tidemark::registry {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string hex(std::span<const unsigned char> bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 0xFU]);
  }
  return out;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> sum{};
  SHA256(bytes_of(bytes), bytes.size(), sum.data());
  return hex(sum);
}

bool matches(const image::Digest& digest, std::string_view bytes) {
  if (digest.algorithm() == "sha256") return digest.hex() == sha256_hex(bytes);
  std::array<unsigned char, SHA512_DIGEST_LENGTH> sum{};
  SHA512(bytes_of(bytes), bytes.size(), sum.data());
  return digest.hex() == hex(sum);
}

}  // namespace tidemark::registry
