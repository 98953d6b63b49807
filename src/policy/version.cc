#include "policy/version.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/text.h"

namespace tidemark::policy {
namespace {

// Longer than any range that people write.
constexpr std::size_t kMaxRangeBytes = 512;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_identifier_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

std::optional<std::uint64_t> to_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

// semver.org, 2 and 9: numbers have no leading zeros.
bool has_leading_zero(std::string_view number) { return number.size() > 1 && number[0] == '0'; }

// What is before the first of `any`; that and the rest are cut off `text`.
std::string_view take_until(std::string_view& text, std::string_view any) {
  const std::size_t end = std::min(text.find_first_of(any), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(end);
  return head;
}

std::optional<std::vector<std::string>> parse_identifiers(std::string_view text, bool strict) {
  std::vector<std::string> out;
  while (true) {
    const std::string_view one = take_until(text, ".");
    if (one.empty() || !std::ranges::all_of(one, is_identifier_char)) return std::nullopt;
    if (strict && is_number(one) && has_leading_zero(one)) return std::nullopt;
    out.emplace_back(one);
    if (text.empty()) return out;
    text.remove_prefix(1);
  }
}

// "-rc.1+build": `rest` is what follows the numbers. The build's metadata says nothing of order.
std::optional<std::vector<std::string>> parse_suffix(std::string_view rest) {
  std::vector<std::string> prerelease;
  if (rest.starts_with('-')) {
    rest.remove_prefix(1);
    auto identifiers = parse_identifiers(take_until(rest, "+"), /*strict=*/true);
    if (!identifiers) return std::nullopt;
    prerelease = std::move(*identifiers);
  }
  if (rest.empty()) return prerelease;
  if (!rest.starts_with('+') || !parse_identifiers(rest.substr(1), /*strict=*/false)) {
    return std::nullopt;
  }
  return prerelease;
}

// semver.org, 11: numbers by value and below words, words by their bytes.
std::strong_ordering compare_identifiers(std::string_view a, std::string_view b) {
  const bool a_number = is_number(a);
  const bool b_number = is_number(b);
  if (a_number != b_number) {
    return a_number ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  // Without leading zeros the longer number is the larger one.
  if (a_number && a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::strong_ordering compare_prereleases(const std::vector<std::string>& a,
                                         const std::vector<std::string>& b) {
  if (a.empty() || b.empty()) return a.empty() <=> b.empty();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const auto order = compare_identifiers(a[i], b[i]);
    if (order != std::strong_ordering::equal) return order;
  }
  return a.size() <=> b.size();
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

void skip_blanks(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

bool is_wildcard(std::string_view part) { return part == "x" || part == "X" || part == "*"; }

// "1.2 - 1.4.5" is ">=1.2 <=1.4.5": the dash stands between blanks.
std::string rewrite_hyphens(std::string_view text) {
  std::string out(text);
  for (std::size_t dash = out.find(" - "); dash != std::string::npos; dash = out.find(" - ")) {
    std::size_t begin = dash;
    while (begin > 0 && is_blank(out[begin - 1])) --begin;
    while (begin > 0 && !is_blank(out[begin - 1]) && out[begin - 1] != ',' &&
           out[begin - 1] != '|') {
      --begin;
    }
    out.replace(dash, 3, " <=");
    out.insert(begin, ">=");
  }
  return out;
}

}  // namespace

Result<Version> Version::parse(std::string_view text) {
  const auto bad = [whole = text] {
    return fail(ErrorKind::kInvalid, brief_quote(whole) + " is not a semantic version");
  };
  if (text.starts_with('v')) text.remove_prefix(1);
  Version out;
  const std::array numbers = {&out.major, &out.minor, &out.patch};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string_view digits = take_until(text, i + 1 < numbers.size() ? "." : "-+");
    const auto number = to_number(digits);
    if (!number || has_leading_zero(digits)) return bad();
    *numbers[i] = *number;
    if (i + 1 < numbers.size()) {
      if (text.empty()) return bad();
      text.remove_prefix(1);
    }
  }
  auto prerelease = parse_suffix(text);
  if (!prerelease) return bad();
  out.prerelease = std::move(*prerelease);
  return out;
}

std::strong_ordering operator<=>(const Version& a, const Version& b) {
  if (const auto order = a.major <=> b.major; order != std::strong_ordering::equal) return order;
  if (const auto order = a.minor <=> b.minor; order != std::strong_ordering::equal) return order;
  if (const auto order = a.patch <=> b.patch; order != std::strong_ordering::equal) return order;
  return compare_prereleases(a.prerelease, b.prerelease);
}

Result<VersionRange> VersionRange::parse(std::string_view text) {
  if (text.size() > kMaxRangeBytes) {
    return fail(ErrorKind::kInvalid,
                "a range of more than " + std::to_string(kMaxRangeBytes) + " bytes");
  }
  const std::string rewritten = rewrite_hyphens(text);
  std::string_view rest = rewritten;
  VersionRange out;
  while (true) {
    const std::size_t end = rest.find("||");
    auto all_of = parse_all_of(rest.substr(0, end));
    if (!all_of) {
      return fail(ErrorKind::kInvalid,
                  brief_quote(text) + " is not a range of versions: " + all_of.error().message);
    }
    out.any_of_.push_back(std::move(*all_of));
    if (end == std::string_view::npos) return out;
    rest.remove_prefix(end + 2);
  }
}

Result<VersionRange::AllOf> VersionRange::parse_all_of(std::string_view text) {
  AllOf out;
  skip_blanks(text);
  if (text.empty()) return fail(ErrorKind::kInvalid, "it is empty (* is any version)");
  while (!text.empty()) {
    auto bound = parse_bound(text);
    if (!bound) return fail(bound.error());
    out.push_back(std::move(*bound));
    const std::size_t before = text.size();
    skip_blanks(text);
    const bool comma = text.starts_with(',');
    if (comma) {
      text.remove_prefix(1);
      skip_blanks(text);
    }
    if (text.empty() && comma) return fail(ErrorKind::kInvalid, "nothing follows the last comma");
    if (!text.empty() && text.size() == before) {
      return fail(ErrorKind::kInvalid, "unexpected " + brief_quote(text));
    }
  }
  return out;
}

Result<VersionRange::Bound> VersionRange::parse_bound(std::string_view& rest) {
  using enum Op;
  // Longer ones first: ">=" begins with ">".
  static constexpr std::array<std::pair<std::string_view, Op>, 11> kOps = {{{"!=", kNotEqual},
                                                                            {">=", kGreaterEqual},
                                                                            {"=>", kGreaterEqual},
                                                                            {"<=", kLessEqual},
                                                                            {"=<", kLessEqual},
                                                                            {"~>", kTilde},
                                                                            {"=", kEqual},
                                                                            {">", kGreater},
                                                                            {"<", kLess},
                                                                            {"~", kTilde},
                                                                            {"^", kCaret}}};
  Bound out;
  const auto op =
      std::ranges::find_if(kOps, [&](const auto& each) { return rest.starts_with(each.first); });
  if (op != kOps.end()) {
    out.op = op->second;
    rest.remove_prefix(op->first.size());
    skip_blanks(rest);
  }
  const std::string_view whole = take_until(rest, " \t,");
  std::string_view text = whole;
  const auto bad = [&] { return fail(ErrorKind::kInvalid, "unexpected " + brief_quote(whole)); };
  if (text.starts_with('v')) text.remove_prefix(1);
  std::string_view numbers = take_until(text, "-+");
  auto prerelease = parse_suffix(text);
  if (numbers.empty() || !prerelease) return bad();
  out.version.prerelease = std::move(*prerelease);

  // What follows a wildcard, or is left out, is any.
  const std::array places = {&out.version.major, &out.version.minor, &out.version.patch};
  std::size_t given = 0;
  bool open = false;
  for (std::size_t i = 0; i < places.size() && !numbers.empty(); ++i) {
    const std::string_view part = take_until(numbers, ".");
    const bool more = !numbers.empty();
    if (more) numbers.remove_prefix(1);
    if (more && numbers.empty()) return bad();
    if (is_wildcard(part)) {
      open = true;
      continue;
    }
    const auto number = to_number(part);
    if (!number || has_leading_zero(part)) return bad();
    if (open) continue;
    *places[i] = *number;
    given = i + 1;
  }
  if (!numbers.empty()) return bad();
  out.given = static_cast<Given>(given);
  return out;
}

bool VersionRange::Bound::accepts(const Version& candidate) const {
  const bool same_major = candidate.major == version.major;
  const bool same_minor = same_major && candidate.minor == version.minor;
  // "~1.2": from there on, within what is written; of a whole version within its minor number.
  const auto within_written = [&] {
    if (candidate < version) return false;
    if (given == Given::kNothing) return true;
    const bool all_zero = version.major == 0 && version.minor == 0 && version.patch == 0;
    if (given == Given::kAll && all_zero) return true;  // as Masterminds has it: ">=0.0.0"
    return given == Given::kMajor ? same_major : same_minor;
  };
  switch (op) {
    case Op::kEqual:
      return given == Given::kAll ? candidate == version : within_written();
    case Op::kNotEqual:
      if (given == Given::kAll) return candidate != version;
      if (given == Given::kMinor) return !same_minor;
      return given == Given::kMajor && !same_major;
    case Op::kGreater:
      if (given == Given::kMajor) return candidate.major > version.major;
      if (given == Given::kMinor) {
        return candidate.major > version.major || (same_major && candidate.minor > version.minor);
      }
      return candidate > version;
    case Op::kLess:
      return candidate < version;
    case Op::kGreaterEqual:
      return candidate >= version;
    case Op::kLessEqual:
      if (given == Given::kMajor) return candidate.major <= version.major;
      if (given == Given::kMinor) {
        return candidate.major < version.major || (same_major && candidate.minor <= version.minor);
      }
      return candidate <= version;
    case Op::kTilde:
      return within_written();
    case Op::kCaret:
      if (candidate < version) return false;
      if (given == Given::kNothing) return true;
      if (version.major > 0 || given == Given::kMajor) return same_major;
      if (version.minor > 0 || given == Given::kMinor) return same_minor;
      return same_minor && candidate.patch == version.patch;
  }
  return false;
}

bool VersionRange::contains(const Version& version) const {
  return std::ranges::any_of(any_of_, [&](const AllOf& all_of) {
    const bool prereleases = std::ranges::any_of(
        all_of, [](const Bound& bound) { return !bound.version.prerelease.empty(); });
    if (!version.prerelease.empty() && !prereleases) return false;
    return std::ranges::all_of(all_of, [&](const Bound& bound) { return bound.accepts(version); });
  });
}

}  // namespace tidemark::policy
