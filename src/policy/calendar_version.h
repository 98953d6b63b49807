// CalendarFormat: versions that are dates, "2026.11", "26.04-3".
//
// Purpose: the comparison behind `calver:` policies. A format is made of calver.org's tokens and of
// what stands between them: YYYY YY 0Y, MM 0M, WW 0W, DD 0D, MAJOR MINOR MICRO. A tag fits as a
// whole or not at all; two that fit compare number by number, as the format names them.
// Thread-safety: values. Errors: kInvalid. Source: calver.org "Scheme".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidemark::policy {

using CalendarVersion = std::vector<std::uint64_t>;

class CalendarFormat {
 public:
  static Result<CalendarFormat> parse(std::string_view text);
  std::optional<CalendarVersion> read(std::string_view tag) const;

 private:
  struct Part {
    std::string literal{};  // stands as it is; else a number within these bounds
    std::size_t min_digits = 0;
    std::size_t max_digits = 0;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
  };
  std::vector<Part> parts_;
};

}  // namespace tidemark::policy
