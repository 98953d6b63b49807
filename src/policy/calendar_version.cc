#include "policy/calendar_version.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <utility>

#include "base/text.h"

namespace tidemark::policy {
namespace {

constexpr std::size_t kMaxFormatBytes = 128;  // no tag is longer

struct Token {
  std::string_view name;
  std::size_t min_digits;
  std::size_t max_digits;
  std::uint64_t min;
  std::uint64_t max;
};

constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kAnyDigits = 18;  // of which each number fits 64 bits

// "YY" has no leading zero, "0Y" has one where it needs one; years count from 2000 in both. Longer
// names first: "YYYY" begins with "YY".
constexpr std::array<Token, 12> kTokens = {{{"YYYY", 4, 4, 1000, 9999},
                                            {"YY", 1, 3, 0, 999},
                                            {"0Y", 2, 3, 0, 999},
                                            {"MAJOR", 1, kAnyDigits, 0, kAny},
                                            {"MINOR", 1, kAnyDigits, 0, kAny},
                                            {"MICRO", 1, kAnyDigits, 0, kAny},
                                            {"MM", 1, 2, 1, 12},
                                            {"0M", 2, 2, 1, 12},
                                            {"WW", 1, 2, 1, 53},
                                            {"0W", 2, 2, 1, 53},
                                            {"DD", 1, 2, 1, 31},
                                            {"0D", 2, 2, 1, 31}}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<CalendarFormat> CalendarFormat::parse(std::string_view text) {
  if (text.size() > kMaxFormatBytes) {
    return fail(ErrorKind::kInvalid,
                "a format of more than " + std::to_string(kMaxFormatBytes) + " bytes");
  }
  CalendarFormat out;
  bool any = false;
  for (std::string_view rest = text; !rest.empty();) {
    const auto token = std::ranges::find_if(
        kTokens, [&](const Token& each) { return rest.starts_with(each.name); });
    if (token != kTokens.end()) {
      any = true;
      out.parts_.push_back({.min_digits = token->min_digits,
                            .max_digits = token->max_digits,
                            .min = token->min,
                            .max = token->max});
      rest.remove_prefix(token->name.size());
      continue;
    }
    if (out.parts_.empty() || out.parts_.back().max_digits != 0) out.parts_.emplace_back();
    out.parts_.back().literal += rest.front();
    rest.remove_prefix(1);
  }
  if (any) return out;
  return fail(ErrorKind::kInvalid, brief_quote(text) +
                                       " names no part of a date (YYYY, YY, 0Y, MM, 0M, WW, 0W, "
                                       "DD, 0D, MAJOR, MINOR, MICRO)");
}

std::optional<CalendarVersion> CalendarFormat::read(std::string_view tag) const {
  CalendarVersion out;
  for (const Part& part : parts_) {
    if (part.max_digits == 0) {
      if (!tag.starts_with(part.literal)) return std::nullopt;
      tag.remove_prefix(part.literal.size());
      continue;
    }
    const auto end = std::ranges::find_if_not(tag, is_digit);
    const std::size_t digits =
        std::min(static_cast<std::size_t>(end - tag.begin()), part.max_digits);
    if (digits < part.min_digits) return std::nullopt;
    if (digits > part.min_digits && tag.front() == '0') return std::nullopt;
    std::uint64_t value = 0;
    std::from_chars(tag.data(), tag.data() + digits, value);
    if (value < part.min || value > part.max) return std::nullopt;
    out.push_back(value);
    tag.remove_prefix(digits);
  }
  return tag.empty() ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace tidemark::policy
