#include "net/address_policy.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "net/socket_address.h"

namespace tidemark::net {
namespace {

Status check(const AddressPolicy& policy, const std::string& address) {
  const auto parsed = SocketAddress::parse(address);
  if (!parsed) return fail(ErrorKind::kInvalid, "not an address: " + address);
  return policy.check(parsed->get());
}

// "" where the address is allowed, else the rule that refuses it.
std::string refusal(const AddressPolicy& policy, const std::string& address) {
  const Status status = check(policy, address);
  if (status) return "";
  EXPECT_EQ(status.error().kind, ErrorKind::kForbidden) << status.error().message;
  const std::string& message = status.error().message;
  return message.substr(message.rfind(": ") + 2);
}

AddressPolicy make(const AddressPolicy::Options& options) {
  auto policy = AddressPolicy::make(options);
  EXPECT_TRUE(policy.has_value());
  return *policy;
}

struct Case {
  std::string address;
  std::string rule;  // "" for allowed
};

class DefaultPolicy : public ::testing::TestWithParam<Case> {};

TEST_P(DefaultPolicy, DecidesByRange) {
  EXPECT_EQ(refusal(make({}), GetParam().address), GetParam().rule) << GetParam().address;
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, DefaultPolicy,
    ::testing::Values(
        Case{"93.184.216.34", ""}, Case{"2606:2800:220:1::1", ""}, Case{"1.1.1.1", ""},
        Case{"10.1.2.3", ""}, Case{"172.16.0.1", ""}, Case{"192.168.1.1", ""},
        Case{"100.64.0.1", ""}, Case{"fd12:3456::1", ""}, Case{"127.0.0.1", "loopback"},
        Case{"127.255.255.254", "loopback"}, Case{"128.0.0.1", ""}, Case{"126.255.255.255", ""},
        Case{"::1", "loopback"}, Case{"169.254.169.254", "link-local"}, Case{"169.253.255.255", ""},
        Case{"fe80::1", "link-local"}, Case{"febf::1", "link-local"},
        Case{"0.0.0.0", "unspecified"}, Case{"0.1.2.3", "unspecified"}, Case{"::", "unspecified"},
        Case{"224.0.0.1", "multicast"}, Case{"239.255.255.255", "multicast"},
        Case{"ff02::1", "multicast"}, Case{"255.255.255.255", "reserved"},
        Case{"240.0.0.1", "reserved"}, Case{"100.100.100.200", "metadata service"},
        Case{"192.0.0.192", "metadata service"}, Case{"168.63.129.16", "metadata service"},
        Case{"fd00:ec2::254", "metadata service"}, Case{"fd20:ce::254", "metadata service"}));

INSTANTIATE_TEST_SUITE_P(
    EverySpellingAndEmbedding, DefaultPolicy,
    ::testing::Values(
        // One address, written as inet_aton allows it.
        Case{"127.1", "loopback"}, Case{"2130706433", "loopback"}, Case{"0x7f000001", "loopback"},
        Case{"0177.0.0.1", "loopback"}, Case{"0", "unspecified"},
        // IPv4-mapped: the IPv4 address itself.
        Case{"::ffff:127.0.0.1", "loopback"}, Case{"::ffff:a9fe:a9fe", "link-local"},
        Case{"::ffff:8.8.8.8", ""}, Case{"::ffff:0.0.0.0", "unspecified"},
        // Through a gateway: NAT64, 6to4, IPv4-compatible.
        Case{"64:ff9b::169.254.169.254", "link-local"}, Case{"64:ff9b::8.8.8.8", ""},
        Case{"2002:7f00:1::", "loopback"}, Case{"2002:a9fe:a9fe::1", "link-local"},
        Case{"::127.0.0.1", "loopback"}, Case{"::169.254.169.254", "link-local"}));

TEST(AddressPolicyTest, LoopbackCanBeAllowed) {
  const AddressPolicy policy = make({.allow_loopback = true});
  EXPECT_EQ(refusal(policy, "127.0.0.1"), "");
  EXPECT_EQ(refusal(policy, "::1"), "");
  EXPECT_EQ(refusal(policy, "169.254.169.254"), "link-local");
}

TEST(AddressPolicyTest, PrivateRangesCanBeRefused) {
  const AddressPolicy policy = make({.allow_private = false});
  for (const char* address : {"10.0.0.1", "172.31.255.255", "192.168.0.1", "100.127.0.1", "fd00::1",
                              "fec0::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"}) {
    EXPECT_EQ(refusal(policy, address), "private") << address;
  }
  EXPECT_EQ(refusal(policy, "172.32.0.1"), "");
  EXPECT_EQ(refusal(policy, "100.128.0.1"), "");
}

TEST(AddressPolicyTest, AllowedRangesAreExceptionsFromEveryRefusal) {
  const AddressPolicy policy =
      make({.allow_private = false, .allowed_cidrs = {"127.0.0.1/32", "10.0.0.0/8", "fe80::/64"}});
  EXPECT_EQ(refusal(policy, "127.0.0.1"), "");
  EXPECT_EQ(refusal(policy, "::ffff:127.0.0.1"), "");
  EXPECT_EQ(refusal(policy, "127.0.0.2"), "loopback");
  EXPECT_EQ(refusal(policy, "10.9.9.9"), "");
  EXPECT_EQ(refusal(policy, "fe80::5"), "");
  EXPECT_EQ(refusal(policy, "fe80:0:0:1::5"), "link-local");
}

TEST(AddressPolicyTest, DeniedRangesWinOverAll) {
  const AddressPolicy policy = make({.allow_loopback = true,
                                     .allowed_cidrs = {"10.0.0.0/8"},
                                     .denied_cidrs = {"10.96.0.1", "127.0.0.0/8", "2606::/16"}});
  EXPECT_EQ(refusal(policy, "10.96.0.1"), "denied by configuration");
  EXPECT_EQ(refusal(policy, "64:ff9b::10.96.0.1"), "denied by configuration");
  EXPECT_EQ(refusal(policy, "10.96.0.2"), "");
  EXPECT_EQ(refusal(policy, "127.0.0.1"), "denied by configuration");
  EXPECT_EQ(refusal(policy, "2606:2800::1"), "denied by configuration");
}

TEST(AddressPolicyTest, UnrestrictedAllowsAll) {
  const AddressPolicy policy = AddressPolicy::unrestricted();
  EXPECT_EQ(refusal(policy, "127.0.0.1"), "");
  EXPECT_EQ(refusal(policy, "169.254.169.254"), "");
}

TEST(AddressPolicyTest, OtherFamiliesAreRefused) {
  const sockaddr generic{.sa_family = AF_UNIX, .sa_data = {}};
  const Status status = make({}).check(generic);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kForbidden);
}

TEST(AddressPolicyTest, TheMessageNamesAddressAndRule) {
  const Status status = check(make({}), "169.254.169.254");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message, "address 169.254.169.254 is refused: link-local");
}

