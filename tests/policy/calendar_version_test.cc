#include "policy/calendar_version.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace tidemark::policy {
namespace {

std::optional<CalendarVersion> read(const std::string& format, const std::string& tag) {
  return CalendarFormat::parse(format).value().read(tag);
}

// calver.org names these schemes, with their projects' own versions.
TEST(CalendarFormatTest, SchemesThatProjectsUse) {
  EXPECT_EQ(read("YY.0M", "26.04"), (CalendarVersion{26, 4}));  // Ubuntu
  EXPECT_EQ(read("YY.0M.MICRO", "24.04.1"), (CalendarVersion{24, 4, 1}));
  EXPECT_EQ(read("YY.MINOR.MICRO", "24.3.1"), (CalendarVersion{24, 3, 1}));    // Twisted, pip
  EXPECT_EQ(read("YYYY.MM.DD", "2026.1.31"), (CalendarVersion{2026, 1, 31}));  // youtube-dl
  EXPECT_EQ(read("YYYY-0M-0D", "2026-01-31"), (CalendarVersion{2026, 1, 31}));
  EXPECT_EQ(read("YYYY.0W", "2026.07"), (CalendarVersion{2026, 7}));
  EXPECT_EQ(read("vYYYY.MM.MICRO-alpine", "v2026.11.3-alpine"), (CalendarVersion{2026, 11, 3}));
}

TEST(CalendarFormatTest, ATagFitsAsAWhole) {
  for (const char* tag : {"", "2026", "2026.1", "2026.00", "2026.13", "2026.01.1", "2026.01-rc",
                          "v2026.01", "26.01", "latest", "2026.001"}) {
    EXPECT_FALSE(read("YYYY.0M", tag)) << tag;
  }
  EXPECT_FALSE(read("YYYY.MM", "2026.01"));
  EXPECT_FALSE(read("YYYY.MM.MICRO", "2026.1.01"));
}

TEST(CalendarFormatTest, WhatIsNoFormat) {
  EXPECT_FALSE(CalendarFormat::parse(""));
  EXPECT_FALSE(CalendarFormat::parse("v1.2"));
  EXPECT_FALSE(CalendarFormat::parse(std::string(200, 'Y')));
}

}  // namespace
}  // namespace tidemark::policy
