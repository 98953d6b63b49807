#include "base/base64.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

// The first `count` of the digits that the highest bits of `bits` make.
char* write_digits(char* out, std::uint64_t bits, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i, bits <<= 6U) *out++ = kAlphabet[bits >> 58U];
  return out;
}

// The bytes, seven at most, as the highest of a number, the first one on top.
std::uint64_t highest_bytes(std::string_view bytes) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bits |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (56U - 8U * i);
  }
  return bits;
}

// Six bytes, which are eight digits, at once.
void write_base64(char* out, std::string_view bytes) {
  static_assert(std::endian::native == std::endian::little);
  for (std::uint64_t word = 0; bytes.size() >= sizeof(word); bytes.remove_prefix(6)) {
    std::memcpy(&word, bytes.data(), sizeof(word));
    out = write_digits(out, std::byteswap(word), 8);
  }
  const std::size_t digits = (bytes.size() * 8 + 5) / 6;
  out = write_digits(out, highest_bytes(bytes), digits);
  std::fill_n(out, (4 - digits % 4) % 4, '=');
}

}  // namespace

void append_base64(std::string& text, std::string_view bytes) {
  const std::size_t before = text.size();
  const std::size_t after = before + (bytes.size() + 2) / 3 * 4;
  // The size that is passed is a capacity with libstdc++ 12.
  text.resize_and_overwrite(after, [&](char* begin, std::size_t) {
    write_base64(begin + before, bytes);
    return after;
  });
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