TEST(AddressPolicyTest, UnreadableRangesAreNamed) {
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129",
                          "host", "10/8", "010.0.0.1", "0x0a.0.0.1", "10.0.0.0 /8", "[::1]"}) {
    const auto policy = AddressPolicy::make({.denied_cidrs = {bad}});
    ASSERT_FALSE(policy.has_value()) << bad;
    EXPECT_EQ(policy.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(policy.error().message.find('"' + std::string(bad) + '"'), std::string::npos);
    EXPECT_FALSE(AddressPolicy::make({.allowed_cidrs = {bad}}).has_value()) << bad;
  }
}

TEST(CidrTest, ComparesWholeAndPartialBytes) {
  const auto contains = [](const char* cidr, const char* address) {
    return Cidr::parse(cidr)->contains(SocketAddress::parse(address)->bytes());
  };
  EXPECT_TRUE(contains("10.1.2.3/8", "10.200.0.1"));  // host bits are ignored
  EXPECT_TRUE(contains("10.0.0.0/9", "10.127.0.1"));
  EXPECT_FALSE(contains("10.0.0.0/9", "10.128.0.1"));
  EXPECT_TRUE(contains("0.0.0.0/0", "255.1.2.3"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(contains("::/0", "2001:db8::1"));
  EXPECT_TRUE(contains("10.0.0.1", "10.0.0.1"));
  EXPECT_FALSE(contains("10.0.0.1/32", "10.0.0.2"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "10.3.3.3"));
}

}  // namespace
}  // namespace tidemark::net
