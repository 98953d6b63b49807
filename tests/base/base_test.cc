#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fnv.h"
#include "base/function_ref.h"
#include "base/host_name.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/retry.h"
#include "base/shutdown.h"
#include "base/text.h"
#include "base/worker_pool.h"
#include "support/fake_clock.h"

namespace tidemark {
namespace {

using std::chrono::milliseconds;

TEST(FunctionRef, CallsWhatItIsAViewOf) {
  int calls = 0;
  const auto add = [&](std::unique_ptr<int> a, int b) {
    ++calls;
    return *a + b;
  };
  const FunctionRef<int(std::unique_ptr<int>, int)> ref(add);
  const auto copy = ref;
  EXPECT_EQ(ref(std::make_unique<int>(2), 3), 5);
  EXPECT_EQ(copy(std::make_unique<int>(4), 3), 7);
  EXPECT_EQ(calls, 2);
}

TEST(Error, WithinPutsTheContextFirstAndKeepsTheRest) {
  Error error{.kind = ErrorKind::kTooMany,
              .message = "slow down",
              .http_status = 429,
              .retry_after = milliseconds{1500}};
  const Error outer = within("registry docker.io", error);
  EXPECT_EQ(outer.message, "registry docker.io: slow down");
  EXPECT_EQ(outer.kind, ErrorKind::kTooMany);
  EXPECT_EQ(outer.http_status, 429);
  EXPECT_EQ(outer.retry_after, milliseconds{1500});
}

TEST(Error, RetryableIsWhatTimeAloneCanMend) {
  const std::set<ErrorKind> retryable = {ErrorKind::kConflict, ErrorKind::kTooMany,
                                         ErrorKind::kGone, ErrorKind::kTimeout,
                                         ErrorKind::kUnavailable};
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInternal); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    const Error error{.kind = kind, .message = ""};
    EXPECT_EQ(error.retryable(), retryable.contains(kind)) << to_string(kind);
    names.insert(to_string(kind));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorKind::kInternal) + 1) << "names repeat";
}

