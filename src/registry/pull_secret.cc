#include "registry/pull_secret.h"

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

}  // namespace tidemark::registry
