#include "registry/quota.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Far above every quota that is told; and none is told for longer than a day.
constexpr std::uint64_t kMaxCount = 1'000'000'000;
constexpr std::uint64_t kMaxSeconds = 86'400;
// Where neither a window nor a reset is told.
constexpr seconds kDefaultWindow{3'600};

std::optional<std::uint64_t> number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end == text.data()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return most;
  return std::min(value, most);
}

// "76;w=21600": the number, and the window where there is one.
struct Told {
  std::optional<std::uint64_t> count;
  std::optional<std::uint64_t> window;
};

Told read(const net::Headers& headers, std::string_view name) {
  const std::string* header = net::find_header(headers, name);
  if (header == nullptr) return {};
  Told told{.count = number(*header, kMaxCount), .window = {}};
  if (const std::size_t at = header->find("w="); at != std::string::npos) {
    told.window = number(std::string_view(*header).substr(at + 2), kMaxSeconds);
  }
  return told;
}

}  // namespace

void Quotas::learn(const std::string& key, bool head, const net::Headers& headers) {
  const Told left = read(headers, "RateLimit-Remaining");
  if (!left.count) return;
  const Told limit = read(headers, "RateLimit-Limit");
  const Told reset = read(headers, "RateLimit-Reset");
  // Of a window the end is not told: all of it may be to come.
  const seconds whole = left.window ? seconds{*left.window} : kDefaultWindow;
  const seconds to_come = reset.count ? seconds{std::min(*reset.count, kMaxSeconds)} : whole;

  const std::lock_guard lock(mutex_);
  const Quota* known = quotas_.find(key);
  Quota next = known == nullptr ? Quota{} : *known;
  if (head) {
    if (next.last_was_head && *left.count == next.left) next.heads_are_free = true;
    next.probe = next.probe == Quota::Probe::kNone ? Quota::Probe::kReady : Quota::Probe::kNone;
  }
  next.last_was_head = head;
  next.limit = limit.count.value_or(0);
  next.left = *left.count;
  next.until = clock_.steady_now() + to_come;
  quotas_.put(key, next);
}

milliseconds Quotas::spacing(const std::string& key, bool head) {
  const std::lock_guard lock(mutex_);
  Quota* quota = quotas_.find(key);
  if (quota == nullptr) return milliseconds{0};
  const SteadyTime now = clock_.steady_now();
  if (now >= quota->until || (head && quota->heads_are_free)) return milliseconds{0};
  if (quota->limit > 0 && quota->left > quota->limit / 2) return milliseconds{0};
  // Of none that is left a HEAD takes none either.
  if (head && quota->probe == Quota::Probe::kReady && quota->left != 1) {
    quota->probe = Quota::Probe::kSent;
    return milliseconds{0};
  }
  const auto to_come = std::chrono::ceil<milliseconds>(quota->until - now);
  if (quota->left <= 1) return to_come;
  return to_come * (head ? 2 : 1) / static_cast<milliseconds::rep>(quota->left - 1);
}

std::vector<Quotas::Left> Quotas::known() {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  std::vector<Left> out;
  for (const auto& [key, quota] : quotas_) {
    if (now >= quota.until) continue;
    out.push_back({.key = key,
                   .limit = quota.limit,
                   .left = quota.left,
                   .to_come = std::chrono::ceil<seconds>(quota.until - now)});
  }
  return out;
}

}  // namespace tidemark::registry