TEST(Clock, PrintsRfc3339InUtc) {
  EXPECT_EQ(to_rfc3339(WallTime{}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339(WallTime{std::chrono::milliseconds{1'767'225'599'999}}),
            "2025-12-31T23:59:59Z");
  EXPECT_EQ(to_rfc3339(testing::FakeClock().wall_now()), "2026-01-01T00:00:00Z");
  EXPECT_EQ(to_rfc3339(parse_rfc3339("9999-12-31T23:59:59Z").value()), "2261-12-31T23:59:59Z")
      << "the last day that a WallTime has whole";
  EXPECT_EQ(to_rfc3339(parse_rfc3339("2400-02-29T00:00:00Z").value()), "2261-12-31T00:00:00Z");
  EXPECT_EQ(to_rfc3339(parse_rfc3339("1678-01-01T00:00:00+01:00").value()), "1677-12-31T23:00:00Z");
  EXPECT_FALSE(parse_rfc3339("1677-12-31T23:59:59Z"));
}

TEST(Deadline, IsNeverNegativeAndAPartNeverOutlivesTheWhole) {
  const Deadline past = Deadline::at(std::chrono::steady_clock::now() - milliseconds{5});
  EXPECT_TRUE(past.expired());
  EXPECT_EQ(past.remaining(), milliseconds{0});
  const Deadline whole = Deadline::after(milliseconds{50});
  EXPECT_EQ(whole.at_most(std::chrono::hours{1}).point(), whole.point());
  EXPECT_LT(Deadline::after(std::chrono::hours{1}).at_most(milliseconds{50}).remaining(),
            milliseconds{51});
}

TEST(RetrySchedule, GrowsToItsMaximumAndStartsAgainAfterReset) {
  RetrySchedule schedule({.initial = milliseconds{100}, .max = milliseconds{1000}, .factor = 2.0},
                         7);
  EXPECT_EQ(schedule.next(), milliseconds{100});
  milliseconds longest{0};
  for (int i = 0; i < 200; ++i) {
    const milliseconds wait = schedule.next();
    EXPECT_GE(wait, milliseconds{100});
    EXPECT_LE(wait, milliseconds{1000});
    longest = std::max(longest, wait);
  }
  EXPECT_GT(longest, milliseconds{900});
  schedule.reset();
  EXPECT_EQ(schedule.next(), milliseconds{100});
}

TEST(RetrySchedule, WaitsNoLongerThanHalfAMinuteUnlessToldOtherwise) {
  RetrySchedule schedule({}, 1);
  for (int i = 0; i < 20; ++i) {
    const milliseconds wait = schedule.next();
    EXPECT_GE(wait, milliseconds{500});
    EXPECT_LE(wait, milliseconds{30'000});
  }
}

TEST(HostName, IsTheKernels) {
  std::string name;
  std::getline(std::ifstream("/proc/sys/kernel/hostname"), name);
  EXPECT_EQ(host_name(), name);
}

TEST(RetrySchedule, AServersRetryAfterWinsWhereItIsLonger) {
  RetrySchedule schedule({.initial = milliseconds{10}, .max = milliseconds{10}, .factor = 2.0}, 1);
  EXPECT_EQ(schedule.next(milliseconds{5000}), milliseconds{5000});
  EXPECT_EQ(schedule.next(milliseconds{1}), milliseconds{10});
}

std::vector<std::string> logged(LogLevel level, const std::function<void(const Logger&)>& use) {
  std::vector<std::string> lines;
  use(Logger::to_sink(level, [&lines](std::string_view line) { lines.emplace_back(line); }));
  return lines;
}

TEST(Log, WritesOneJsonObjectPerLine) {
  const auto lines = logged(LogLevel::kInfo, [](const Logger& log) {
    log.info("hello", {{"text", "a\"b\\c\nd"}, {"count", 3}, {"flag", true}, {"ratio", 0.5}});
  });
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with(R"({"time":"20)")) << lines[0];
  EXPECT_TRUE(lines[0].ends_with(
      R"(Z","level":"info","msg":"hello","text":"a\"b\\c\u000ad","count":3,"flag":true,"ratio":0.5})"))
      << lines[0];
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  const auto lines = logged(LogLevel::kWarn, [](const Logger& log) {
    log.debug("no");
    log.info("no");
    log.warn("yes");
    log.error("yes");
  });
  EXPECT_EQ(lines.size(), 2U);
  Logger::none().error("nowhere");
}

TEST(Log, NamesItsLevels) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::kDebug);
  EXPECT_EQ(parse_log_level("off"), LogLevel::kOff);
  const auto wrong = parse_log_level("loud");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(wrong.error().message.find("\"loud\""), std::string::npos);
}

// What is not plain may stand anywhere in the eight bytes that are looked at together, or behind
// them.
TEST(JsonQuote, FindsEverySpecialEverywhere) {
  const std::vector<std::pair<std::string, std::string>> specials = {
      {"\"", R"(\")"},          {"\\", R"(\\)"},         {std::string(1, '\0'), R"(\u0000)"},
      {"\x1F", R"(\u001f)"},    {"\x7F", R"(\u007f)"},   {"\x80", "\xEF\xBF\xBD"},
      {"\xFF", "\xEF\xBF\xBD"}, {"\xC3\xBC", "\xC3\xBC"}};
  constexpr std::size_t kLongest = 20;
  for (const std::string plain : {" ", "!", "#", "[", "]", "a", "~"}) {
    for (std::size_t before = 0; before < kLongest; ++before) {
      for (const auto& [special, quoted] : specials) {
        const auto times = [&](std::size_t count) {
          std::string text;
          for (std::size_t i = 0; i < count; ++i) text += plain;
          return text;
        };
        for (const std::size_t after : {std::size_t{0}, std::size_t{1}, kLongest}) {
          const std::string text = times(before) + special + special + times(after);
          EXPECT_EQ(json_quote(text), "\"" + times(before) + quoted + quoted + times(after) + "\"");
        }
      }
    }
  }
}

// Longer than what is written at once, and six times as long when it is quoted.
TEST(JsonQuote, WritesLongTexts) {
  constexpr std::size_t kBytes = 5000;
  for (const std::size_t shift : {0U, 1U, 2U, 3U}) {
    std::string wanted(shift, 'x');
    std::string text = wanted;
    for (std::size_t i = 0; i < kBytes; ++i) {
      text += i % 2 == 0 ? "\x01" : "\xE2\x82\xAC";
      wanted += i % 2 == 0 ? "\\u0001" : "\xE2\x82\xAC";
    }
    EXPECT_EQ(json_quote(text), "\"" + wanted + "\"");
  }
}

TEST(JsonQuote, IsAlwaysValidUtf8) {
  EXPECT_EQ(json_quote("grün €\xF0\x9F\x8C\x8A"), "\"grün €\xF0\x9F\x8C\x8A\"");
  EXPECT_EQ(json_quote("a\xFF"), "\"a\xEF\xBF\xBD\"");
  EXPECT_EQ(json_quote("\xC0\xAF"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"") << "overlong form";
  EXPECT_EQ(json_quote("\xED\xA0\x80").size(), 2 + std::size_t{9}) << "a lone surrogate";
  EXPECT_EQ(json_quote("\xE2\x82"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"") << "cut short";
  EXPECT_EQ(json_quote(std::string_view("\0\x7f", 2)), R"("\u0000\u007f")");
}

TEST(Text, IsCutBetweenCharacters) {
  EXPECT_EQ(cut("abc", 3), "abc");
  EXPECT_EQ(cut("abc", 2), "ab");
  EXPECT_EQ(cut("a\xC3\xA4", 3), "a\xC3\xA4");
  EXPECT_EQ(cut("a\xC3\xA4", 2), "a");
  EXPECT_EQ(cut("\xC3\xA4", 1), "");
}

TEST(Fnv, IsTheOneOfTheSpecification) {
  EXPECT_EQ(to_hex(fnv1a("")), "cbf29ce484222325");
  EXPECT_EQ(to_hex(fnv1a("a")), "af63dc4c8601ec8c");
  EXPECT_EQ(to_hex(fnv1a("foobar")), "85944171f73967e8");
  EXPECT_EQ(to_hex(0), "0");
}

TEST(Metrics, CountsAndExposesInTextFormat) {
  Metrics metrics;
  const CounterFamily family = metrics.counter("tidemark_things_total", "Things.");
  family.with({{"kind", "a"}}).add();
  family.with({{"kind", "a"}}).add(2);
  metrics.counter("tidemark_things_total", "Things.").with({{"kind", "b"}}).add();
  metrics.gauge("tidemark_level", "Level.").with().set(4);
  metrics.histogram("tidemark_seconds", "Seconds.", latency_bounds_seconds()).with().observe(0.003);
  EXPECT_EQ(family.with({{"kind", "a"}}).value(), 3);

  const std::string text = metrics.expose();
  EXPECT_NE(text.find("# TYPE tidemark_things_total counter"), std::string::npos);
  EXPECT_NE(text.find("tidemark_things_total{kind=\"a\"} 3"), std::string::npos);
  EXPECT_NE(text.find("tidemark_things_total{kind=\"b\"} 1"), std::string::npos);
  EXPECT_NE(text.find("tidemark_level 4"), std::string::npos);
  EXPECT_NE(text.find("tidemark_seconds_bucket{le=\"0.005\"} 1"), std::string::npos);
}

TEST(Shutdown, ASignalRequestsTheStop) {
  ShutdownSignal shutdown;
  EXPECT_FALSE(shutdown.token().stop_requested());
  // Blocked in this thread and taken by the waiting thread, as in a real program.
  ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  shutdown.wait();
  EXPECT_TRUE(shutdown.token().stop_requested());
}

TEST(Shutdown, SleepEndsEarlyWhenAStopIsRequested) {
  std::stop_source stop;
  EXPECT_TRUE(sleep_for(milliseconds{1}, stop.get_token()));
  stop.request_stop();
  EXPECT_FALSE(sleep_for(std::chrono::hours{1}, stop.get_token()));
}

TEST(WorkerPool, RunsWhatIsQueuedAndRefusesWhatIsTooMuch) {
  std::atomic<int> ran{0};
  {
    std::latch started{1};
    std::latch release{1};
    WorkerPool pool(1, 2);
    ASSERT_TRUE(pool.submit([&] {
      started.count_down();
      release.wait();
      ++ran;
    }));
    started.wait();
    EXPECT_TRUE(pool.submit([&] { ++ran; }));
    EXPECT_TRUE(pool.submit([&] { ++ran; }));
    EXPECT_FALSE(pool.submit([&] { ++ran; })) << "the queue holds two";
    release.count_down();
  }
  EXPECT_EQ(ran, 3) << "the destructor runs what was accepted";
}

TEST(Text, LowersAsciiAlone) {
  EXPECT_EQ(ascii_lower("Registry.EXAMPLE.com:[@`{"), "registry.example.com:[@`{");
  EXPECT_EQ(ascii_lower("\xC3\x84\xE9"), "\xC3\x84\xE9");
  EXPECT_EQ(ascii_lower('Z'), 'z');
}

}  // namespace
}  // namespace tidemark
