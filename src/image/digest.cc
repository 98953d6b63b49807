#include "image/digest.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/json_text.h"

namespace tidemark::image {
namespace {

struct Algorithm {
  std::string_view name;
  std::size_t hex_digits;
};
// image-spec, "Registered algorithms". blake3 is registered too, but no registry serves it.
constexpr std::array kAlgorithms = {Algorithm{"sha256", 64}, Algorithm{"sha512", 128}};

// Enough to recognise a name in a message; what did not parse may be of any length.
constexpr std::size_t kMaxQuotedBytes = 160;

constexpr std::size_t kShortHexDigits = 12;

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view hex =
      colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  const bool known = std::ranges::any_of(kAlgorithms, [&](const Algorithm& algorithm) {
    return text.substr(0, colon) == algorithm.name && hex.size() == algorithm.hex_digits;
  });
  if (!known || !std::ranges::all_of(hex, is_lower_hex)) {
    return fail(ErrorKind::kInvalid, "not a digest (sha256 or sha512 with lower-case hex): " +
                                         json_quote(text.substr(0, kMaxQuotedBytes)));
  }
  return Digest(std::string(text));
}

std::string_view Digest::algorithm() const {
  return std::string_view(text_).substr(0, text_.find(':'));
}

std::string_view Digest::hex() const { return std::string_view(text_).substr(text_.find(':') + 1); }

std::string_view Digest::short_hex() const { return hex().substr(0, kShortHexDigits); }

}  // namespace tidemark::image
