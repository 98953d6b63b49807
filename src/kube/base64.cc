#include "kube/base64.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace tidemark::kube {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNone);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += i <= count ? kAlphabet[group >> (18 - 6 * i) & 0x3F] : '=';
    }
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  std::size_t digits = 0;  // of the current group, padding included
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      if (digits < 2) return fail(ErrorKind::kInvalid, "base64: padding where none belongs");
      ++padding;
      group <<= 6;
    } else {
      const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
      if (value == kNone)
        return fail(ErrorKind::kInvalid, "base64: character outside the alphabet");
      if (padding > 0) return fail(ErrorKind::kInvalid, "base64: data after the padding");
      group = group << 6 | value;
    }
    if (++digits < 4) continue;
    for (std::size_t i = 0; i < 3 - padding; ++i) {
      bytes += static_cast<char>(group >> (16 - 8 * i) & 0xFF);
    }
    group = 0;
    digits = 0;
  }
  if (digits != 0) return fail(ErrorKind::kInvalid, "base64: cut short");
  return bytes;
}

}  // namespace tidemark::kube
