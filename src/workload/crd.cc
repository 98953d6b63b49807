#include "workload/crd.h"

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

using nlohmann::json;

// Stands for any annotation of ours: no schema names it, so it is kept as additionalProperties are.
constexpr const char* kAnyKey = "digest.tidemark.dev/app";

const json* member(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

bool is_true(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

// Whether the text at `path` below an object of this schema survives: the walk of prune() and
// skipPrune() along one path. A preserved level keeps what it does not name; what it does name is
// pruned by its own schema again.
bool keeps(const json& schema, std::span<const std::string> path) {
  if (path.empty()) return true;
  const std::string& name = path.front();
  if (is_true(schema, "x-kubernetes-embedded-resource") && name == "metadata") return true;
  if (const json* properties = member(schema, "properties")) {
    if (const json* property = member(*properties, name.c_str())) {
      return keeps(*property, path.subspan(1));
    }
  }
  if (const json* additional = member(schema, "additionalProperties")) {
    // `true` has no schema: a plain value stays, the inside of an object does not.
    return additional->is_object() ? keeps(*additional, path.subspan(1)) : path.size() == 1;
  }
  return is_true(schema, "x-kubernetes-preserve-unknown-fields");
}

}  // namespace

Result<bool> template_metadata_pruned(std::string_view crd_json, const Kind& kind) {
  const json crd = json::parse(crd_json, nullptr, /*allow_exceptions=*/false);
  const json* spec = member(crd, "spec");
  const json* versions = spec == nullptr ? nullptr : member(*spec, "versions");
  if (versions == nullptr || !versions->is_array()) {
    return fail(ErrorKind::kInvalid, "no CustomResourceDefinition with versions");
  }
  // Of a definition that was made as v1beta1 and keeps everything.
  const bool keeps_everything = is_true(*spec, "preserveUnknownFields");
  std::vector<std::string> path = split_pointer(kind.template_pointer);
  path.insert(path.end(), {"metadata", "annotations", kAnyKey});
  bool found = false;
  bool pruned = false;
  for (const json& version : *versions) {
    const json* name = member(version, "name");
    const bool wanted = name != nullptr && *name == kind.version;
    found |= wanted;
    if (!wanted && !is_true(version, "storage")) continue;
    const json* schema = member(version, "schema");
    const json* root = schema == nullptr ? nullptr : member(*schema, "openAPIV3Schema");
    pruned |= !keeps_everything && !keeps(root == nullptr ? json::object() : *root, path);
  }
  if (!found) {
    return fail(ErrorKind::kInvalid, "the definition has no version " + kind.version);
  }
  return pruned;
}

}  // namespace tidemark::workload
