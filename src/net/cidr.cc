#include "net/cidr.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace tidemark::net {
namespace {

// "010", "1e1" and the old short IPv4 forms mean different things to different readers: in a
// configuration only the plain forms are taken.
bool plain_form(std::string_view address) {
  if (address.find(':') != std::string_view::npos) return true;
  if (std::ranges::count(address, '.') != 3) return false;
  for (std::size_t at = 0; at < address.size(); ++at) {
    const bool begins = at == 0 || address[at - 1] == '.';
    const bool more = at + 1 < address.size() && address[at + 1] != '.';
    if (begins && address[at] == '0' && more) return false;
  }
  return true;
}

}  // namespace

std::optional<Cidr> Cidr::parse(const std::string& text) {
  const std::size_t slash = text.find('/');
  const std::string address_text = text.substr(0, slash);
  const auto address = SocketAddress::parse(address_text);
  if (!address || !plain_form(address_text)) return std::nullopt;
  // A mapped address is IPv4 afterwards; its length is then counted from the IPv6 form as written.
  const bool v4_as_written = address_text.find(':') == std::string::npos;
  const unsigned longest = v4_as_written ? 32 : 128;
  unsigned bits = longest;
  if (slash != std::string::npos) {
    const std::string_view length = std::string_view(text).substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (error != std::errc() || end != length.data() + length.size() || bits > longest) {
      return std::nullopt;
    }
  }
  return Cidr{.bytes = address->bytes(), .prefix_bits = bits + (128 - longest)};
}

bool Cidr::contains(const AddressBytes& address) const {
  const std::size_t whole = prefix_bits / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.begin())) {
    return false;
  }
  const unsigned rest = prefix_bits % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xffU << (8 - rest);
  return ((bytes[whole] ^ address[whole]) & mask & 0xffU) == 0;
}

}  // namespace tidemark::net
