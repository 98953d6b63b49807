#include "base/cron.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tidemark {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

WallTime at(const char* text) { return parse_rfc3339(text).value(); }
Cron cron(const char* text) {
  auto parsed = Cron::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  return parsed.value();
}

struct Case {
  const char* expression;
  const char* from;
  const char* next;
};

TEST(Cron, FindsTheNextTime) {
  const std::vector<Case> cases = {
      {"* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"},
      {"*/15 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"},
      {"0 22 * * *", "2026-01-01T22:00:00Z", "2026-01-02T22:00:00Z"},
      {"0 22 * * *", "2026-01-01T21:59:59Z", "2026-01-01T22:00:00Z"},
      {"30 2 1 * *", "2026-01-15T00:00:00Z", "2026-02-01T02:30:00Z"},
      {"0 0 * * mon", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"},
      {"0 0 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
      {"0 0 * * SUN-Tue", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
      {"0 0 * FEB,dec *", "2026-02-28T12:00:00Z", "2026-12-01T00:00:00Z"},
      {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"0 0 31 * *", "2026-01-31T12:00:00Z", "2026-03-31T00:00:00Z"},
      // Either kind of day is enough where both are restricted.
      {"0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
      {"0 0 2 * fri", "2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z"},
      {"0 0 */2 * fri", "2026-01-01T00:00:00Z", "2026-01-09T00:00:00Z"},
      {"10-40/10 8,20 * * *", "2026-01-01T08:30:00Z", "2026-01-01T08:40:00Z"},
      {"10-40/10 8,20 * * *", "2026-01-01T08:40:00Z", "2026-01-01T20:10:00Z"},
      {"5/20 * * * *", "2026-01-01T00:05:00Z", "2026-01-01T00:25:00Z"},
      {"*/10 * * * * *", "2026-01-01T00:00:01Z", "2026-01-01T00:00:10Z"},
      {"45 59 23 31 12 *", "2026-01-01T00:00:00Z", "2026-12-31T23:59:45Z"},
      {"0 0 1 1 *", "1969-06-01T00:00:00Z", "1970-01-01T00:00:00Z"},
  };
  for (const Case& test : cases) {
    const auto next = cron(test.expression).next_after(at(test.from));
    ASSERT_TRUE(next) << test.expression;
    EXPECT_EQ(to_rfc3339(*next), test.next) << test.expression << " from " << test.from;
  }
  EXPECT_FALSE(cron("0 0 30 2 *").next_after(at("2026-01-01T00:00:00Z")));
}

TEST(Cron, FindsTheLastTimeWithinReach) {
  const WallTime now = at("2026-01-02T03:30:00Z");
  const Cron at_ten = cron("0 22 * * *");
  EXPECT_EQ(at_ten.last_within(now, hours{6}), at("2026-01-01T22:00:00Z"));
  EXPECT_EQ(at_ten.last_within(now, minutes{330}), at("2026-01-01T22:00:00Z"));
  EXPECT_FALSE(at_ten.last_within(now, minutes{329}));
  EXPECT_EQ(cron("* * * * *").last_within(now, seconds{0}), now);
  EXPECT_EQ(cron("0 0 * * mon").last_within(now, hours{24 * 7}), at("2025-12-29T00:00:00Z"));
  EXPECT_FALSE(cron("0 0 30 2 *").last_within(now, hours{24 * 7}));
}

TEST(Cron, ReadsItsTimesInTheGivenOffset) {
  const Cron noon = cron("0 12 * * * +05:30");
  EXPECT_EQ(noon.next_after(at("2026-01-01T00:00:00Z")), at("2026-01-01T06:30:00Z"));
  EXPECT_EQ(cron("0 1 * * * -05:00").next_after(at("2026-01-01T00:00:00Z")),
            at("2026-01-01T06:00:00Z"));
  EXPECT_EQ(noon.last_within(at("2026-01-01T07:00:00Z"), hours{1}), at("2026-01-01T06:30:00Z"));
}

// The two searches agree with each other over a year, for expressions of all kinds.
TEST(Cron, ForwardsAndBackwardsMeet) {
  for (const char* expression :
       {"7 */5 * * *", "0 3 * * 1-5", "30 23 28-31 * *", "0 0 1 */3 sun"}) {
    const Cron searched = cron(expression);
    WallTime time = at("2026-01-01T00:00:00Z");
    while (time < at("2027-01-01T00:00:00Z")) {
      const auto next = searched.next_after(time);
      ASSERT_TRUE(next) << expression;
      EXPECT_EQ(searched.last_within(*next, seconds{0}), next) << expression;
      const auto between = std::chrono::floor<seconds>(*next - time) - seconds{2};
      if (between >= seconds{0}) {
        EXPECT_FALSE(searched.last_within(*next - seconds{1}, between)) << expression;
      }
      time = *next;
    }
  }
}

TEST(Cron, NamesWhatItCannotRead) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"", "five fields"},
      {"* * * *", "five fields"},
      {"* * * * * * *", "five fields"},
      {"60 * * * *", "\"60\" is no minute"},
      {"* 24 * * *", "\"24\" is no hour"},
      {"* * 0 * *", "\"0\" is no day of the month"},
      {"* * * 13 *", "\"13\" is no month"},
      {"* * * * 8", "\"8\" is no day of the week"},
      {"60 * * * * *", "\"60\" is no second"},
      {"5-1 * * * *", "\"5-1\" is no minute"},
      {"*/0 * * * *", "\"0\" is no minute"},
      {"1,,2 * * * *", "\"\" is no minute"},
      {"-1 * * * *", "\"\" is no minute"},
      {"1- * * * *", "\"\" is no minute"},
      {"+1 * * * *", "\"+1\" is no minute"},
      {"* * * januar *", "\"januar\" is no month"},
      {"0 22 * * * +2:00", "\"+2:00\" is no offset from UTC"},
      {"0 22 * * * +15:00", "\"+15:00\" is no offset from UTC"},
      {"0 22 * * * Europe/Berlin", "\"Europe/Berlin\" is no offset from UTC"},
      {"99999999999999999999 * * * *", "is no minute"},
  };
  for (const auto& [text, message] : bad) {
    const auto parsed = Cron::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(parsed.error().message.find(message), std::string::npos)
        << text << ": " << parsed.error().message;
  }
}

}  // namespace
}  // namespace tidemark
