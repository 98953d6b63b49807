// SocketAddress: an IPv4 or IPv6 address with its port, as a value.
//
// Purpose: the one form in which addresses travel between name lookup, address policy and connect,
// so that the connection goes to the very address that was checked. An IPv4-mapped IPv6 address
// (::ffff:a.b.c.d, RFC 4291, 2.5.5.2) becomes the IPv4 address that it means.
// Thread-safety: plain values. Errors: none; what is no IP address is nullopt.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace tidemark::net {

// 16 bytes in network order, IPv4 as IPv4-mapped: one form for comparisons and prefixes.
using AddressBytes = std::array<unsigned char, 16>;

class SocketAddress {
 public:
  // nullopt for any family but AF_INET and AF_INET6.
  static std::optional<SocketAddress> from(const sockaddr& address);
  // A literal: IPv6 without brackets, or IPv4 in every form that getaddrinfo and inet_aton take
  // for one ("127.1", "0x7f000001", "2130706433"), so that no spelling hides an address.
  static std::optional<SocketAddress> parse(const std::string& text);

  SocketAddress with_port(std::uint16_t port) const;

  const sockaddr& get() const;
  socklen_t size_bytes() const;
  int family() const { return get().sa_family; }
  AddressBytes bytes() const;
  bool is_loopback() const;
  std::string str() const;  // the address without its port

 private:
  SocketAddress() = default;
  static SocketAddress make_v4(const in_addr& address, in_port_t port);

  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  Storage storage_{.v6 = {}};
};

}  // namespace tidemark::net
