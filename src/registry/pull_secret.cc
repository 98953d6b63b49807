#include "registry/pull_secret.h"

#include <utility>

#include "base/text.h"

namespace tidemark::registry {

Result<Keyring> read_pull_secret(std::string_view type,
                                 const std::map<std::string, std::string>& data,
                                 std::string_view source) {
  const auto read = [&](const char* key, const auto& parse) -> Result<Keyring> {
    const auto found = data.find(key);
    if (found == data.end() || found->second.empty()) {
      return fail(ErrorKind::kInvalid, std::string(source) + ": there is no " + key + " in it");
    }
    return parse(found->second, source, nullptr);
  };
  if (type == "kubernetes.io/dockerconfigjson") {
    return read(".dockerconfigjson", &Keyring::parse_docker_config_json);
  }
  if (type == "kubernetes.io/dockercfg") return read(".dockercfg", &Keyring::parse_docker_cfg);
  return fail(ErrorKind::kInvalid,
              std::string(source) +
                  ": not of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg");
}

Result<RegistrySecret> read_registry_secret(std::string_view type,
                                            const std::map<std::string, std::string>& data,
                                            std::string_view source) {
  const auto value = [&](const char* key) {
    const auto found = data.find(key);
    return found == data.end() ? std::string() : std::string(trimmed(found->second));
  };
  const bool docker = type == "kubernetes.io/dockercfg" || data.contains(".dockerconfigjson");
  if (docker || type == "kubernetes.io/dockerconfigjson") {
    auto keyring = read_pull_secret(
        type == "kubernetes.io/dockercfg" ? type : "kubernetes.io/dockerconfigjson", data, source);
    if (!keyring) return fail(keyring.error());
    return RegistrySecret{.keyring = std::move(*keyring), .credential = std::nullopt};
  }
  Credential credential{.username = value("username"), .source = std::string(source)};
  const std::string token = value("token");
  if (credential.username.empty()) {
    credential.registry_token = token;
  } else {
    credential.password = token.empty() ? value("password") : token;
  }
  if (credential.registry_token.empty() && credential.password.empty()) {
    return fail(ErrorKind::kInvalid, std::string(source) +
                                         ": holds neither .dockerconfigjson, nor username and "
                                         "password, nor token");
  }
  return RegistrySecret{.keyring = {}, .credential = std::move(credential)};
}

}  // namespace tidemark::registry
