#include "workload/pointer.h"

#include <algorithm>
#include <cstddef>

namespace tidemark::workload {

void append_pointer_token(std::string& out, std::string_view token) {
  std::size_t written = 0;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~' && token[i] != '/') continue;
    out.append(token, written, i - written).append(token[i] == '~' ? "~0" : "~1");
    written = i + 1;
  }
  out.append(token, written);
}

std::string escape_pointer_token(std::string_view token) {
  std::string out;
  append_pointer_token(out, token);
  return out;
}

std::string unescape_pointer_token(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escaped = token[i] == '~' && i + 1 < token.size();
    if (escaped && (token[i + 1] == '0' || token[i + 1] == '1')) {
      out.push_back(token[++i] == '0' ? '~' : '/');
    } else {
      out.push_back(token[i]);
    }
  }
  return out;
}

std::vector<std::string> split_pointer(std::string_view pointer) {
  std::vector<std::string> tokens;
  tokens.reserve(static_cast<std::size_t>(std::ranges::count(pointer, '/')));
  while (pointer.starts_with('/')) {
    pointer.remove_prefix(1);
    const std::size_t end = pointer.find('/');
    tokens.push_back(unescape_pointer_token(pointer.substr(0, end)));
    if (end == std::string_view::npos) break;
    pointer.remove_prefix(end);
  }
  return tokens;
}

}  // namespace tidemark::workload
