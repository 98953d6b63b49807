#include "workload/window.h"

#include <algorithm>

#include "base/text.h"
#include "workload/duration.h"

namespace tidemark::workload {
namespace {

constexpr std::chrono::hours kMaxLength{24 * 7};
constexpr std::size_t kCronFields = 5;

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
  rest = trimmed(rest);
  // A time zone may be left; a sixth field would make the first one a second.
  if (!rest.empty() && rest.find_first_of("0123456789*") == 0) {
    return fail(ErrorKind::kInvalid, brief_quote(rest) + " is too much");
  }
  const auto opens = Cron::parse(cron.append(rest));
  if (!opens) return fail(opens.error());
  return Window{.opens = *opens,
                .length = std::chrono::duration_cast<std::chrono::seconds>(*length)};
}

Result<Windows> Windows::parse(std::string_view text) {
  Windows out;
  while (true) {
    const std::size_t end = text.find(';');
    auto window = parse_one(text.substr(0, end));
    if (!window) return fail(window.error());
    out.windows_.push_back(*window);
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

bool Windows::open(WallTime now) const {
  return std::ranges::any_of(windows_, [&](const Window& window) {
    // At its very end it is closed again.
    const auto opened = window.opens.next_after(now - window.length);
    return opened && *opened <= now;
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
