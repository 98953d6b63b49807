#include "policy/version.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tidemark::policy {
namespace {

Version version(const std::string& text) { return Version::parse(text).value(); }

// semver.org 2.0.0, section 11: its own examples, oldest first.
TEST(VersionTest, PrecedenceAsTheSpecificationHasIt) {
  const std::vector<std::string> sorted = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                           "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                                           "1.0.0-rc.1",  "1.0.0",         "2.0.0",
                                           "2.1.0",       "2.1.1",         "10.0.0"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(version(sorted[i]) <=> version(sorted[j]), i <=> j)
          << sorted[i] << " " << sorted[j];
    }
  }
}

TEST(VersionTest, BuildMetadataAndALeadingVSayNothing) {
  EXPECT_EQ(version("v1.2.3+build.7"), version("1.2.3"));
  EXPECT_EQ(version("1.2.3-rc.1+5"), version("v1.2.3-rc.1"));
}

TEST(VersionTest, WhatIsNoVersion) {
  for (const char* text : {"", "v", "1", "1.2", "1.2.", "1.2.3.4", "01.2.3", "1.02.3", "1.2.3-",
                           "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3-rc_1", "latest", "vv1.2.3",
                           "1.2.x", " 1.2.3", "-1.2.3", "99999999999999999999.0.0"}) {
    EXPECT_FALSE(Version::parse(text)) << text;
  }
}

struct RangeCase {
  std::string range;
  std::vector<std::string> in;
  std::vector<std::string> out;
};

// The tables of Masterminds/semver's README, "Checking Version Constraints", and their edges.
TEST(VersionRangeTest, AsMastermindsDocumentsThem) {
  const std::vector<RangeCase> cases = {
      {">= 1.2 < 3.0.0 || >= 4.2.3",
       {"1.2.0", "2.9.9", "4.2.3", "5.0.0"},
       {"1.1.9", "3.0.0", "4.2.2"}},
      {">= 1.2, < 3.0.0", {"1.2.0"}, {"3.0.0"}},
      {"=1.2.3", {"1.2.3", "1.2.3+x"}, {"1.2.4"}},
      {"1.2.3", {"1.2.3"}, {"1.2.4", "1.2.3-rc.1"}},
      {"!=1.2.3", {"1.2.4"}, {"1.2.3"}},
      {"!=1.2.x", {"1.3.0", "2.2.0"}, {"1.2.0", "1.2.9"}},
      {"!=1.x", {"2.0.0"}, {"1.0.0", "1.9.9"}},
      {">1.2.3", {"1.2.4"}, {"1.2.3"}},
      {">11", {"12.0.0"}, {"11.1.0"}},
      {">11.1", {"11.2.0", "12.0.0"}, {"11.1.1"}},
      {"<1.2", {"1.1.9"}, {"1.2.0"}},
      {"=<1.2.3", {"1.2.3"}, {"1.2.4"}},
      {"<=11", {"11.9.0", "1.0.0"}, {"12.0.0"}},
      {"<=1.1", {"1.1.9", "0.9.0"}, {"1.2.0", "2.0.0"}},
      {"=>2", {"2.0.0", "3.0.0"}, {"1.9.9"}},
      // Hyphen ranges.
      {"1.2 - 1.4.5", {"1.2.0", "1.4.5"}, {"1.1.9", "1.4.6"}},
      {"2.3.4 - 4.5", {"2.3.4", "4.5.9"}, {"2.3.3", "4.6.0"}},
      {"1.1 - 2 || 4.0.0 - 4.1.0", {"2.9.0", "4.1.0"}, {"3.0.0", "4.1.1"}},
      // Wildcards.
      {"1.2.x", {"1.2.0", "1.2.9"}, {"1.3.0"}},
      {">= 1.2.x", {"1.2.0", "2.0.0"}, {"1.1.9"}},
      {"<= 2.x", {"2.9.9"}, {"3.0.0"}},
      {"*", {"0.0.1", "9.9.9"}, {"1.0.0-rc.1"}},
      {"1", {"1.0.0", "1.9.9"}, {"2.0.0"}},
      // Tilde: patch level.
      {"~1.2.3", {"1.2.3", "1.2.9"}, {"1.2.2", "1.3.0"}},
      {"~>1.2", {"1.2.0", "1.2.9"}, {"1.3.0"}},
      {"~1", {"1.0.0", "1.9.0"}, {"2.0.0"}},
      {"~2.3.x", {"2.3.9"}, {"2.4.0"}},
      {"~0.0.0", {"0.0.0", "7.0.0"}, {"1.0.0-rc.1"}},
      // Caret: major level.
      {"^1.2.3", {"1.2.3", "1.9.0"}, {"1.2.2", "2.0.0"}},
      {"^1.2.x", {"1.2.0", "1.9.0"}, {"2.0.0"}},
      {"^2.3", {"2.3.0", "2.9.0"}, {"3.0.0", "2.2.0"}},
      {"^0.2.3", {"0.2.3", "0.2.9"}, {"0.3.0"}},
      {"^0.2", {"0.2.0", "0.2.9"}, {"0.3.0"}},
      {"^0.0.3", {"0.0.3"}, {"0.0.4"}},
      {"^0.0", {"0.0.0", "0.0.9"}, {"0.1.0"}},
      {"^0", {"0.0.0", "0.9.0"}, {"1.0.0"}},
      // Pre-releases: only where a bound beside names one.
      {">=1.2.3", {"1.2.3"}, {"1.3.0-beta.1"}},
      {">=1.2.3-0", {"1.2.3-rc.1", "1.2.3"}, {"1.2.2"}},
      {"^1.x-0", {"1.0.0-rc.1", "1.4.0-rc.2", "1.4.0"}, {"2.0.0"}},
      {">=1.0.0-0 <2.0.0", {"1.5.0-rc.1"}, {"2.0.0", "0.9.0"}},
      {">=1.0.0-0 || 3.x", {"1.5.0-rc.1", "3.1.0"}, {}},
      {"3.x || >=9.0.0-0", {"9.0.0-rc.1"}, {"3.1.0-rc.1"}},
      {"v1.2.3", {"1.2.3"}, {}}};
  for (const RangeCase& each : cases) {
    const auto range = VersionRange::parse(each.range);
    ASSERT_TRUE(range) << each.range << ": " << range.error().message;
    for (const std::string& text : each.in) {
      EXPECT_TRUE(range->contains(version(text))) << each.range << " has " << text;
    }
    for (const std::string& text : each.out) {
      EXPECT_FALSE(range->contains(version(text))) << each.range << " has not " << text;
    }
  }
}

TEST(VersionRangeTest, WhatIsNoRange) {
  for (const char* text : {"", " ", "foo", ">=", "1.2.3.4", "1.2 ||", "|| 1.2", "1.2,", ">=1.2<2",
                           ">>1", "1..2", "1.2.", "^1.2.3 and more", "01.2", "1.2.3-"}) {
    EXPECT_FALSE(VersionRange::parse(text)) << text;
  }
  EXPECT_FALSE(VersionRange::parse(std::string(600, '1')));
}

}  // namespace
}  // namespace tidemark::policy
