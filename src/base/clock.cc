#include "base/clock.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace tidemark {
namespace {

// -1 where there is none.
int number_at(std::string_view text, std::size_t at, std::size_t length) {
  if (text.size() < at + length) return -1;
  int value = -1;
  const char* end = text.data() + at + length;
  const auto parsed = std::from_chars(text.data() + at, end, value);
  return parsed.ec == std::errc() && parsed.ptr == end ? value : -1;
}

}  // namespace

std::string to_rfc3339(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  std::string text = "0000-00-00T00:00:00Z";
  const auto write = [&](std::size_t begin, std::size_t digits, std::int64_t value) {
    for (std::size_t at = begin + digits; at-- > begin; value /= 10) {
      text[at] = static_cast<char>('0' + value % 10);
    }
  };
  write(0, 4, static_cast<int>(date.year()));  // of 64 bits of nanoseconds: 1677 to 2262
  write(5, 2, static_cast<unsigned>(date.month()));
  write(8, 2, static_cast<unsigned>(date.day()));
  write(11, 2, clock.hours().count());
  write(14, 2, clock.minutes().count());
  write(17, 2, clock.seconds().count());
  return text;
}

std::optional<std::chrono::minutes> parse_utc_offset(std::string_view text) {
  if (text == "Z" || text == "z") return std::chrono::minutes{0};
  const int hours = number_at(text, 1, 2);
  const int minutes = number_at(text, 4, 2);
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || hours < 0 ||
      hours > 23 || minutes < 0 || minutes > 59) {
    return std::nullopt;
  }
  const std::chrono::minutes offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
  return text[0] == '-' ? -offset : offset;
}

// WallTime counts nanoseconds in 64 bits, so that these are the first and last whole years it has.
// What ends later ("9999-12-31T23:59:59Z": never) ends on the last day.
constexpr int kFirstYear = 1678;
constexpr int kLastYear = 2261;

Result<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] { return fail(ErrorKind::kInvalid, "no RFC 3339 time"); };
  const auto number = [&](std::size_t at, std::size_t length) {
    return number_at(text, at, length);
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] | 0x20) != 't' ||
      text[13] != ':' || text[16] != ':') {
    return bad();
  }
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  const int year = number(0, 4);
  const int month = number(5, 2);
  const int day = number(8, 2);
  if (year < kFirstYear || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 60) {
    return bad();
  }
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return bad();
  if (year > kLastYear) date = std::chrono::year(kLastYear) / std::chrono::December / 31;
  std::size_t at = 19;
  if (text[at] == '.') {  // fractions do not matter for an expiry
    ++at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  }
  const auto offset = parse_utc_offset(text.substr(at));
  if (!offset) return bad();
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) - *offset;
}

}  // namespace tidemark
