#include "policy/tag_filter.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/text.h"

namespace tidemark::policy {
namespace {

constexpr std::size_t kMaxExpressionBytes = 1024;
// Of one compiled expression. "x{1000}{1000}" must not take a gigabyte.
constexpr std::int64_t kMaxCompiledBytes = std::int64_t{1} << 20U;

struct Piece {
  std::string literal{};
  int group = -1;  // -1: the literal
};

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

Result<std::unique_ptr<const re2::RE2>> compile(std::string_view key, std::string_view text) {
  if (text.empty()) return nullptr;
  if (text.size() > kMaxExpressionBytes) {
    return fail(ErrorKind::kInvalid, std::string(key) + ": an expression of more than " +
                                         std::to_string(kMaxExpressionBytes) + " bytes");
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxCompiledBytes);
  auto expression =
      std::make_unique<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!expression->ok()) {
    return fail(ErrorKind::kInvalid,
                std::string(key) + ": " + brief_quote(text) + ": " + expression->error());
  }
  return expression;
}

// A group's number or name; nullopt where the expression has none such. (Go expands that to
// nothing; here it is told, for it is a mistake.)
std::optional<int> group_of(std::string_view name, const re2::RE2& expression) {
  const bool number =
      !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
  if (number) {
    constexpr std::size_t kMaxDigits = 4;
    const int group = name.size() > kMaxDigits ? -1 : std::stoi(std::string(name));
    if (group < 0 || group > expression.NumberOfCapturingGroups()) return std::nullopt;
    return group;
  }
  const auto& named = expression.NamedCapturingGroups();
  const auto found = named.find(std::string(name));
  return found == named.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<Piece>> parse_template(std::string_view text, const re2::RE2& expression) {
  std::vector<Piece> out;
  const auto literal = [&](std::string_view more) {
    if (out.empty() || out.back().group >= 0) out.emplace_back();
    out.back().literal += more;
  };
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    if (dollar > 0) literal(text.substr(0, dollar));
    text.remove_prefix(dollar);
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.starts_with('$')) {
      literal("$");
      text.remove_prefix(1);
      continue;
    }
    const bool braces = text.starts_with('{');
    if (braces) text.remove_prefix(1);
    const auto end = std::ranges::find_if_not(text, is_name_char);
    const std::string_view name = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(name.size());
    if (braces && !text.starts_with('}')) {
      return fail(ErrorKind::kInvalid, "extract: a ${ without its }");
    }
    if (braces) text.remove_prefix(1);
    const auto group = group_of(name, expression);
    if (!group) {
      return fail(ErrorKind::kInvalid,
                  "extract: the filter has no group " + brief_quote(name) + " ($$ is a dollar)");
    }
    out.push_back({.group = *group});
  }
  return out;
}

}  // namespace

struct TagFilter::Compiled {
  std::unique_ptr<const re2::RE2> filter;
  std::unique_ptr<const re2::RE2> exclude;
  std::vector<Piece> extract;
};

Result<TagFilter> TagFilter::make(std::string_view filter, std::string_view extract,
                                  std::string_view exclude) {
  auto compiled = std::make_shared<Compiled>();
  auto wanted = compile("filter", filter);
  if (!wanted) return fail(wanted.error());
  compiled->filter = std::move(*wanted);
  auto unwanted = compile("exclude", exclude);
  if (!unwanted) return fail(unwanted.error());
  compiled->exclude = std::move(*unwanted);
  if (!extract.empty()) {
    if (!compiled->filter) {
      return fail(ErrorKind::kInvalid, "extract: it takes its parts from a filter");
    }
    auto pieces = parse_template(extract, *compiled->filter);
    if (!pieces) return fail(pieces.error());
    compiled->extract = std::move(*pieces);
  }
  TagFilter out;
  out.compiled_ = std::move(compiled);
  return out;
}

std::optional<std::string> TagFilter::apply(std::string_view tag) const {
  const re2::StringPiece text(tag.data(), tag.size());
  if (compiled_->exclude && re2::RE2::PartialMatch(text, *compiled_->exclude)) return std::nullopt;
  if (!compiled_->filter) return std::string(tag);
  const int groups =
      compiled_->extract.empty() ? 1 : compiled_->filter->NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> matches(static_cast<std::size_t>(groups));
  if (!compiled_->filter->Match(text, 0, text.size(), re2::RE2::UNANCHORED, matches.data(),
                                groups)) {
    return std::nullopt;
  }
  if (compiled_->extract.empty()) return std::string(tag);
  std::string out;
  for (const Piece& piece : compiled_->extract) {
    if (piece.group < 0) {
      out += piece.literal;
    } else if (const auto& match = matches[static_cast<std::size_t>(piece.group)];
               match.data() != nullptr) {
      out.append(match.data(), match.size());
    }
  }
  return out;
}

}  // namespace tidemark::policy
