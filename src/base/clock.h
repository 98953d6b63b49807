// Clock and Deadline: the only two ways that Tidemark's code knows the time.
//
// Clock is an interface so that tests of caches, schedules and plans move time by hand
// (tests/support/fake_clock.h). Deadline is a point on the real steady clock and bounds blocking
// calls: system calls wait in real time, whatever a fake clock says.
// Thread-safety: implementations of Clock are thread-safe; Deadline is a plain value.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  // For intervals: cache expiry, backoff, cooldown within one process.
  virtual SteadyTime steady_now() const = 0;
  // For what is written down: history entries, certificate dates, schedules.
  virtual WallTime wall_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  SteadyTime steady_now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall_now() const override { return std::chrono::system_clock::now(); }
};

class Deadline {
 public:
  static Deadline after(std::chrono::milliseconds budget) {
    return Deadline(std::chrono::steady_clock::now() + budget);
  }
  static Deadline at(SteadyTime point) { return Deadline(point); }

  SteadyTime point() const { return point_; }
  bool expired() const { return std::chrono::steady_clock::now() >= point_; }
  // Never negative; rounded up, so that poll() with it does not spin in the last millisecond.
  std::chrono::milliseconds remaining() const {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(point_ - std::chrono::steady_clock::now());
    return std::max(left, std::chrono::milliseconds::zero());
  }
  // The earlier of this deadline and `budget` from now: a part of a whole.
  Deadline at_most(std::chrono::milliseconds budget) const {
    return Deadline(std::min(point_, std::chrono::steady_clock::now() + budget));
  }

 private:
  explicit Deadline(SteadyTime point) : point_(point) {}
  SteadyTime point_;
};

// "2026-01-31T08:15:00Z": RFC 3339 in UTC with whole seconds, as Kubernetes' metav1.Time prints.
std::string to_rfc3339(WallTime time);

// The offset at the end of an RFC 3339 time: "Z", "z" or "+02:00".
std::optional<std::chrono::minutes> parse_utc_offset(std::string_view text);

// RFC 3339 as people, Kubernetes and credential plugins write it: fractions (skipped) and offsets
// too. kInvalid for anything else.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace tidemark
