#include "workload/window.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::workload {
namespace {

WallTime at(const char* text) { return parse_rfc3339(text).value(); }

TEST(Windows, AreOpenFromTheirOpeningForTheirLength) {
  const Windows nights = Windows::parse("0 22 * * mon-fri 6h").value();
  EXPECT_FALSE(nights.open(at("2026-01-01T21:59:59Z")));
  EXPECT_TRUE(nights.open(at("2026-01-01T22:00:00Z")));
  EXPECT_TRUE(nights.open(at("2026-01-02T03:59:59Z")));
  EXPECT_FALSE(nights.open(at("2026-01-02T04:00:00Z")));
  EXPECT_TRUE(nights.open(at("2026-01-03T01:00:00Z"))) << "Friday night lasts into Saturday";
  EXPECT_FALSE(nights.open(at("2026-01-04T23:00:00Z"))) << "Sunday";
  EXPECT_EQ(nights.next_opening(at("2026-01-03T12:00:00Z")), at("2026-01-05T22:00:00Z"));
}

TEST(Windows, MayHaveAnOffsetAndCompany) {
  const Windows both = Windows::parse("0 22 * * * 2h +02:00; 0 12 * * sat 1h UTC").value();
  EXPECT_TRUE(both.open(at("2026-01-01T20:30:00Z")));
  EXPECT_FALSE(both.open(at("2026-01-01T22:30:00Z")));
  EXPECT_TRUE(both.open(at("2026-01-03T12:30:00Z")));
  EXPECT_EQ(both.next_opening(at("2026-01-03T00:00:00Z")), at("2026-01-03T12:00:00Z"));
  EXPECT_TRUE(Windows::parse("0 17 * * * 2h -05:00")->open(at("2026-01-01T22:30:00Z")));
}

TEST(Windows, OpenByTheClocksOfAPlace) {
  const Windows nights = Windows::parse("0 22 * * * 6h Europe/Berlin").value();
  EXPECT_TRUE(nights.open(at("2026-01-01T21:00:00Z")));
  EXPECT_FALSE(nights.open(at("2026-01-01T20:59:59Z")));
  EXPECT_TRUE(nights.open(at("2026-07-01T20:00:00Z")));
  EXPECT_EQ(nights.next_opening(at("2026-10-25T12:00:00Z")), at("2026-10-25T21:00:00Z"));
  // Its length is that of six hours, also in a night that has one more.
  EXPECT_TRUE(nights.open(at("2026-10-25T01:59:59Z")));
  EXPECT_FALSE(nights.open(at("2026-10-25T02:00:00Z")));
}

TEST(Windows, OfNothingNeverOpen) {
  EXPECT_FALSE(Windows().open(at("2026-01-01T00:00:00Z")));
  EXPECT_FALSE(Windows().next_opening(at("2026-01-01T00:00:00Z")));
}

TEST(Windows, TellWhatCannotBeRead) {
  for (const char* bad :
       {"", "always", "0 22 * * *", "0 22 * * * 6", "0 22 * * * 0h", "0 22 * * * 169h",
        "0 22 * * * -1h", "0 25 * * * 6h", "0 22 * * * 6h Europe/Atlantis", "0 22 * * * 6h +2:00",
        "0 22 * * * 6h +15:00", "0 22 * * * 6h UTC more", "0 22 * * * 6h 3", "0 22 * * * 6h *",
        "0 22 * * * 6h;", "; 0 22 * * * 6h"}) {
    const auto parsed = Windows::parse(bad);
    EXPECT_FALSE(parsed) << bad;
  }
}

}  // namespace
}  // namespace tidemark::workload
