// JSON pointers (RFC 6901).
//
// Purpose: escaping and splitting in one place, for patches and for template pointers.
// Thread-safety: pure functions. Errors: none; every text has a reading.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::workload {

// "~" and "/" inside a token become "~0" and "~1", and back.
std::string escape_pointer_token(std::string_view token);
void append_pointer_token(std::string& out, std::string_view token);
std::string unescape_pointer_token(std::string_view token);
// "/spec/template" -> {"spec", "template"}, unescaped; "" -> {}.
std::vector<std::string> split_pointer(std::string_view pointer);

}  // namespace tidemark::workload
