// Cidr: an address prefix, "10.0.0.0/8", "fd00::/8" or a single address.
//
// Purpose: shared by the address policy and NO_PROXY. Host bits below the prefix are ignored, as in
// Go's net.ParseCIDR. Thread-safety: plain values. Source: RFC 4632, RFC 4291 (2.3).
#pragma once

#include <optional>
#include <string>

#include "net/socket_address.h"

namespace tidemark::net {

struct Cidr {
  AddressBytes bytes{};  // IPv4 as IPv4-mapped, and 96 bits more of prefix
  unsigned prefix_bits = 128;

  // nullopt for anything else than an address, or an address and a decimal length.
  static std::optional<Cidr> parse(const std::string& text);
  bool contains(const AddressBytes& address) const;
};

}  // namespace tidemark::net
