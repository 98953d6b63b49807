// Words of what people write: annotations, settings, expressions.
//
// Thread-safety: pure functions. Ownership: views into the caller's text.
#pragma once

#include <algorithm>
#include <string_view>

namespace tidemark {

inline constexpr std::string_view kBlanks = " \t\n";

inline std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Cuts the first word off `text`; "" where there is none.
inline std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

}  // namespace tidemark
