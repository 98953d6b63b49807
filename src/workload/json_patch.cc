#include "workload/json_patch.h"

#include <cstddef>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

// A patch of two or three slots' stamps with their history.
constexpr std::size_t kUsualBytes = 2048;
constexpr std::string_view kValue = R"(,"value":)";

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
  begin("add", pointer).append(kValue).append(json_value).push_back('}');
}

void JsonPatch::replace(std::string_view pointer, std::string_view json_value) {
  begin("replace", pointer).append(kValue).append(json_value).push_back('}');
}

void JsonPatch::remove(std::string_view pointer) { begin("remove", pointer).push_back('}'); }

void JsonPatch::test(std::string_view pointer, std::string_view json_value) {
  begin("test", pointer).append(kValue).append(json_value).push_back('}');
}

void JsonPatch::change_map(std::string_view pointer, bool parent_exists, bool map_exists,
                           const StringMap& current, const StringMap& wanted) {
  if (!parent_exists || !map_exists) return add_map(pointer, parent_exists, wanted);
  const auto member = [&](std::string_view key) {
    return std::string(pointer) + "/" + escape_pointer_token(key);
  };
  const auto write = [&](std::string_view op, std::string_view key, std::string_view value) {
    append_json_quoted(begin(op, member(key)).append(kValue), value);
    operations_.push_back('}');
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
    operations_.push_back('{');
    append_json_quoted(operations_, unescape_pointer_token(pointer.substr(slash + 1)));
    operations_.push_back(':');
  }
  append_map(operations_, map);
  operations_.append(parent_exists ? "}" : "}}");
}

std::string JsonPatch::str() const { return concat({"[", operations_, "]"}); }

std::string& JsonPatch::begin(std::string_view op, std::string_view pointer) {
  if (operations_.empty()) {
    operations_.reserve(kUsualBytes);
  } else {
    operations_.push_back(',');
  }
  operations_.append(R"({"op":")").append(op).append(R"(","path":)");
  append_json_quoted(operations_, pointer);
  return operations_;
}

}  // namespace tidemark::workload
