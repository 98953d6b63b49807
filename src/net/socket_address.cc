#include "net/socket_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace tidemark::net {

SocketAddress SocketAddress::make_v4(const in_addr& address, in_port_t port) {
  SocketAddress made;
  made.storage_.v4 = sockaddr_in{};
  made.storage_.v4.sin_family = AF_INET;
  made.storage_.v4.sin_port = port;
  made.storage_.v4.sin_addr = address;
  return made;
}

std::optional<SocketAddress> SocketAddress::from(const sockaddr& address) {
  // Copied by bytes: a sockaddr is only the beginning of the structure that its family names.
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return make_v4(v4.sin_addr, v4.sin_port);
  }
  if (address.sa_family != AF_INET6) return std::nullopt;
  SocketAddress made;
  std::memcpy(&made.storage_.v6, &address, sizeof made.storage_.v6);
  const in6_addr& v6 = made.storage_.v6.sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    in_addr v4{};
    std::memcpy(&v4, &v6.s6_addr[12], sizeof v4);
    return make_v4(v4, made.storage_.v6.sin6_port);
  }
  return made;
}

std::optional<SocketAddress> SocketAddress::parse(const std::string& text) {
  // inet_aton reads up to the first blank; a host name cannot hold one.
  in_addr v4{};
  if (text.find_first_of(" \t\r\n\v\f") == std::string::npos && inet_aton(text.c_str(), &v4) == 1) {
    return make_v4(v4, 0);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) != 1) return std::nullopt;
  Storage storage{.v6 = v6};
  return from(storage.any);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress copy = *this;
  // sin_port and sin6_port lie at the same place, but only one of them is the active member.
  if (family() == AF_INET) {
    copy.storage_.v4.sin_port = htons(port);
  } else {
    copy.storage_.v6.sin6_port = htons(port);
  }
  return copy;
}

const sockaddr& SocketAddress::get() const { return storage_.any; }

socklen_t SocketAddress::size_bytes() const {
  return family() == AF_INET ? sizeof storage_.v4 : sizeof storage_.v6;
}

AddressBytes SocketAddress::bytes() const {
  AddressBytes bytes{};
  if (family() == AF_INET) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &storage_.v4.sin_addr, 4);
  } else {
    std::memcpy(bytes.data(), &storage_.v6.sin6_addr, bytes.size());
  }
  return bytes;
}

bool SocketAddress::is_loopback() const {
  if (family() == AF_INET) return ntohl(storage_.v4.sin_addr.s_addr) >> 24U == 127;
  return IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
}

std::string SocketAddress::str() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* address = family() == AF_INET ? static_cast<const void*>(&storage_.v4.sin_addr)
                                            : static_cast<const void*>(&storage_.v6.sin6_addr);
  inet_ntop(family(), address, text.data(), text.size());
  return text.data();
}

}  // namespace tidemark::net
