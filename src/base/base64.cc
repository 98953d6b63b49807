#include "base/base64.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace tidemark {
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

void append_base64(std::string& text, std::string_view bytes) {
  const std::size_t before = text.size();
  text.resize(before + (bytes.size() + 2) / 3 * 4, '=');
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return static_cast<unsigned char>(bytes[i]);
  };
  const auto digit = [](std::uint32_t bits) { return kAlphabet[bits & 63U]; };
  char* out = text.data() + before;
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3, out += 4) {
    const std::uint32_t group = (byte(i) << 16U) | (byte(i + 1) << 8U) | byte(i + 2);
    out[0] = digit(group >> 18U);
    out[1] = digit(group >> 12U);
    out[2] = digit(group >> 6U);
    out[3] = digit(group);
  }
  if (const std::size_t left = bytes.size() - i; left > 0) {  // the padding stands there already
    const std::uint32_t group = (byte(i) << 16U) | (left > 1 ? byte(i + 1) << 8U : 0U);
    out[0] = digit(group >> 18U);
    out[1] = digit(group >> 12U);
    if (left > 1) out[2] = digit(group >> 6U);
  }
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  append_base64(text, bytes);
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  unsigned waiting = 0;  // bits that make no byte yet
  std::size_t digits = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    const std::uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == kNone) return fail(ErrorKind::kInvalid, "base64: character outside the alphabet");
    if (padding > 0) return fail(ErrorKind::kInvalid, "base64: data after the padding");
    ++digits;
    bits = bits << 6U | value;
    waiting += 6;
    if (waiting >= 8) {
      waiting -= 8;
      bytes += static_cast<char>(bits >> waiting & 0xFFU);
    }
  }
  if (digits % 4 == 1) return fail(ErrorKind::kInvalid, "base64: cut short");
  if (padding > 0 && (padding > 2 || (digits + padding) % 4 != 0)) {
    return fail(ErrorKind::kInvalid, "base64: padding where none belongs");
  }
  return bytes;
}

}  // namespace tidemark
