#include "kube/secrets.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

std::string text_at(const json& object, const json::json_pointer& pointer) {
  return object.contains(pointer) && object[pointer].is_string()
             ? object[pointer].get<std::string>()
             : std::string();
}

Result<json> get_object(Api& api, std::string_view path, Deadline deadline, std::stop_token stop) {
  const auto text = api.get(path, deadline, std::move(stop));
  if (!text) return fail(text.error());
  json object = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(ErrorKind::kInvalid, std::string(path) + ": no JSON object");
  return object;
}

}  // namespace

Result<Secret> get_secret(Api& api, std::string_view ns, std::string_view name, Deadline deadline,
                          std::stop_token stop) {
  const std::string path = resource_path("v1", "secrets", ns, name);
  const auto object = get_object(api, path, deadline, std::move(stop));
  if (!object) return fail(object.error());
  Secret secret{
      .ns = std::string(ns),
      .name = std::string(name),
      .type = text_at(*object, json::json_pointer("/type")),
      .resource_version = text_at(*object, json::json_pointer("/metadata/resourceVersion")),
      .data = {}};
  const auto data = object->find("data");
  if (data == object->end() || !data->is_object()) return secret;
  for (const auto& [key, value] : data->items()) {
    if (!value.is_string()) continue;
    auto bytes = base64_decode(value.get_ref<const std::string&>());
    if (!bytes) return fail(within(path + ": data." + key, bytes.error()));
    secret.data.emplace(key, *std::move(bytes));
  }
  return secret;
}

Result<ServiceAccount> get_service_account(Api& api, std::string_view ns, std::string_view name,
                                           Deadline deadline, std::stop_token stop) {
  const auto object =
      get_object(api, resource_path("v1", "serviceaccounts", ns, name), deadline, std::move(stop));
  if (!object) return fail(object.error());
  ServiceAccount account;
  const auto references = object->find("imagePullSecrets");
  if (references == object->end() || !references->is_array()) return account;
  for (const json& reference : *references) {
    std::string secret = text_at(reference, json::json_pointer("/name"));
    if (!secret.empty()) account.image_pull_secrets.push_back(std::move(secret));
  }
  return account;
}

}  // namespace tidemark::kube
