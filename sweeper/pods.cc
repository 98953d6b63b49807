#include "sweeper/pods.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {
namespace {

using nlohmann::json;

const json& member(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string requirement(const json& expression) {
  std::string key = text_of(member(expression, "key"));
  const std::string op = text_of(member(expression, "operator"));
  if (op == "Exists") return key;
  if (op == "DoesNotExist") return "!" + key;
  std::string values;
  for (const json& value : member(expression, "values")) append_part(values, ",", text_of(value));
  return key + (op == "In" ? " in (" : " notin (") + values + ")";
}

}  // namespace

std::string label_selector_of(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const json& selector = member(member(object, "spec"), "selector");
  std::string out;
  if (const json& labels = member(selector, "matchLabels"); labels.is_object()) {
    for (const auto& [key, value] : labels.items()) {
      append_part(out, ",", key + "=" + text_of(value));
    }
  }
  if (const json& expressions = member(selector, "matchExpressions"); expressions.is_array()) {
    for (const json& expression : expressions) append_part(out, ",", requirement(expression));
  }
  return out;
}

Result<std::vector<workload::Pod>> pods_of(kube::Api& api, const workload::Kind& kind,
                                           const std::string& ns, const std::string& name,
                                           Deadline deadline, const std::stop_token& stop) {
  std::vector<workload::Pod> pods;
  const auto object = api.get(object_path(kind, ns, name), deadline, stop);
  if (!object) return fail(object.error());
  const std::string selector = label_selector_of(*object);
  if (selector.empty()) return pods;
  const auto take = [&](std::string_view text) -> Status {
    auto pod = workload::parse_pod(text);
    if (!pod || workload::workload_of(*pod) != std::pair(kind.kind, name)) return {};
    pods.push_back(std::move(*pod));
    return {};
  };
  const auto listed =
      api.list(kube::resource_path("v1", "pods", ns),
               {.label_selector = selector, .field_selector = {}}, take, deadline, stop);
  if (!listed) return fail(within("listing its pods", listed.error()));
  return pods;
}

}  // namespace tidemark::sweeper
