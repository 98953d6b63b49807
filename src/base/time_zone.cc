#include "base/time_zone.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace tidemark {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year;
using Changes = std::vector<TimeZone::Change>;

constexpr const char* kDatabase = "/usr/share/zoneinfo";
// The largest file of the database has 4 KiB.
constexpr std::size_t kMaxFileBytes = std::size_t{64} * 1024;
constexpr year kLastYear{2100};

std::unexpected<Error> malformed() { return fail(ErrorKind::kInvalid, "not a TZif file"); }

// Takes bytes from the front; what is not there is read as zeros, and remembered.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::int64_t big_endian(std::size_t size) {
    const std::string_view taken = take(size);
    std::uint64_t value = !taken.empty() && (taken.front() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (const char byte : taken) value = value << 8U | static_cast<unsigned char>(byte);
    return static_cast<std::int64_t>(value);
  }
  std::string_view rest() const { return rest_; }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// RFC 8536, 3.1.
struct Header {
  char version = 0;
  std::size_t isutcnt = 0, isstdcnt = 0, leapcnt = 0, timecnt = 0, typecnt = 0, charcnt = 0;

  std::size_t block_bytes(std::size_t time_bytes) const {
    return timecnt * (time_bytes + 1) + typecnt * 6 + charcnt + leapcnt * (time_bytes + 4) +
           isstdcnt + isutcnt;
  }
};

std::optional<Header> read_header(Bytes& bytes) {
  Header header;
  if (bytes.take(4) != "TZif") return std::nullopt;
  const std::string_view version = bytes.take(16);
  if (!version.empty()) header.version = version.front();
  for (std::size_t* count : {&header.isutcnt, &header.isstdcnt, &header.leapcnt, &header.timecnt,
                             &header.typecnt, &header.charcnt}) {
    const std::int64_t value = bytes.big_endian(4);
    if (value < 0 || value > static_cast<std::int64_t>(kMaxFileBytes)) return std::nullopt;
    *count = static_cast<std::size_t>(value);
  }
  return bytes.good() ? std::optional(header) : std::nullopt;
}

// The day and time of a yearly change, by the clock that it ends.
struct YearlyRule {
  enum class Form { kWeekday, kJulian, kDayOfYear } form = Form::kWeekday;
  unsigned month = 0, week = 0, weekday = 0;  // Mm.w.d
  unsigned day = 0;                           // Jn (1 to 365, no 29th of February), n (from 0 on)
  seconds time = hours{2};

  sys_seconds in(year of) const {
    if (form == Form::kWeekday) {
      const std::chrono::weekday on(weekday);
      const auto month_of = of / std::chrono::month(month);
      const sys_days date =
          week == 5 ? sys_days(month_of / on[std::chrono::last]) : sys_days(month_of / on[week]);
      return date + time;
    }
    sys_days date = sys_days(of / std::chrono::January / 1);
    if (form == Form::kDayOfYear) return date + days{day} + time;
    date += days{day - 1};
    const bool after_february = day > 31 + 28;
    return date + days{of.is_leap() && after_february ? 1 : 0} + time;
  }
};

struct PosixZone {
  seconds standard{0};
  struct Saving {
    seconds offset;
    YearlyRule begin, end;
  };
  std::optional<Saving> saving;
};

// POSIX.1-2017 8.3: "CET-1CEST,M3.5.0,M10.5.0/3", "<+0330>-3:30", with the hours that RFC 8536
// adds.
class PosixReader {
 public:
  explicit PosixReader(std::string_view text) : rest_(text) {}

  std::optional<PosixZone> read() {
    PosixZone zone;
    if (!name()) return std::nullopt;
    const auto standard = time_of_day();
    if (!standard) return std::nullopt;
    zone.standard = -*standard;
    if (rest_.empty()) return zone;
    if (!name()) return std::nullopt;
    PosixZone::Saving saving{.offset = zone.standard + hours{1}, .begin = {}, .end = {}};
    if (!rest_.starts_with(',')) {
      const auto offset = time_of_day();
      if (!offset) return std::nullopt;
      saving.offset = -*offset;
    }
    if (!rule(saving.begin) || !rule(saving.end) || !rest_.empty()) return std::nullopt;
    zone.saving = saving;
    return zone;
  }

 private:
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool name() {
    const bool quoted = skip('<');
    std::size_t length = 0;
    const auto belongs = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             (quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'));
    };
    while (length < rest_.size() && belongs(rest_[length])) ++length;
    rest_.remove_prefix(length);
    return length >= 3 && (!quoted || skip('>'));
  }

  std::optional<unsigned> number(unsigned low, unsigned high) {
    unsigned value = 0;
    std::size_t digits = 0;
    while (digits < 3 && digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(rest_[digits++] - '0');
    }
    rest_.remove_prefix(digits);
    if (digits == 0 || value < low || value > high) return std::nullopt;
    return value;
  }

  // [+-]h[h[h]][:mm[:ss]]
  std::optional<seconds> time_of_day() {
    const bool negative = skip('-');
    if (!negative) skip('+');
    const auto hour = number(0, 167);
    if (!hour) return std::nullopt;
    seconds time = hours{*hour};
    if (skip(':')) {
      const auto minute = number(0, 59);
      if (!minute) return std::nullopt;
      time += minutes{*minute};
      if (skip(':')) {
        const auto second = number(0, 59);
        if (!second) return std::nullopt;
        time += seconds{*second};
      }
    }
    return negative ? -time : time;
  }

  bool take_number(unsigned low, unsigned high, unsigned& into) {
    const auto value = number(low, high);
    into = value.value_or(0);
    return value.has_value();
  }

