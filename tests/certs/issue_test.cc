#include "certs/issue.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/fake_clock.h"

namespace tidemark::certs {
namespace {

using namespace std::chrono_literals;

const WallTime kNow = tidemark::testing::FakeClock().wall_now();
const Validity kYear{.not_before = kNow - 1h, .not_after = kNow + std::chrono::days(365)};

class IssueTest : public ::testing::Test {
 protected:
  net::KeyPair ca = *issue_ca("one", kYear);
  net::KeyPair other = *issue_ca("two", kYear);
  net::KeyPair leaf =
      *issue_serving(ca, {"web.ns.svc", "web.ns"},
                     {.not_before = kNow - 1h, .not_after = kNow + std::chrono::days(90)});
};

TEST_F(IssueTest, ALeafIsGoodUnderItsCaAndItsDatesOnly) {
  EXPECT_TRUE(chains_to(leaf.certificate_pem, ca.certificate_pem, kNow));
  EXPECT_TRUE(chains_to(leaf.certificate_pem, other.certificate_pem + ca.certificate_pem, kNow));
  EXPECT_FALSE(chains_to(leaf.certificate_pem, other.certificate_pem, kNow));
  EXPECT_FALSE(chains_to(leaf.certificate_pem, "", kNow));
  EXPECT_FALSE(chains_to("", ca.certificate_pem, kNow));
  EXPECT_FALSE(chains_to(leaf.certificate_pem, ca.certificate_pem, kNow - 2h));
  EXPECT_FALSE(chains_to(leaf.certificate_pem, ca.certificate_pem, kNow + std::chrono::days(91)));
  EXPECT_TRUE(signed_by(leaf.certificate_pem, ca.certificate_pem));
  EXPECT_FALSE(signed_by(leaf.certificate_pem, other.certificate_pem));
}

TEST_F(IssueTest, TwoCasOfOneNameAreToldApart) {
  const auto twin = *issue_ca("one", kYear);
  const auto twin_leaf = *issue_serving(twin, {"web.ns.svc"}, kYear);
  EXPECT_FALSE(chains_to(twin_leaf.certificate_pem, ca.certificate_pem, kNow));
  EXPECT_TRUE(
      chains_to(twin_leaf.certificate_pem, ca.certificate_pem + twin.certificate_pem, kNow));
}

TEST_F(IssueTest, NamesKeysAndRoles) {
  EXPECT_TRUE(covers_host(leaf.certificate_pem, "web.ns.svc"));
  EXPECT_TRUE(covers_host(leaf.certificate_pem, "web.ns"));
  EXPECT_FALSE(covers_host(leaf.certificate_pem, "web.other.svc"));
  EXPECT_TRUE(key_fits(leaf.certificate_pem, leaf.key_pem));
  EXPECT_FALSE(key_fits(leaf.certificate_pem, ca.key_pem));
  EXPECT_FALSE(key_fits(leaf.certificate_pem, "nonsense"));
  // A leaf signs nothing.
  const auto forged = issue_serving(leaf, {"web.ns.svc"}, kYear);
  EXPECT_TRUE(!forged ||
              !chains_to(forged->certificate_pem + leaf.certificate_pem, ca.certificate_pem, kNow));
}

TEST_F(IssueTest, ParsesWhatIsThereAndSkipsTheRest) {
  const auto parsed =
      parse_certificates("hello\n" + ca.certificate_pem +
                         "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" +
                         leaf.certificate_pem + leaf.key_pem);
  ASSERT_EQ(parsed.size(), 2U);
  EXPECT_TRUE(parsed[0].is_ca);
  EXPECT_FALSE(parsed[1].is_ca);
  EXPECT_EQ(parsed[0].validity, kYear);
  EXPECT_EQ(parsed[0].pem, ca.certificate_pem);
  EXPECT_EQ(parsed[0].fingerprint.size(), 64U);
  EXPECT_NE(parsed[0].fingerprint, parsed[1].fingerprint);
  EXPECT_TRUE(parse_certificates("").empty());
  EXPECT_TRUE(parse_certificates("-----BEGIN CERTIFICATE-----\nAAAA").empty());
}

TEST_F(IssueTest, RefusesWhatIsNoDnsName) {
  EXPECT_FALSE(issue_serving(ca, {}, kYear));
  EXPECT_FALSE(issue_serving(ca, {"a,DNS:evil"}, kYear));
  EXPECT_FALSE(issue_serving({.certificate_pem = "x", .key_pem = "y"}, {"a"}, kYear));
}

TEST_F(IssueTest, DatesBeyond2050Work) {
  const Validity far{.not_before = kNow, .not_after = kNow + std::chrono::days(365 * 30)};
  const auto parsed = parse_certificates(issue_ca("far", far)->certificate_pem);
  ASSERT_EQ(parsed.size(), 1U);
  EXPECT_EQ(parsed[0].validity, far);
}

}  // namespace
}  // namespace tidemark::certs
