// Words of what people write and read: annotations, settings, expressions, messages.
//
// Thread-safety: pure functions. Ownership: views into the caller's text.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace tidemark {

// Without the blanks around it.
std::string_view trimmed(std::string_view text);
// Cuts the first word off `text`; "" where there is none.
std::string_view take_word(std::string_view& text);
// As much of it as a message needs to be recognised by, as json_quote() writes it. (Under the name
// `quoted` a std::string would find the standard library's.)
std::string brief_quote(std::string_view text);
// A to Z become a to z, whatever the locale; all other bytes stay.
constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string ascii_lower(std::string_view text);
// All of them, one behind the other, in a string that is allocated once.
std::string concat(std::initializer_list<std::string_view> parts);
// "a", then "a; b": `separator` between the parts, none before the first.
void append_part(std::string& text, std::string_view separator, std::string_view part);
// At most so many bytes of it, and no part of a UTF-8 character at the end.
std::string cut(std::string_view text, std::size_t max_bytes);

}  // namespace tidemark
