#include "base/json_text.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tidemark {
namespace {

// The length of the well-formed UTF-8 sequence at text[at], or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(at + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return tail(at + 1, low, high) && tail(at + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return tail(at + 1, low, high) && tail(at + 2) && tail(at + 3) ? 4 : 0;
  }
  return 0;
}

// A bit in the first of the eight bytes that is not plain, and none below it; 0 where all are
// plain. Source: Anderson's Bit Twiddling Hacks, "Determine if a word has a zero byte" and "... a
// byte less than n".
std::uint64_t specials(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  const auto zeros = [](std::uint64_t bytes) { return (bytes - kOnes) & ~bytes; };
  const std::uint64_t controls = (word - kOnes * 0x20) & ~word;
  return (word | controls | zeros(word ^ kOnes * '"') | zeros(word ^ kOnes * '\\') |
          zeros(word ^ kOnes * 0x7F)) &
         kHighs;
}

// What stands in a JSON string for the byte, or the character, at text[i], which is not plain.
// Advances both.
char* write_special(char* to, std::string_view text, std::size_t& i) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  const auto write = [&to](std::string_view bytes) { to = std::ranges::copy(bytes, to).out; };
  const auto byte = static_cast<unsigned char>(text[i]);
  std::size_t length = 1;
  if (byte == '"' || byte == '\\') {
    *to++ = '\\';
    *to++ = text[i];
  } else if (byte < 0x20 || byte == 0x7F) {
    write("\\u00");
    *to++ = kHex[byte >> 4U];
    *to++ = kHex[byte & 0xFU];
  } else if (length = utf8_length(text, i); length > 0) {
    write(text.substr(i, length));
  } else {
    write("\xEF\xBF\xBD");
    length = 1;
  }
  i += length;
  return to;
}

// So much of a text is written at once, in room for the longest that it can become: little, for a
// string that grows is moved.
constexpr std::size_t kPieceBytes = 64;
constexpr std::size_t kEscapedBytes = 6;  // "\u001f"

// From text[i] on, a piece or a little more.
char* write_piece(char* to, std::string_view text, std::size_t& i) {
  static_assert(std::endian::native == std::endian::little);  // the first byte is the lowest
  const std::size_t end = std::min(text.size(), i + kPieceBytes);
  while (i < end) {
    std::uint64_t word = 0;
    const std::size_t bytes = std::min(sizeof(word), text.size() - i);
    if (bytes == sizeof(word)) {
      std::memcpy(&word, text.data() + i, sizeof(word));
    } else {
      std::memcpy(&word, text.data() + i, bytes);  // the zeros behind it count as special
    }
    std::memcpy(to, &word, sizeof(word));
    const std::uint64_t found = specials(word);
    const std::size_t plain =
        found == 0 ? sizeof(word) : static_cast<std::size_t>(std::countr_zero(found)) / 8;
    i += plain;
    to += plain;
    if (plain < bytes) to = write_special(to, text, i);
  }
  return to;
}

}  // namespace

void append_json_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t room =
        (std::min(kPieceBytes, text.size() - i) + sizeof(std::uint64_t)) * kEscapedBytes;
    const std::size_t before = out.size();
    out.resize_and_overwrite(before + room, [&](char* begin, std::size_t) {
      return static_cast<std::size_t>(write_piece(begin + before, text, i) - begin);
    });
  }
  out.push_back('"');
}

std::string json_quote(std::string_view text) {
  std::string out;
  append_json_quoted(out, text);
  return out;
}

}  // namespace tidemark
