#include "certs/plan.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "support/fake_clock.h"

namespace tidemark::certs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

const WallTime kStart = tidemark::testing::FakeClock().wall_now();

Policy policy() {
  Policy result;
  result.dns_names = {"web.ns.svc"};
  return result;
}

SecretContent fresh(WallTime now = kStart) {
  return *apply({.new_authority = true, .reissue = true}, {}, policy(), now);
}

// A Secret whose CA was born at kStart and which got a second CA at `now`.
SecretContent rotated(const SecretContent& before, WallTime now) {
  return *apply({.new_authority = true}, before, policy(), now);
}

// What one of the rows below expects.
struct Expected {
  bool publish = false;
  bool load = false;
  bool new_authority = false;
  bool reissue = false;
  std::size_t drop = 0;
  bool pending = false;
};

struct Row {
  const char* name;
  Observed observed;
  WallTime now;
  Expected expected;
};

std::vector<Row> rows() {
  const SecretContent secret = fresh();
  const SecretContent second = rotated(secret, kStart + days(1));
  const auto bundles = [](const std::string& bundle) {
    return std::optional(std::vector<std::string>{bundle, bundle});
  };
  const auto with = [&](const std::function<void(SecretContent&)>& damage) {
    SecretContent damaged = secret;
    damage(damaged);
    return damaged;
  };
  const SecretContent stranger = fresh();
  const SecretContent reissued = *apply({.reissue = true}, second, policy(), kStart + days(2));
  const SecretContent ahead = fresh(kStart + days(5000));
  const SecretContent ahead_leaf = *apply({.reissue = true}, secret, policy(), kStart + days(100));
  Policy other_name = policy();
  other_name.dns_names = {"old.ns.svc"};
  const SecretContent wrong_name =
      *apply({.new_authority = true, .reissue = true}, {}, other_name, kStart);
  return {
      {"nothing there, no configuration",
       {.secret = std::nullopt, .published = std::nullopt, .loaded = ""},
       kStart,
       {.new_authority = true, .reissue = true}},
      {"nothing there: nothing is published before the secret stands",
       {.secret = std::nullopt, .published = bundles(""), .loaded = ""},
       kStart,
       {.new_authority = true, .reissue = true}},
      {"an empty secret from the manifests",
       {.secret = SecretContent{}, .published = bundles(""), .loaded = ""},
       kStart,
       {.new_authority = true, .reissue = true}},
      {"bootstrap: publish, and load at once for nothing is served yet",
       {.secret = secret, .published = bundles(""), .loaded = ""},
       kStart,
       {.publish = true, .load = true}},
      {"the configuration comes later: serve already",
       {.secret = secret, .published = std::nullopt, .loaded = ""},
       kStart,
       {.load = true}},
      {"settled",
       {.secret = secret, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + 2h,
       {}},
      {"a placeholder in caBundle is replaced",
       {.secret = secret, .published = bundles("\n"), .loaded = secret.certificate},
       kStart + 2h,
       {.publish = true}},
      {"one webhook of two lacks the bundle",
       {.secret = secret,
        .published = std::vector<std::string>{secret.ca_bundle, ""},
        .loaded = secret.certificate},
       kStart + 2h,
       {.publish = true}},
      {"the serving certificate is in its last third",
       {.secret = secret, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + days(61),
       {.reissue = true}},
      {"it is due, but the configuration cannot be read: wait",
       {.secret = secret, .published = std::nullopt, .loaded = secret.certificate},
       kStart + days(61),
       {.pending = true}},
      {"it has expired: whatever else, reissue",
       {.secret = secret, .published = std::nullopt, .loaded = secret.certificate},
       kStart + days(91),
       {.reissue = true}},
      {"the clock was wrong when it was made: not valid yet",
       {.secret = secret, .published = bundles(secret.ca_bundle), .loaded = ""},
       kStart - days(2),
       {.new_authority = true, .reissue = true}},
      {"no key for the CA: a new CA beside it, the certificate stays",
       {.secret = with([](SecretContent& content) { content.ca_key = "garbage"; }),
        .published = bundles(secret.ca_bundle),
        .loaded = secret.certificate},
       kStart + 2h,
       {.new_authority = true}},
      {"the serving key is damaged",
       {.secret = with([](SecretContent& content) { content.key = "garbage"; }),
        .published = bundles(secret.ca_bundle),
        .loaded = secret.certificate},
       kStart + 2h,
       {.reissue = true}},
      {"the bundle is damaged",
       {.secret = with([](SecretContent& content) { content.ca_bundle = "garbage"; }),
        .published = bundles(secret.ca_bundle),
        .loaded = secret.certificate},
       kStart + 2h,
       {.new_authority = true, .reissue = true}},
      {"a certificate of somebody else",
       {.secret = with([&](SecretContent& content) {
          content.certificate = stranger.certificate;
          content.key = stranger.key;
        }),
        .published = bundles(secret.ca_bundle),
        .loaded = secret.certificate},
       kStart + 2h,
       {.reissue = true}},
      {"the service was renamed",
       {.secret = wrong_name, .published = bundles(wrong_name.ca_bundle), .loaded = ""},
       kStart + 2h,
       {.reissue = true}},
      {"phase 1: the CA is near its end",
       {.secret = *apply({.reissue = true}, secret, policy(), kStart + days(3465)),
        .published = bundles(secret.ca_bundle),
        .loaded = ""},
       kStart + days(3471),
       {.load = true, .new_authority = true}},
      {"phase 1 done: publish the new CA, serve the old certificate",
       {.secret = second, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + days(1),
       {.publish = true, .pending = true}},
      {"phase 1 published: wait for the grace",
       {.secret = second, .published = bundles(second.ca_bundle), .loaded = secret.certificate},
       kStart + days(1) + 30min,
       {.pending = true}},
      {"phase 2: reissue from the new CA",
       {.secret = second, .published = bundles(second.ca_bundle), .loaded = secret.certificate},
       kStart + days(1) + 1h,
       {.reissue = true}},
      {"phase 2 never before the CA is published",
       {.secret = second, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + days(2),
       {.publish = true, .pending = true}},
      {"phase 2 done: another replica loads after the propagation time",
       {.secret = reissued, .published = bundles(second.ca_bundle), .loaded = secret.certificate},
       kStart + days(2),
       {.pending = true}},
      {"and then it does",
       {.secret = reissued,
        .published = bundles(second.ca_bundle),
        .loaded = secret.certificate,
        .covered_for = 10s},
       kStart + days(2),
       {.load = true}},
      {"the bundle covers only what is served: do not load the other",
       {.secret = reissued,
        .published = bundles(secret.ca_bundle),
        .loaded = secret.certificate,
        .covered_for = 1h},
       kStart + days(2),
       {.publish = true, .pending = true}},
      {"phase 3: the old CA's last certificate has expired",
       {.secret = *apply({.reissue = true}, reissued, policy(), kStart + days(70)),
        .published = bundles(second.ca_bundle),
        .loaded = ""},
       kStart + days(1) + days(90) + 1h,
       {.load = true, .drop = 1}},
      {"phase 3 not a minute earlier",
       {.secret = *apply({.reissue = true}, reissued, policy(), kStart + days(70)),
        .published = bundles(second.ca_bundle),
        .loaded = ""},
       kStart + days(1) + days(90) + 59min,
       {.load = true}},
      {"a deleted secret: the old CA stays published beside the new one",
       {.secret = stranger, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + 2h,
       {.publish = true, .pending = true}},
      {"the API server's clock was set back: a CA that is not valid yet",
       {.secret = ahead,
        .published = bundles(secret.ca_bundle + ahead.ca_bundle),
        .loaded = secret.certificate},
       kStart + 2h,
       {.new_authority = true, .reissue = true}},
      {"the API server's clock was set back: a certificate that is not valid yet",
       {.secret = ahead_leaf, .published = bundles(secret.ca_bundle), .loaded = secret.certificate},
       kStart + 2h,
       {.reissue = true}},
      {"what is loaded has expired: load at once",
       {.secret = *apply({.reissue = true}, secret, policy(), kStart + days(91)),
        .published = std::nullopt,
        .loaded = secret.certificate},
       kStart + days(91),
       {.load = true}},
      {"what is loaded is not trusted by anybody: load at once",
       {.secret = secret, .published = bundles(secret.ca_bundle), .loaded = stranger.certificate},
       kStart + 2h,
       {.load = true}},
  };
}

TEST(PlanTest, Table) {
  for (const Row& row : rows()) {
    const Plan got = plan(row.observed, policy(), row.now);
    EXPECT_EQ(got.publish.has_value(), row.expected.publish) << row.name;
    EXPECT_EQ(got.load, row.expected.load) << row.name;
    const SecretChange change = got.change.value_or(SecretChange{});
    EXPECT_EQ(change.new_authority, row.expected.new_authority) << row.name;
    EXPECT_EQ(change.reissue, row.expected.reissue) << row.name;
    EXPECT_EQ(change.drop.size(), row.expected.drop) << row.name;
    EXPECT_EQ(got.pending, row.expected.pending) << row.name;
    EXPECT_EQ(change.why.empty(), !got.change.has_value()) << row.name;
  }
}

TEST(PlanTest, APublishedBundleHoldsTheSecretsCasAndTheOldOnes) {
  const SecretContent old = fresh();
  const SecretContent now = rotated(fresh(), kStart + 1h);
  Observed observed{.secret = now,
                    .published = std::vector<std::string>{"junk\n" + old.ca_bundle, now.ca_bundle},
                    .loaded = old.certificate};
  const Plan got = plan(observed, policy(), kStart + 2h);
  ASSERT_TRUE(got.publish);
  EXPECT_EQ(parse_certificates(got.publish->at(0)).size(), 3U);
  EXPECT_TRUE(chains_to(old.certificate, got.publish->at(0), kStart + 2h));
  EXPECT_TRUE(chains_to(now.certificate, got.publish->at(0), kStart + 2h));
  EXPECT_EQ(got.publish->at(1), now.ca_bundle);  // already right: byte for byte the same

  // After the old ones' time they go, once every replica has had time to load the Secret's.
  observed.secret = *apply({.reissue = true}, now, policy(), kStart + days(80));
  observed.covered_for = 59min;
  const WallTime after = kStart + days(100);
  EXPECT_EQ(parse_certificates(plan(observed, policy(), after).publish->at(0)).size(), 3U);
  observed.covered_for = 1h;
  EXPECT_EQ(parse_certificates(plan(observed, policy(), after).publish->at(0)).size(), 2U);
}

TEST(PlanTest, ARestoredSecretTakesNothingFromTheBundleThatIsServed) {
  const SecretContent backup = *apply({.reissue = true}, fresh(), policy(), kStart + days(180));
  const SecretContent served = fresh(kStart + days(100));
  const WallTime now = kStart + days(185);
  const std::optional bundles(std::vector{backup.ca_bundle + served.ca_bundle});
  Observed observed{.secret = backup, .published = bundles, .loaded = served.certificate};
  EXPECT_FALSE(plan(observed, policy(), now).publish);
  observed.published = std::vector{served.ca_bundle};
  const Plan got = plan(observed, policy(), now);
  ASSERT_TRUE(got.publish);
  EXPECT_TRUE(chains_to(served.certificate, got.publish->front(), now));
  EXPECT_TRUE(chains_to(backup.certificate, got.publish->front(), now));
  EXPECT_FALSE(got.load);
}

TEST(PlanTest, AClockThatIsFarAheadTakesNothingFromTheBundle) {
  const SecretContent served = fresh();
  const WallTime ahead = kStart + days(4000);
  const SecretContent made =
      *apply({.new_authority = true, .reissue = true}, served, policy(), ahead);
  const Observed observed{
      .secret = made, .published = std::vector{served.ca_bundle}, .loaded = served.certificate};
  const Plan got = plan(observed, policy(), ahead);
  ASSERT_TRUE(got.publish);
  EXPECT_TRUE(chains_to(served.certificate, got.publish->front(), kStart));
}

// Runs a CA's whole life with two replicas that look in turn, often while something is going on:
// the API server must trust what every replica serves at every moment.
TEST(PlanTest, ARotationNeverBreaksTrust) {
  struct Replica {
    std::string loaded;
    std::string covered;
    WallTime covered_since;
  };
  Policy rules = policy();
  rules.serving_validity = days(9);
  rules.ca_validity = days(36);  // rotated after 18 days, dropped 9 days later
  ASSERT_TRUE(rules.check());
  SecretContent secret = *apply({.new_authority = true, .reissue = true}, {}, rules, kStart);
  std::vector<std::string> published{secret.ca_bundle};
  std::vector<Replica> replicas(2,
                                {.loaded = secret.certificate, .covered = "", .covered_since = {}});

  int authorities = 0;
  int certificates = 0;
  std::size_t dropped = 0;
  int looks = 0;
  for (WallTime now = kStart; now < kStart + days(30);) {
    bool busy = false;
    for (Replica& replica : replicas) {
      Observed observed{.secret = secret, .published = published, .loaded = replica.loaded};
      if (replica.covered == secret.certificate) {
        observed.covered_for =
            std::chrono::floor<std::chrono::seconds>(now - replica.covered_since);
      }
      const Plan next = plan(observed, rules, now);
      if (next.covered && replica.covered != secret.certificate) {
        replica.covered = secret.certificate;
        replica.covered_since = now;
      }
      if (next.publish) published = *next.publish;
      if (next.load) replica.loaded = secret.certificate;
      if (next.change) {
        authorities += next.change->new_authority ? 1 : 0;
        certificates += next.change->reissue ? 1 : 0;
        dropped += next.change->drop.size();
        secret = *apply(*next.change, secret, rules, now);
      }
      busy = busy || next.publish || next.load || next.change || next.pending;
      for (const Replica& each : replicas) {
        ASSERT_TRUE(chains_to(each.loaded, published.front(), now)) << to_rfc3339(now);
      }
      ++looks;
    }
    now += busy ? std::chrono::minutes(30) : std::chrono::minutes(60 * 12);
  }
  EXPECT_EQ(authorities, 1);
  EXPECT_GE(certificates, 4);
  EXPECT_EQ(dropped, 1U);
  EXPECT_LT(looks, 300);  // it does settle
}

TEST(PolicyTest, FollowsFromTheServingLife) {
  for (const std::chrono::seconds life :
       {std::chrono::seconds(2min), std::chrono::seconds(1h), std::chrono::seconds(days(365))}) {
    Policy got = policy_for(life);
    got.dns_names = {"web.ns.svc"};
    EXPECT_TRUE(got.check()) << life.count();
  }
  EXPECT_EQ(policy_for(Policy().serving_validity).ca_validity, Policy().ca_validity);
  EXPECT_EQ(policy_for(days(30)).backdate, 1h);
}

TEST(PolicyTest, RefusesTimesThatContradict) {
  EXPECT_TRUE(policy().check());
  Policy no_names = policy();
  no_names.dns_names.clear();
  EXPECT_FALSE(no_names.check());
  Policy short_ca = policy();
  short_ca.ca_validity = days(100);
  EXPECT_FALSE(short_ca.check());
  Policy long_grace = policy();
  long_grace.ca_grace = days(20);
  EXPECT_FALSE(long_grace.check());
}

}  // namespace
}  // namespace tidemark::certs
