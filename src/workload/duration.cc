#include "workload/duration.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/json_text.h"

namespace tidemark::workload {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array kUnits = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                               Unit{"ms", 1}};

constexpr std::size_t kMaxQuotedBytes = 40;

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto invalid = [&](std::string_view reason) {
    return fail(ErrorKind::kInvalid,
                json_quote(text.substr(0, kMaxQuotedBytes)) + std::string(reason));
  };
  if (text == "0") return std::chrono::milliseconds(0);
  if (text.empty()) return invalid(" is not a duration (30s, 10m, 1h30m)");

  std::int64_t total = 0;
  std::size_t next_unit = 0;  // the first that may still come
  for (std::string_view rest = text; !rest.empty();) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc()) return invalid(" is not a duration (30s, 10m, 1h30m)");
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789"));
    while (next_unit < kUnits.size() && kUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kUnits.size()) return invalid(" is not a duration (30s, 10m, 1h30m)");
    rest.remove_prefix(name.size());
    total += std::int64_t{number} * kUnits[next_unit++].milliseconds;
    if (total > kMaxDuration.count()) return invalid(" is longer than a year");
  }
  return std::chrono::milliseconds(total);
}

}  // namespace tidemark::workload
