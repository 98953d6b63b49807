// read_pull_secret: a Secret's bytes to credentials, as the kubelet reads it.
//
// Purpose: the one place that knows which Secrets are pull secrets. It takes plain values, for
// registry/ and kube/ never meet: a program passes the bytes from one to the other.
// Thread-safety: a pure function. Errors: kInvalid, beginning with `source` and without any byte of
// the secret. Source: Kubernetes pkg/credentialprovider/secrets (type and key must both fit, other
// Secrets are left out), core/v1 types.go (SecretTypeDockerConfigJson, SecretTypeDockercfg).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "registry/credentials.h"

namespace tidemark::registry {

// `type` and `data` (base64 decoded) of the Secret; `source` names it for people: "secret a/b".
Result<Keyring> read_pull_secret(std::string_view type,
                                 const std::map<std::string, std::string>& data,
                                 std::string_view source);

// What a Secret that `registries:` names holds: entries by host, or one credential for the registry
// that named it.
struct RegistrySecret {
  Keyring keyring;
  std::optional<Credential> credential;
};
// Of any type: docker's two as above; else .dockerconfigjson, or username and password, or username
// and token (in the password's place), or token alone (a bearer token, sent as it is). White space
// around values is left out, as `kubectl create secret --from-file` brings it. Errors:
// read_pull_secret's.
Result<RegistrySecret> read_registry_secret(std::string_view type,
                                            const std::map<std::string, std::string>& data,
                                            std::string_view source);

}  // namespace tidemark::registry
