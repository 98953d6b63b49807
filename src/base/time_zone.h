// TimeZone: what the clocks of a place show.
//
// Purpose: maintenance windows and schedules in local time. A fixed distance from UTC, or a zone of
// the IANA database by its name, "Europe/Berlin". Thread-safety: values; the database's zones are
// read from /usr/share/zoneinfo once, at the first name that is asked for. Units: seconds; changes
// after 2100 are not known. Errors: kInvalid for a name that is not there and for a file that
// cannot be read. Source: RFC 8536 (TZif, versions 2 and up), POSIX.1-2017 8.3 (TZ, the files' last
// line).
#pragma once

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidemark {

class TimeZone {
 public:
  // From `begin` on, and until the next change, clocks are `offset` ahead of UTC.
  struct Change {
    std::chrono::sys_seconds begin;
    std::chrono::seconds offset;
    friend bool operator==(const Change&, const Change&) = default;
  };
  // A time without a change; `before`: the offset that ended where it begins.
  struct Span {
    std::chrono::sys_seconds begin;
    std::chrono::sys_seconds end;
    std::chrono::seconds offset;
    std::chrono::seconds before;
  };

  TimeZone() = default;  // UTC
  explicit TimeZone(std::chrono::seconds offset) : offset_(offset) {}
  static Result<TimeZone> named(std::string_view name);
  static Result<TimeZone> parse(std::string_view tzif);

  Span at(std::chrono::sys_seconds time) const;

  friend bool operator==(const TimeZone& a, const TimeZone& b);

 private:
  std::chrono::seconds offset_{0};                      // before the first change
  std::shared_ptr<const std::vector<Change>> changes_;  // ordered; nullptr: none
};

}  // namespace tidemark
