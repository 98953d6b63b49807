#include "base/cron.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace tidemark {
namespace {

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

TEST(Cron, ReadsItsTimesInTheGivenOffset) {
  const Cron noon = cron("0 12 * * * +05:30");
  EXPECT_EQ(noon.next_after(at("2026-01-01T00:00:00Z")), at("2026-01-01T06:30:00Z"));
  EXPECT_EQ(cron("0 1 * * * -05:00").next_after(at("2026-01-01T00:00:00Z")),
            at("2026-01-01T06:00:00Z"));
}

// Clocks go from 02:00 to 03:00 on 2026-03-29 and from 03:00 to 02:00 on 2026-10-25, both at
// 01:00Z.
TEST(Cron, FollowsTheClocksOfAPlace) {
  const std::vector<Case> cases = {
      {"0 22 * * * Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T21:00:00Z"},
      {"0 22 * * * Europe/Berlin", "2026-07-01T00:00:00Z", "2026-07-01T20:00:00Z"},
      {"0 0 * * mon Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T22:00:00Z"},
      // In the hour that is left out: at its end, once.
      {"30 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
      {"*/20 2 * * * Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"},
      {"15 3 * * * Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:15:00Z"},
      // In the hour that is shown twice: the first time.
      {"30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
      {"30 2 * * * Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
      {"30 2 * * * Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z"},
      {"0 3 * * * Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"},
      // Every hour: evenly, whatever clocks show.
      {"*/30 * * * * Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
      {"*/30 * * * * Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
      {"*/30 * * * * Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"},
      {"30 * * * * Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
      // After the changes that the database lists one by one.
      {"0 22 * * * Europe/Berlin", "2090-07-01T00:00:00Z", "2090-07-01T20:00:00Z"},
      {"0 30 4 * * * America/New_York", "2026-01-01T00:00:00Z", "2026-01-01T09:30:00Z"},
      {"0 0 22 * * mon-fri/2", "2026-01-01T00:00:00Z", "2026-01-02T22:00:00Z"},
  };
  for (const Case& test : cases) {
    const auto next = cron(test.expression).next_after(at(test.from));
    ASSERT_TRUE(next) << test.expression;
    EXPECT_EQ(to_rfc3339(*next), test.next) << test.expression << " from " << test.from;
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
      {"0 22 * * * +2:00", "\"+2:00\" is no time zone"},
      {"0 22 * * * +15:00", "\"+15:00\" is no time zone"},
      {"0 22 * * * Europe/Atlantis", "\"Europe/Atlantis\" is no time zone"},
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
