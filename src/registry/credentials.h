// Credentials for registries, as the kubelet finds them in pull secrets.
//
// Purpose: .dockerconfigjson and .dockercfg to an ordered list of credentials for one reference.
// Longest host/path prefix wins; several for one host are tried in order. As with the kubelet a
// path is a plain prefix ("/team" matches "/teams/app" too), "/v1/" and "/v2/" count as no path,
// and Docker Hub's images fall back to "index.docker.io" where no other entry matches.
// Thread-safety: values. Ownership: secrets are held only as long as the Keyring lives; nothing
// here is ever logged. Errors: kInvalid, without any byte of the secret.
// Source: Kubernetes pkg/credentialprovider (keyring.go: matching, isDefaultRegistryMatch), docker
// cli config file format (auth, username/password, identitytoken, registrytoken).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/reference.h"

namespace tidemark::registry {

struct Credential {
  std::string username{};
  std::string password{};
  std::string identity_token{};  // an OAuth2 refresh token
  std::string registry_token{};  // a bearer token sent as it is
  std::string source{};          // for people: "secret team-a/pull"; never part of the identity
  // Of a cloud's login, whose tokens change by the hour: what it is for, which then is the
  // identity in their place. Nothing that a user writes sets it.
  std::string login{};

  bool anonymous() const {
    return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
  // SHA-256 (hex) over the secret parts: equal credentials share cache entries, others never do.
  // "anonymous" for none, "login ..." for a cloud's login.
  std::string identity() const;
};

// Equal for equal lists, tried in the same order, and reveals none.
std::string identity_of(const std::vector<Credential>& credentials);

class Keyring {
 public:
  // The bytes of Secret.data[".dockerconfigjson"] or [".dockercfg"], base64 already decoded.
  // `source` names the secret for people. Entries that cannot be read are skipped and named in
  // `skipped` (host only).
  static Result<Keyring> parse_docker_config_json(std::string_view json, std::string_view source,
                                                  std::vector<std::string>* skipped = nullptr);
  static Result<Keyring> parse_docker_cfg(std::string_view json, std::string_view source,
                                          std::vector<std::string>* skipped = nullptr);

  // Adds `other`'s entries after ours (pod's pull secrets first, then the service account's, ...).
  void append(const Keyring& other);
  // In the order in which they are to be tried, each once; empty means anonymous.
  std::vector<Credential> lookup(const image::Reference& reference) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::string host;  // may hold a * per label, as the kubelet allows
    std::string path;  // "" or "/team"
    Credential credential;
  };
  static Result<Keyring> parse(std::string_view json, std::string_view source,
                               const std::string& member, std::vector<std::string>* skipped);
  std::vector<Entry> entries_;
};

}  // namespace tidemark::registry
