#include "workload/duration.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace tidemark::workload {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsWhatPeopleWrite) {
  const std::map<std::string, long> good = {{"0", 0},
                                            {"0s", 0},
                                            {"30s", 30'000},
                                            {"10m", 600'000},
                                            {"1h30m", 5'400'000},
                                            {"500ms", 500},
                                            {"1m1ms", 60'001},
                                            {"1h1m1s1ms", 3'661'001},
                                            {"90m", 5'400'000},
                                            {"8784h", 31'622'400'000}};
  for (const auto& [text, expected] : good) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, milliseconds(expected)) << text;
  }
}

TEST(Duration, RefusesEverythingElse) {
  for (const std::string& text : {std::string(),
                                  std::string("10"),
                                  std::string("s"),
                                  std::string("-5s"),
                                  std::string("+5s"),
                                  std::string("1.5h"),
                                  std::string("5 s"),
                                  std::string(" 5s"),
                                  std::string("5s "),
                                  std::string("5S"),
                                  std::string("1d"),
                                  std::string("5us"),
                                  std::string("1s1m"),
                                  std::string("1s1s"),
                                  std::string("8785h"),
                                  std::string("99999999999s"),
                                  std::string("4294967295h4294967295m"),
                                  std::string("1h-5m"),
                                  std::string("1h5"),
                                  std::string(100'000, '9') + "s",
                                  std::string("1\0s", 3)}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_LT(parsed.error().message.size(), 150U);
  }
}

}  // namespace
}  // namespace tidemark::workload
