#include "net/address_policy.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "net/socket_address.h"

namespace tidemark::net {
namespace {

enum class Range { kAlwaysRefused, kLoopback, kPrivate };

struct Rule {
  std::string_view cidr;
  Range range;
  std::string_view name;
};

// The first match decides, so the single metadata addresses stand before the ranges around them.
constexpr std::array kRules = {
    // Metadata services outside 169.254.0.0/16: Alibaba, Oracle (old), Azure, AWS and GCP on IPv6.
    Rule{"100.100.100.200/32", Range::kAlwaysRefused, "metadata service"},
    Rule{"192.0.0.192/32", Range::kAlwaysRefused, "metadata service"},
    Rule{"168.63.129.16/32", Range::kAlwaysRefused, "metadata service"},
    Rule{"fd00:ec2::254/128", Range::kAlwaysRefused, "metadata service"},
    Rule{"fd20:ce::254/128", Range::kAlwaysRefused, "metadata service"},
    Rule{"127.0.0.0/8", Range::kLoopback, "loopback"},
    Rule{"::1/128", Range::kLoopback, "loopback"},
    Rule{"169.254.0.0/16", Range::kAlwaysRefused, "link-local"},
    Rule{"fe80::/10", Range::kAlwaysRefused, "link-local"},
    // Linux connects 0.0.0.0 and :: to loopback.
    Rule{"0.0.0.0/8", Range::kAlwaysRefused, "unspecified"},
    Rule{"::/128", Range::kAlwaysRefused, "unspecified"},
    Rule{"224.0.0.0/4", Range::kAlwaysRefused, "multicast"},
    Rule{"ff00::/8", Range::kAlwaysRefused, "multicast"},
    Rule{"240.0.0.0/4", Range::kAlwaysRefused, "reserved"},
    Rule{"10.0.0.0/8", Range::kPrivate, "private"},
    Rule{"172.16.0.0/12", Range::kPrivate, "private"},
    Rule{"192.168.0.0/16", Range::kPrivate, "private"},
    Rule{"100.64.0.0/10", Range::kPrivate, "private"},
    Rule{"fc00::/7", Range::kPrivate, "private"},
    Rule{"fec0::/10", Range::kPrivate, "private"},
};

// IPv6 addresses that carry an IPv4 address which a gateway or a tunnel will talk to.
struct Embedding {
  std::string_view cidr;
  std::size_t ipv4_at;  // where its four bytes begin
};
constexpr std::array kEmbeddings = {
    Embedding{"64:ff9b::/96", 12},  // NAT64, RFC 6052
    Embedding{"2002::/16", 2},      // 6to4, RFC 3056
    Embedding{"::/96", 12},         // IPv4-compatible, RFC 4291, 2.5.5.1
};

std::optional<AddressBytes> embedded_ipv4(const AddressBytes& address) {
  for (const Embedding& embedding : kEmbeddings) {
    if (!Cidr::parse(std::string(embedding.cidr))->contains(address)) continue;
    AddressBytes inner{};
    inner[10] = inner[11] = 0xff;
    std::copy_n(address.begin() + static_cast<std::ptrdiff_t>(embedding.ipv4_at), 4,
                inner.begin() + 12);
    return inner;
  }
  return std::nullopt;
}

const Rule* find_rule(const AddressBytes& address) {
  const auto found = std::ranges::find_if(kRules, [&](const Rule& rule) {
    return Cidr::parse(std::string(rule.cidr))->contains(address);
  });
  return found == kRules.end() ? nullptr : &*found;
}

bool any_contains(const std::vector<Cidr>& cidrs, const AddressBytes& address) {
  return std::ranges::any_of(cidrs, [&](const Cidr& cidr) { return cidr.contains(address); });
}

Result<std::vector<Cidr>> parse_all(const std::vector<std::string>& texts) {
  std::vector<Cidr> cidrs;
  for (const std::string& text : texts) {
    const auto cidr = Cidr::parse(text);
    if (!cidr) return fail(ErrorKind::kInvalid, "not an address range: \"" + text + '"');
    cidrs.push_back(*cidr);
  }
  return cidrs;
}

std::unexpected<Error> refused(const SocketAddress& address, std::string_view rule) {
  return fail(ErrorKind::kForbidden,
              "address " + address.str() + " is refused: " + std::string(rule));
}

}  // namespace

Result<AddressPolicy> AddressPolicy::make(const Options& options) {
  AddressPolicy policy;
  policy.allow_loopback_ = options.allow_loopback;
  policy.allow_private_ = options.allow_private;
  auto allowed = parse_all(options.allowed_cidrs);
  if (!allowed) return fail(std::move(allowed.error()));
  auto denied = parse_all(options.denied_cidrs);
  if (!denied) return fail(std::move(denied.error()));
  policy.allowed_ = std::move(*allowed);
  policy.denied_ = std::move(*denied);
  return policy;
}

AddressPolicy AddressPolicy::unrestricted() {
  AddressPolicy policy;
  policy.unrestricted_ = true;
  return policy;
}

Status AddressPolicy::check(const sockaddr& address) const {
  if (unrestricted_) return {};
  const auto parsed = SocketAddress::from(address);
  if (!parsed) return fail(ErrorKind::kForbidden, "only IPv4 and IPv6 addresses are allowed");

  const AddressBytes outer = parsed->bytes();
  const std::optional<AddressBytes> inner = embedded_ipv4(outer);
  if (any_contains(denied_, outer) || (inner && any_contains(denied_, *inner))) {
    return refused(*parsed, "denied by configuration");
  }
  if (any_contains(allowed_, outer)) return {};

  // ::1 and :: lie in the IPv4-compatible range, so the outer address is asked first.
  const Rule* rule = find_rule(outer);
  if (rule == nullptr && inner) rule = find_rule(*inner);
  if (rule == nullptr) return {};
  if (rule->range == Range::kLoopback && allow_loopback_) return {};
  if (rule->range == Range::kPrivate && allow_private_) return {};
  return refused(*parsed, rule->name);
}

}  // namespace tidemark::net
