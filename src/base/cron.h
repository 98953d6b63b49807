// Cron: the times that a cron expression names.
//
// Purpose: one reader for maintenance windows and schedules: five fields (minute, hour, day of the
// month, month, day of the week), or six with the second in front. Lists, ranges, steps and English
// names; where both kinds of day are restricted either of them is enough, as crontab(5) has it. A
// time zone may follow: "0 22 * * mon-fri Europe/Berlin", or an offset from UTC, "+02:00".
// Where clocks change, what falls in an hour that is left out comes at its end, and what falls in
// one that is shown twice comes once, as Debian's cron has it; an expression for every hour goes on
// evenly.
// Thread-safety: a value. Units: times are given and returned as UTC.
// Errors: kInvalid naming the field. Source: crontab(5) of Debian's cron.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/time_zone.h"

namespace tidemark {

class Cron {
 public:
  static Result<Cron> parse(std::string_view text);

  // The first of its times that is later than `time`; nullopt where there is none in eight years
  // (the 30th of February; a 29th of it is at most eight years away).
  std::optional<WallTime> next_after(WallTime time) const;

  friend bool operator==(const Cron&, const Cron&) = default;

 private:
  Cron() = default;
  bool matches_day(std::chrono::sys_days day) const;
  // Within the day, at or after `from`.
  std::optional<std::chrono::seconds> first_in_day(std::chrono::seconds from) const;
  // The first from `from` on and before `end`, both as clocks show them.
  std::optional<std::chrono::sys_seconds> first_shown(std::chrono::sys_seconds from,
                                                      std::chrono::sys_seconds end) const;
  bool every_hour() const;

  std::uint64_t seconds_ = 1;  // a bit for each value
  std::uint64_t minutes_ = 0;
  std::uint64_t hours_ = 0;
  std::uint64_t days_ = 0;
  std::uint64_t months_ = 0;
  std::uint64_t weekdays_ = 0;
  bool any_day_ = false;  // "*" in that field
  bool any_weekday_ = false;
  TimeZone zone_;
};

}  // namespace tidemark
