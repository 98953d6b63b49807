#include "base/time_zone.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <chrono>
#include <random>
#include <string>

#include "base/file.h"

namespace tidemark {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_seconds;

std::string file_of(const std::string& zone) {
  return read_file("/usr/share/zoneinfo/" + zone, 65536).value();
}

// What glibc makes of the same file.
seconds expected(const std::string& zone, sys_seconds time) {
  setenv("TZ", zone.c_str(), 1);
  tzset();
  const time_t at = time.time_since_epoch().count();
  tm local{};
  localtime_r(&at, &local);
  return seconds{local.tm_gmtoff};
}

// Summer and winter, both hemispheres, summer time that is less than winter time, half an hour of
// it, yearly changes on a Friday's eve, none at all.
TEST(TimeZone, ShowsWhatTheClocksOfAPlaceShow) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::int64_t> times(0, 4'102'444'800);  // to 2100
  for (const std::string name :
       {"Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe",
        "Europe/Dublin", "Asia/Kolkata", "Asia/Jerusalem", "America/Sao_Paulo", "Pacific/Apia",
        "Africa/Casablanca", "Asia/Tehran", "Etc/GMT+5"}) {
    const auto zone = TimeZone::named(name);
    ASSERT_TRUE(zone) << name << ": " << zone.error().message;
    for (int i = 0; i < 500; ++i) {
      const sys_seconds time{seconds{times(random)}};
      const TimeZone::Span span = zone->at(time);
      ASSERT_EQ(span.offset, expected(name, time)) << name << " at " << time.time_since_epoch();
      ASSERT_LE(span.begin, time);
      ASSERT_GT(span.end, time);
      if (span.begin == sys_seconds::min()) continue;
      ASSERT_EQ(zone->at(span.begin).offset, span.offset);
      ASSERT_EQ(zone->at(span.begin - seconds{1}).offset, span.before);
      ASSERT_NE(span.before, span.offset);
    }
  }
}

TEST(TimeZone, MayBeAFixedDistance) {
  EXPECT_EQ(TimeZone().at(sys_seconds{}).offset, seconds{0});
  EXPECT_EQ(TimeZone(hours{2}).at(sys_seconds{}).offset, hours{2});
  EXPECT_EQ(TimeZone(hours{2}), TimeZone(hours{2}));
  EXPECT_NE(TimeZone(hours{2}), TimeZone());
  const TimeZone berlin = TimeZone::named("Europe/Berlin").value();
  EXPECT_EQ(berlin, TimeZone::parse(file_of("Europe/Berlin")).value());
  EXPECT_NE(berlin, TimeZone::named("Europe/Rome").value());
}

TEST(TimeZone, RefusesNamesThatAreNoZones) {
  for (const char* name : {"Europe/Atlantis", "", "europe/berlin", "../zoneinfo/Europe/Berlin",
                           "right/Europe/Berlin", "zone.tab"}) {
    const auto zone = TimeZone::named(name);
    ASSERT_FALSE(zone) << name;
    EXPECT_EQ(zone.error().kind, ErrorKind::kInvalid);
  }
}

TEST(TimeZone, RefusesEveryCutFile) {
  const std::string whole = file_of("Europe/Berlin");
  ASSERT_TRUE(TimeZone::parse(whole));
  // The last byte is the newline after the last line.
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    const auto parsed = TimeZone::parse(whole.substr(0, size));
    EXPECT_TRUE(!parsed || size > whole.rfind('\n', whole.size() - 2)) << size;
  }
}

TEST(TimeZone, SurvivesEveryChangedByte) {
  const std::string whole = file_of("America/New_York");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const char byte : {'\x00', '\x7F', '\xFF'}) {
      std::string changed = whole;
      changed[at] = byte;
      if (const auto zone = TimeZone::parse(changed)) (void)zone->at(sys_seconds{});
    }
  }
}

}  // namespace
}  // namespace tidemark
