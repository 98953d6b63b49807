#include "base/cron.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/text.h"

namespace tidemark {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

// The Gregorian calendar leaves a 29th of February out at most once in a row: 1896, 1904.
constexpr days kHorizon{8 * 366};

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  unsigned low;
  unsigned high;
  std::span<const std::string_view> names = {};  // of low, low + 1, ...
};

constexpr Field kSecond{"second", 0, 59};
constexpr Field kMinute{"minute", 0, 59};
constexpr Field kHour{"hour", 0, 23};
constexpr Field kDay{"day of the month", 1, 31};
constexpr Field kMonth{"month", 1, 12, kMonths};
constexpr Field kWeekday{"day of the week", 0, 7, kWeekdays};

std::unexpected<Error> bad(const Field& field, std::string_view text) {
  return fail(ErrorKind::kInvalid, brief_quote(text) + " is no " + std::string(field.name));
}

Result<unsigned> parse_value(const Field& field, std::string_view text) {
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    const bool same = std::ranges::equal(text, field.names[i], {}, [](char c) {
      return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    if (same) return field.low + static_cast<unsigned>(i);
  }
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      value < field.low || value > field.high) {
    return bad(field, text);
  }
  return value;
}

// "*", "5", "1-5", "*/10", "8-18/2"
Result<std::uint64_t> parse_part(const Field& field, std::string_view part) {
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  unsigned low = field.low;
  unsigned high = field.high;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto first = parse_value(field, range.substr(0, dash));
    if (!first) return fail(first.error());
    low = *first;
    if (dash != std::string_view::npos) {
      const auto last = parse_value(field, range.substr(dash + 1));
      if (!last) return fail(last.error());
      high = *last;
    } else if (slash == std::string_view::npos) {
      high = low;
    }
  }
  unsigned step = 1;
  if (slash != std::string_view::npos) {
    const auto parsed = parse_value({field.name, 1, field.high}, part.substr(slash + 1));
    if (!parsed) return fail(parsed.error());
    step = *parsed;
  }
  if (low > high) return bad(field, part);
  std::uint64_t bits = 0;
  for (unsigned value = low; value <= high; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

Status parse_field(const Field& field, std::string_view text, std::uint64_t& bits) {
  bits = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto part = parse_part(field, text.substr(0, comma));
    if (!part) return fail(part.error());
    bits |= *part;
    if (comma == std::string_view::npos) return {};
    text.remove_prefix(comma + 1);
  }
}

bool has(std::uint64_t bits, unsigned value) { return ((bits >> value) & 1U) != 0; }

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    const std::string_view word = take_word(text);
    if (word.empty()) return out;
    out.push_back(word);
  }
}

// "UTC", "Z", "+02:00", "Europe/Berlin"; no place is further from UTC than 14 hours.
Result<TimeZone> parse_zone(std::string_view text) {
  if (text.find('/') != std::string_view::npos) return TimeZone::named(text);
  const auto offset = parse_utc_offset(text == "UTC" ? "Z" : text);
  if (offset && std::chrono::abs(*offset) < hours{15}) return TimeZone(*offset);
  return fail(ErrorKind::kInvalid,
              brief_quote(text) + " is no time zone, such as Europe/Berlin or +02:00");
}

// A field may have a '/' too, but before a number: "mon-fri/2".
bool is_zone(std::string_view word) {
  const auto letter = [&](std::size_t at) {
    return at < word.size() && std::isalpha(static_cast<unsigned char>(word[at])) != 0;
  };
  const std::size_t slash = word.find('/');
  return word.starts_with('+') || word.starts_with('-') || word == "UTC" || word == "Z" ||
         (slash != std::string_view::npos && letter(0) && letter(slash + 1));
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  std::vector<std::string_view> fields = words(text);
  TimeZone zone;
  if (fields.size() > 5 && is_zone(fields.back())) {
    const auto parsed = parse_zone(fields.back());
    if (!parsed) return fail(parsed.error());
    zone = *parsed;
    fields.pop_back();
  }
  if (fields.size() != 5 && fields.size() != 6) {
    return fail(ErrorKind::kInvalid,
                "a cron expression has five fields (minute hour day month weekday), or six with "
                "the second in front");
  }
  Cron cron;
  cron.zone_ = std::move(zone);
  const bool with_seconds = fields.size() == 6;
  if (with_seconds) {
    if (auto read = parse_field(kSecond, fields.front(), cron.seconds_); !read) {
      return fail(read.error());
    }
    fields.erase(fields.begin());
  }
  const std::array kinds{&kMinute, &kHour, &kDay, &kMonth, &kWeekday};
  const std::array into{&cron.minutes_, &cron.hours_, &cron.days_, &cron.months_, &cron.weekdays_};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (auto read = parse_field(*kinds[i], fields[i], *into[i]); !read) return fail(read.error());
  }
  if (has(cron.weekdays_, 7)) cron.weekdays_ |= 1U;  // Sunday has two numbers
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  return cron;
}

bool Cron::matches_day(sys_days day) const {
  const std::chrono::year_month_day date(day);
  if (!has(months_, static_cast<unsigned>(date.month()))) return false;
  const bool of_month = has(days_, static_cast<unsigned>(date.day()));
  const bool of_week = has(weekdays_, std::chrono::weekday(day).c_encoding());
  return any_day_ || any_weekday_ ? of_month && of_week : of_month || of_week;
}

std::optional<seconds> Cron::first_in_day(seconds from) const {
  for (seconds at = from; at < days{1};) {
    const auto count = at.count();
    if (!has(hours_, static_cast<unsigned>(count / 3600))) {
      at = std::chrono::floor<hours>(at) + hours{1};
    } else if (!has(minutes_, static_cast<unsigned>(count / 60 % 60))) {
      at = std::chrono::floor<minutes>(at) + minutes{1};
    } else if (has(seconds_, static_cast<unsigned>(count % 60))) {
      return at;
    } else {
      ++at;
    }
  }
  return std::nullopt;
}

std::optional<sys_seconds> Cron::first_shown(sys_seconds from, sys_seconds end) const {
  const auto first = std::chrono::floor<days>(from);
  for (sys_days day = first; day < end; day += days{1}) {
    if (!matches_day(day)) continue;
    const auto found = first_in_day(day == first ? from - first : seconds{0});
    if (found) return day + *found < end ? std::optional(day + *found) : std::nullopt;
  }
  return std::nullopt;
}

bool Cron::every_hour() const { return hours_ == (std::uint64_t{1} << 24U) - 1; }

std::optional<WallTime> Cron::next_after(WallTime time) const {
  sys_seconds from = std::chrono::floor<seconds>(time) + seconds{1};
  const sys_seconds horizon = from + kHorizon;
  while (from < horizon) {
    const TimeZone::Span span = zone_.at(from);
    const bool hour_left_out = from == span.begin && span.offset > span.before && !every_hour();
    if (hour_left_out && first_shown(from + span.before, from + span.offset)) return from;
    const auto shown = first_shown(from + span.offset, std::min(span.end, horizon) + span.offset);
    if (!shown) {
      from = span.end;
      continue;
    }
    const bool second_time = span.offset < span.before && *shown < span.begin + span.before;
    if (!second_time || every_hour()) return *shown - span.offset;
    from = span.begin + span.before - span.offset;  // from there on all is shown once
  }
  return std::nullopt;
}

}  // namespace tidemark