  bool rule(YearlyRule& into) {
    if (!skip(',')) return false;
    bool good = false;
    if (skip('M')) {
      into.form = YearlyRule::Form::kWeekday;
      good = take_number(1, 12, into.month) && skip('.') && take_number(1, 5, into.week) &&
             skip('.') && take_number(0, 6, into.weekday);
    } else if (skip('J')) {
      into.form = YearlyRule::Form::kJulian;
      good = take_number(1, 365, into.day);
    } else {
      into.form = YearlyRule::Form::kDayOfYear;
      good = take_number(0, 365, into.day);
    }
    if (!good || !skip('/')) return good;
    const auto time = time_of_day();
    into.time = time.value_or(hours{2});
    return time.has_value();
  }

  std::string_view rest_;
};

// What the last line of a file says of the years after its last change.
void add_yearly(const PosixZone& zone, Changes& changes) {
  if (!zone.saving) return;
  const auto last =
      changes.empty() ? sys_seconds(sys_days(year{1970} / 1 / 1)) : changes.back().begin;
  const auto first_year = std::chrono::year_month_day(std::chrono::floor<days>(last)).year();
  for (year of = first_year; of <= kLastYear; ++of) {
    std::array yearly{
        TimeZone::Change{.begin = zone.saving->begin.in(of)-zone.standard,
                         .offset = zone.saving->offset},
        TimeZone::Change{.begin = zone.saving->end.in(of)-zone.saving->offset,
                         .offset = zone.standard},
    };
    std::ranges::sort(yearly, {}, &TimeZone::Change::begin);
    for (const TimeZone::Change& change : yearly) {
      if (change.begin > last) changes.push_back(change);
    }
  }
}

using Database = std::map<std::string, TimeZone, std::less<>>;

Database read_database() {
  namespace fs = std::filesystem;
  Database zones;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(kDatabase, options, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().lexically_relative(kDatabase).generic_string();
    // The same zones once more, the latter with leap seconds, which clocks do not have.
    if (name == "posix" || name == "right") at.disable_recursion_pending();
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) continue;
    const auto bytes = read_file(at->path().string(), kMaxFileBytes);
    if (!bytes || !bytes->starts_with("TZif")) continue;  // tables of names and the like
    if (auto zone = TimeZone::parse(*bytes)) zones.emplace(name, std::move(*zone));
  }
  return zones;
}

}  // namespace

Result<TimeZone> TimeZone::named(std::string_view name) {
  static const Database database = read_database();
  const auto found = database.find(name);
  if (found != database.end()) return found->second;
  return fail(ErrorKind::kInvalid,
              database.empty() ? std::string("there are no time zones in ") + kDatabase
                               : brief_quote(name) + " is no time zone, such as Europe/Berlin");
}

Result<TimeZone> TimeZone::parse(std::string_view tzif) {
  Bytes bytes(tzif);
  const auto first = read_header(bytes);
  // Version 1 ends in 2037 and has no last line.
  if (!first || first->version < '2') return malformed();
  bytes.take(first->block_bytes(4));
  const auto header = read_header(bytes);
  if (!header || header->typecnt == 0) return malformed();

  std::vector<std::int64_t> times;
  for (std::size_t i = 0; i < header->timecnt && bytes.good(); ++i) {
    times.push_back(bytes.big_endian(8));
  }
  const std::string_view types = bytes.take(header->timecnt);
  std::vector<seconds> offsets;
  for (std::size_t i = 0; i < header->typecnt && bytes.good(); ++i) {
    offsets.emplace_back(bytes.big_endian(4));
    bytes.take(2);  // whether it is summer time, and its name
  }
  bytes.take(header->charcnt + header->leapcnt * 12 + header->isstdcnt + header->isutcnt);
  if (!bytes.good() || bytes.take(1) != "\n") return malformed();
  const std::string_view footer = bytes.rest().substr(0, bytes.rest().find('\n'));

  TimeZone zone(offsets.front());
  Changes changes;
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto type = static_cast<unsigned char>(types[i]);
    const sys_seconds begin{seconds{times[i]}};
    if (type >= offsets.size() || (!changes.empty() && begin <= changes.back().begin)) {
      return malformed();
    }
    changes.push_back({.begin = begin, .offset = offsets[type]});
  }
  if (!footer.empty()) {
    const auto posix = PosixReader(footer).read();
    if (!posix) return malformed();
    add_yearly(*posix, changes);
  }
  // Only the name of the time changed, or whether it counts as summer time.
  seconds before = zone.offset_;
  std::erase_if(changes, [&](const Change& change) {
    return std::exchange(before, change.offset) == change.offset;
  });
  if (!changes.empty()) zone.changes_ = std::make_shared<const Changes>(std::move(changes));
  return zone;
}

TimeZone::Span TimeZone::at(sys_seconds time) const {
  Span span{
      .begin = sys_seconds::min(), .end = sys_seconds::max(), .offset = offset_, .before = offset_};
  if (!changes_) return span;
  const auto next = std::ranges::upper_bound(*changes_, time, {}, &Change::begin);
  if (next != changes_->end()) span.end = next->begin;
  if (next == changes_->begin()) return span;
  const auto current = std::prev(next);
  span.begin = current->begin;
  span.offset = current->offset;
  span.before = current == changes_->begin() ? offset_ : std::prev(current)->offset;
  return span;
}

bool operator==(const TimeZone& a, const TimeZone& b) {
  if (a.offset_ != b.offset_) return false;
  return a.changes_ == b.changes_ || (a.changes_ && b.changes_ && *a.changes_ == *b.changes_);
}

}  // namespace tidemark
