#include "base/fnv.h"

#include <array>
#include <charconv>

namespace tidemark {

std::uint64_t fnv1a(std::string_view text, std::uint64_t from) {
  std::uint64_t hash = from;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

std::string to_hex(std::uint64_t number) {
  std::array<char, 16> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return {digits.data(), end};
}

}  // namespace tidemark
