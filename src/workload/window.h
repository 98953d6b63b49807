// Windows: when a workload may be rolled (tidemark.dev/window).
//
// Purpose: "0 22 * * mon-fri 6h", a cron expression for the openings and how long each lasts;
// a time zone may follow ("Europe/Berlin", "+02:00"; else it is UTC), and several windows are
// parted by ";". Thread-safety: values. Errors: kInvalid saying what is wrong. Windows of nothing
// never open: that is what becomes of a text that cannot be read.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/cron.h"
#include "base/result.h"

namespace tidemark::workload {

class Windows {
 public:
  Windows() = default;  // never open
  static Result<Windows> parse(std::string_view text);

  bool open(WallTime now) const;
  // The next opening after `now`; nullopt: never.
  std::optional<WallTime> next_opening(WallTime now) const;

  friend bool operator==(const Windows&, const Windows&) = default;

 private:
  struct Window {
    Cron opens;
    std::chrono::seconds length;
    friend bool operator==(const Window&, const Window&) = default;
  };
  static Result<Window> parse_one(std::string_view text);
  std::vector<Window> windows_;
};

}  // namespace tidemark::workload
