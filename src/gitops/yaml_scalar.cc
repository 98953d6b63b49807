#include "gitops/yaml_scalar.h"

#include <yaml.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace tidemark::gitops {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kAlphanumerics =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

void skip(std::string_view& text, std::string_view set) {
  text.remove_prefix(std::min(text.find_first_not_of(set), text.size()));
}

// An integer of any base, a float, or a time in base 60 ("12:30:45"). It begins with a digit.
bool is_number(std::string_view text) {
  std::string bare(text);
  std::erase(bare, '_');
  std::string_view rest = bare;
  if (rest.size() >= 2 && rest[0] == '0' && is_one_of(rest[1], "xXoObB") &&
      rest.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos) {
    return true;
  }
  skip(rest, "0123456789:");
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    skip(rest, kDigits);
  }
  if (rest.size() > 1 && is_one_of(rest[0], "eE")) {
    rest.remove_prefix(is_one_of(rest[1], "+-") ? 2 : 1);
    skip(rest, kDigits);
  }
  return rest.empty();
}

// "2024-01-02", "2024-1-2T3:04:05Z".
bool is_date(std::string_view text) {
  const std::size_t time = std::min(text.find_first_of("Tt"), text.size());
  if (time < text.size() && text.find(':', time) == std::string_view::npos) return false;
  std::string shape(text.substr(0, time));
  std::ranges::replace_if(
      shape, [](char c) { return is_one_of(c, kDigits); }, '0');
  return shape == "0000-00-00" || shape == "0000-0-00" || shape == "0000-00-0" ||
         shape == "0000-0-0";
}

bool is_word(std::string_view text) {
  constexpr auto kWords = std::to_array<std::string_view>(
      {"y", "n", "yes", "no", "on", "off", "true", "false", "null"});
  return std::ranges::find(kWords, ascii_lower(text)) != kWords.end();
}

bool is_plain_string(std::string_view text) {
  if (!is_one_of(text.front(), kAlphanumerics) || text.ends_with(':') || is_word(text)) {
    return false;
  }
  return !is_one_of(text.front(), kDigits) || (!is_number(text) && !is_date(text));
}

}  // namespace

bool needs_no_escapes(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_one_of(c, kAlphanumerics) || is_one_of(c, "_.:/@+-");
  });
}

std::string yaml_scalar(std::string_view text, int style) {
  const std::string bare(text);
  if (style == YAML_SINGLE_QUOTED_SCALAR_STYLE) return "'" + bare + "'";
  return style == YAML_PLAIN_SCALAR_STYLE && is_plain_string(text) ? bare : "\"" + bare + "\"";
}

}  // namespace tidemark::gitops
