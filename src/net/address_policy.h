// AddressPolicy: which addresses a client may connect to.
//
// Purpose: an image name is attacker-chosen, and the HEAD for it is sent by us (SSRF). Loopback,
// link-local (the metadata services), unspecified, multicast and IPv4-mapped forms of these are
// refused unless configured; private ranges are allowed by default, for registries live there.
// So are IPv6 forms that a gateway turns into one of these (NAT64, 6to4, IPv4-compatible), and the
// metadata services that live outside the link-local ranges.
// The connection goes to the very address that was checked, with no second lookup.
// Thread-safety: immutable after construction. Source: RFC 6890, RFC 4291, design section 9.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/cidr.h"

struct sockaddr;

namespace tidemark::net {

class AddressPolicy {
 public:
  struct Options {
    bool allow_loopback = false;
    bool allow_private = true;                    // RFC 1918, RFC 4193, RFC 6598
    std::vector<std::string> allowed_cidrs = {};  // exceptions from every refusal: "10.0.0.0/8"
    std::vector<std::string> denied_cidrs =
        {};  // e.g. the API server's own addresses; wins over all
    friend bool operator==(const Options&, const Options&) = default;
  };
  // kInvalid names a CIDR that cannot be read.
  static Result<AddressPolicy> make(const Options& options);
  // No rule at all: for the API server's client, whose address comes from our own configuration.
  static AddressPolicy unrestricted();

  // kForbidden with a message that names the address and the rule.
  Status check(const sockaddr& address) const;

 private:
  AddressPolicy() = default;

  bool unrestricted_ = false;
  bool allow_loopback_ = false;
  bool allow_private_ = true;
  std::vector<Cidr> allowed_;
  std::vector<Cidr> denied_;
};

}  // namespace tidemark::net
