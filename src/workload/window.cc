#include "workload/window.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "workload/duration.h"

namespace tidemark::workload {
namespace {

constexpr std::chrono::hours kMaxLength{24 * 7};
constexpr std::size_t kCronFields = 5;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// Cuts the first word off `text`.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t end = std::min(text.find_first_of(" \t\n"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

// "UTC", "Z", "+02:00"
Result<std::chrono::minutes> parse_offset(std::string_view text) {
  if (text.empty() || text == "UTC" || text == "Z") return std::chrono::minutes{0};
  const auto number = [&](std::size_t at) {
    int value = -1;
    const char* const end = text.data() + at + 2;
    const auto parsed = std::from_chars(text.data() + at, end, value);
    return parsed.ec == std::errc() && parsed.ptr == end ? value : -1;
  };
  const bool shaped = text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':';
  const int hours = shaped ? number(1) : -1;
  const int minutes = shaped ? number(4) : -1;
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) {
    return fail(ErrorKind::kInvalid, "\"" + std::string(text.substr(0, 40)) +
                                         "\" is no offset from UTC, such as +02:00");
  }
  const std::chrono::minutes offset{hours * 60 + minutes};
  return text[0] == '-' ? -offset : offset;
}

}  // namespace

Result<Windows::Window> Windows::parse_one(std::string_view text) {
  std::string_view rest = text;
  std::string cron;
  for (std::size_t i = 0; i < kCronFields; ++i) (cron += take_word(rest)) += ' ';
  const auto length = parse_duration(take_word(rest));
  if (!length || length->count() <= 0 || *length > kMaxLength) {
    return fail(ErrorKind::kInvalid,
                "a window is a cron expression of five fields and a length of up to 168h, such as "
                "\"0 22 * * mon-fri 6h\"");
  }
  const auto offset = parse_offset(take_word(rest));
  if (!offset) return fail(offset.error());
  if (!trimmed(rest).empty()) {
    return fail(ErrorKind::kInvalid,
                "\"" + std::string(trimmed(rest).substr(0, 40)) + "\" is too much");
  }
  auto opens = Cron::parse(cron, *offset);
  if (!opens) return fail(opens.error());
  return Window{.opens = std::move(*opens),
                .length = std::chrono::duration_cast<std::chrono::seconds>(*length)};
}

Result<Windows> Windows::parse(std::string_view text) {
  Windows out;
  while (true) {
    const std::size_t end = text.find(';');
    auto window = parse_one(text.substr(0, end));
    if (!window) return fail(window.error());
    out.windows_.push_back(std::move(*window));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

bool Windows::open(WallTime now) const {
  return std::ranges::any_of(windows_, [&](const Window& window) {
    // At its very end it is closed again.
    return window.opens.last_within(now, window.length - std::chrono::seconds{1}).has_value();
  });
}

std::optional<WallTime> Windows::next_opening(WallTime now) const {
  std::optional<WallTime> next;
  for (const Window& window : windows_) {
    const auto opening = window.opens.next_after(now);
    if (opening && (!next || *opening < *next)) next = opening;
  }
  return next;
}

}  // namespace tidemark::workload
