#include "policy/tag_policy.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "base/text.h"

namespace tidemark::policy {
namespace {

constexpr std::size_t kMaxPolicyBytes = 4096;

constexpr std::string_view kDigest = "digest";
constexpr std::string_view kNewest = "newest";
constexpr std::string_view kSemver = "semver";
constexpr std::string_view kCalver = "calver";
constexpr std::string_view kNumerical = "numerical";
constexpr std::string_view kAlphabetical = "alphabetical";
constexpr std::string_view kOrders = "semver, calver, numerical, alphabetical, newest, digest";
constexpr std::string_view kFilter = "filter";
constexpr std::string_view kExtract = "extract";
constexpr std::string_view kExclude = "exclude";
constexpr std::string_view kAllowDowngrade = "allow-downgrade";

// "a: b", without the quotes that somebody may have put around b.
std::pair<std::string_view, std::string_view> split_line(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return {trimmed(line), {}};
  std::string_view value = trimmed(line.substr(colon + 1));
  const bool quoted = value.size() >= 2 && value.front() == value.back() &&
                      (value.front() == '"' || value.front() == '\'');
  if (quoted) value = value.substr(1, value.size() - 2);
  return {trimmed(line.substr(0, colon)), value};
}

Result<bool> parse_direction(std::string_view key, std::string_view value) {
  if (value.empty() || value == "asc" || value == "ASC") return false;
  if (value == "desc" || value == "DESC") return true;
  return fail(ErrorKind::kInvalid,
              std::string(key) + ": unknown value " + brief_quote(value) + " (asc, desc)");
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

Result<TagPolicy::Order> TagPolicy::parse_order(std::string_view key, std::string_view value) {
  if (key == kDigest || key == kNewest) {
    if (!value.empty()) return fail(ErrorKind::kInvalid, std::string(key) + ": it takes no value");
    if (key == kDigest) return Digest{};
    return Newest{};
  }
  if (key == kSemver) {
    auto range = VersionRange::parse(value);
    if (!range) return fail(within(key, range.error()));
    return std::move(*range);
  }
  if (key == kCalver) {
    auto format = CalendarFormat::parse(value);
    if (!format) return fail(within(key, format.error()));
    return std::move(*format);
  }
  if (key != kNumerical && key != kAlphabetical) {
    return fail(ErrorKind::kInvalid,
                "unknown policy " + brief_quote(key) + " (" + std::string(kOrders) + ")");
  }
  const auto descending = parse_direction(key, value);
  if (!descending) return fail(descending.error());
  if (key == kNumerical) return Numerical{*descending};
  return Alphabetical{*descending};
}

Result<TagPolicy> TagPolicy::parse(std::string_view text) {
  if (text.size() > kMaxPolicyBytes) {
    return fail(ErrorKind::kInvalid,
                "a policy of more than " + std::to_string(kMaxPolicyBytes) + " bytes");
  }
  std::optional<Order> order;
  std::map<std::string_view, std::string_view> rest;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto [key, value] = split_line(line);
    if (!order) {
      auto parsed = parse_order(key, value);
      if (!parsed) return fail(parsed.error());
      order = std::move(*parsed);
      continue;
    }
    if (key != kFilter && key != kExtract && key != kExclude && key != kAllowDowngrade) {
      return fail(ErrorKind::kInvalid, "unknown line " + brief_quote(key) +
                                           " (filter, extract, exclude, allow-downgrade)");
    }
    if (!rest.emplace(key, value).second) {
      return fail(ErrorKind::kInvalid, std::string(key) + ": given twice");
    }
  }
  if (!order) {
    return fail(ErrorKind::kInvalid, "an empty policy (" + std::string(kOrders) + ")");
  }
  if (std::holds_alternative<Digest>(*order) && !rest.empty()) {
    return fail(ErrorKind::kInvalid, "digest: it chooses no tag, so that " +
                                         std::string(rest.begin()->first) + " says nothing");
  }
  TagPolicy out;
  out.order_ = std::move(*order);
  auto filter = TagFilter::make(rest[kFilter], rest[kExtract], rest[kExclude]);
  if (!filter) return fail(filter.error());
  out.filter_ = std::move(*filter);
  const std::string_view downgrade = rest[kAllowDowngrade];
  if (!downgrade.empty() && downgrade != "true" && downgrade != "false") {
    return fail(ErrorKind::kInvalid, std::string(kAllowDowngrade) + ": unknown value " +
                                         brief_quote(downgrade) + " (true, false)");
  }
  out.allow_downgrade_ = downgrade == "true";
  return out;
}

bool TagPolicy::descending() const {
  if (const auto* numerical = std::get_if<Numerical>(&order_)) return numerical->descending;
  const auto* alphabetical = std::get_if<Alphabetical>(&order_);
  return alphabetical != nullptr && alphabetical->descending;
}

std::optional<TagPolicy::Rank> TagPolicy::rank(std::string_view tag, bool in_range,
                                               const CreationTimes& times) const {
  auto part = filter_.apply(tag);
  if (!part) return std::nullopt;
  if (const auto* range = std::get_if<VersionRange>(&order_)) {
    auto version = Version::parse(*part);
    if (!version || (in_range && !range->contains(*version))) return std::nullopt;
    return std::move(*version);
  }
  if (const auto* format = std::get_if<CalendarFormat>(&order_)) {
    auto version = format->read(*part);
    if (!version) return std::nullopt;
    return std::move(*version);
  }
  if (std::holds_alternative<Numerical>(order_)) {
    const auto number = to_number(*part);
    if (!number) return std::nullopt;
    return *number;
  }
  if (std::holds_alternative<Alphabetical>(order_)) return std::move(*part);
  if (by_creation()) {
    const auto made = times.find(tag);
    if (made != times.end()) return made->second;
  }
  return std::nullopt;
}

std::vector<std::string> TagPolicy::candidates(std::span<const std::string> tags) const {
  std::vector<std::string> out;
  for (const std::string& tag : tags) {
    if (filter_.apply(tag)) out.push_back(tag);
  }
  return out;
}

Result<TagChoice> TagPolicy::choose(std::span<const std::string> tags,
                                    const CreationTimes& times) const {
  TagChoice out{.tag = {}, .tags = tags.size()};
  std::optional<Rank> best;
  for (const std::string& tag : tags) {
    auto ranked = rank(tag, /*in_range=*/true, times);
    if (!ranked) continue;
    ++out.fitting;
    const bool better = !best || (descending() ? *ranked <= *best : *ranked >= *best);
    if (!better) continue;
    best = std::move(ranked);
    out.tag = tag;
  }
  if (best) return out;
  return fail(ErrorKind::kNotFound,
              "none of " + std::to_string(tags.size()) + " tags fits the policy");
}

std::optional<std::partial_ordering> TagPolicy::compare(std::string_view a, std::string_view b,
                                                        const CreationTimes& times) const {
  const auto left = rank(a, /*in_range=*/false, times);
  const auto right = rank(b, /*in_range=*/false, times);
  if (!left || !right) return std::nullopt;
  return descending() ? *right <=> *left : *left <=> *right;
}

}  // namespace tidemark::policy
