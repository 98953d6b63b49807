#include "workload/json_patch.h"

#include <cstddef>
#include <utility>

#include "base/json_text.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

// A patch of three slots' stamps with their history, and room for a string's next piece.
constexpr std::size_t kUsualBytes = 3072;
constexpr std::string_view kValue = R"(,"value":)";
constexpr std::string_view kEnd = "}]";  // of an operation, and of the patch as far as it goes

void append_map(std::string& out, const StringMap& map) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : map) {
    if (!std::exchange(first, false)) out.push_back(',');
    append_json_quoted(out, key);
    out.push_back(':');
    append_json_quoted(out, value);
  }
  out.push_back('}');
}

}  // namespace

void JsonPatch::add(std::string_view pointer, std::string_view json_value) {
  begin("add", pointer).append(kValue).append(json_value).append(kEnd);
}

void JsonPatch::replace(std::string_view pointer, std::string_view json_value) {
  begin("replace", pointer).append(kValue).append(json_value).append(kEnd);
}

void JsonPatch::remove(std::string_view pointer) { begin("remove", pointer).append(kEnd); }

void JsonPatch::test(std::string_view pointer, std::string_view json_value) {
  begin("test", pointer).append(kValue).append(json_value).append(kEnd);
}

void JsonPatch::change_map(std::string_view pointer, bool parent_exists, bool map_exists,
                           const StringMap& current, const StringMap& wanted) {
  if (!parent_exists || !map_exists) return add_map(pointer, parent_exists, wanted);
  const auto member = [&](std::string_view key) {
    return std::string(pointer) + "/" + escape_pointer_token(key);
  };
  const auto write = [&](std::string_view op, std::string_view key, std::string_view value) {
    append_json_quoted(begin(op, member(key)).append(kValue), value);
    text_.append(kEnd);
  };
  for (const auto& [key, value] : current) {
    if (!wanted.contains(key)) remove(member(key));
  }
  for (const auto& [key, value] : wanted) {
    const auto before = current.find(key);
    if (before == current.end()) {
      write("add", key, value);
    } else if (before->second != value) {
      write("replace", key, value);
    }
  }
}

void JsonPatch::add_map(std::string_view pointer, bool parent_exists, const StringMap& map) {
  if (map.empty()) return;
  const std::size_t slash = pointer.rfind('/');
  begin("add", parent_exists ? pointer : pointer.substr(0, slash)).append(kValue);
  if (!parent_exists) {
    text_.push_back('{');
    append_json_quoted(text_, unescape_pointer_token(pointer.substr(slash + 1)));
    text_.push_back(':');
  }
  append_map(text_, map);
  if (!parent_exists) text_.push_back('}');
  text_.append(kEnd);
}

std::string& JsonPatch::begin(std::string_view op, std::string_view pointer) {
  if (empty()) {
    text_.reserve(kUsualBytes);
    text_ = "[";
  } else {
    text_.back() = ',';  // in the place of the end
  }
  text_.append(R"({"op":")").append(op).append(R"(","path":)");
  append_json_quoted(text_, pointer);
  return text_;
}

}  // namespace tidemark::workload
