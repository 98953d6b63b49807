#include "workload/json_patch.h"

#include <cstddef>

#include "base/log.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

std::string as_json(const StringMap& map) {
  std::string out = "{";
  for (const auto& [key, value] : map) {
    if (out.size() > 1) out.push_back(',');
    out.append(json_quote(key)).append(":").append(json_quote(value));
  }
  out.push_back('}');
  return out;
}

}  // namespace

void JsonPatch::add(std::string_view pointer, std::string_view json_value) {
  append("add", pointer, json_value);
}

void JsonPatch::replace(std::string_view pointer, std::string_view json_value) {
  append("replace", pointer, json_value);
}

void JsonPatch::remove(std::string_view pointer) { append("remove", pointer, {}); }

void JsonPatch::test(std::string_view pointer, std::string_view json_value) {
  append("test", pointer, json_value);
}

void JsonPatch::change_map(std::string_view pointer, bool parent_exists, bool map_exists,
                           const StringMap& current, const StringMap& wanted) {
  if (!parent_exists || !map_exists) {
    if (wanted.empty()) return;
    if (parent_exists) return add(pointer, as_json(wanted));
    const std::size_t slash = pointer.rfind('/');
    const std::string name = unescape_pointer_token(pointer.substr(slash + 1));
    return add(pointer.substr(0, slash), "{" + json_quote(name) + ":" + as_json(wanted) + "}");
  }
  const auto member = [&](std::string_view key) {
    return std::string(pointer) + "/" + escape_pointer_token(key);
  };
  for (const auto& [key, value] : current) {
    if (!wanted.contains(key)) remove(member(key));
  }
  for (const auto& [key, value] : wanted) {
    const auto before = current.find(key);
    if (before == current.end()) {
      add(member(key), json_quote(value));
    } else if (before->second != value) {
      replace(member(key), json_quote(value));
    }
  }
}

std::string JsonPatch::str() const { return "[" + operations_ + "]"; }

void JsonPatch::append(std::string_view op, std::string_view pointer, std::string_view json_value) {
  if (!operations_.empty()) operations_.push_back(',');
  operations_.append(R"({"op":")").append(op).append(R"(","path":)").append(json_quote(pointer));
  if (!json_value.empty()) operations_.append(R"(,"value":)").append(json_value);
  operations_.push_back('}');
}

}  // namespace tidemark::workload
