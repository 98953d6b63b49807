// Durations as people write them: "30s", "10m", "1h30m", "500ms".
//
// Purpose: one syntax for annotations, configuration and flags: Go's time.ParseDuration without
// fractions and without units below a millisecond. Thread-safety: pure functions.
// Errors: kInvalid with the text; a duration is at most kMaxDuration.
#pragma once

#include <chrono>
#include <string_view>

#include "base/result.h"

namespace tidemark::workload {

// A year: longer than any interval that makes sense here, far from every overflow.
inline constexpr std::chrono::milliseconds kMaxDuration = std::chrono::hours(24 * 366);

// "0" needs no unit; every other number does. Each unit at most once, larger ones first.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace tidemark::workload
