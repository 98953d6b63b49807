// What a configuration says of registries: plain values, filled in by config/.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "net/address_policy.h"
#include "registry/login.h"

namespace tidemark::registry {

// Where a repository's name begins with the path `from` ("" is the beginning of every name), the
// registry is asked for `to` in its place. Of several the longest `from` counts.
struct PathRewrite {
  std::string from{};
  std::string to{};
  friend bool operator==(const PathRewrite&, const PathRewrite&) = default;
};

// Whose word counts where a registry has mirrors: the first mirror's that answers (what nodes pull
// that are configured so), or the registry's own alone.
enum class MirrorPolicy { kMirror, kOrigin };

// "mirror", "origin".
Result<MirrorPolicy> parse_mirror_policy(std::string_view text);

// One entry of `registries:`; the most specific host pattern that matches a reference's registry
// decides, a registry that no entry matches gets the defaults of this struct.
struct RegistryOptions {
  std::string host{};       // "docker.io", "registry.local:5000", "*.example.com"
  bool plain_http = false;  // http:// instead of https://
  bool insecure_skip_verify = false;
  std::string ca_pem{};             // additional roots for this registry
  std::string endpoint{};           // another base URL to ask, "" for https://<host>
  std::size_t max_concurrency = 8;  // requests under way at once
  Login login = Login::kNone;       // the cloud that gives Tidemark its credential for it
  std::string certificate_pem{};    // with key_pem: the client's certificate, "" for none
  std::string key_pem{};
  bool send_credentials = true;      // false: nobody's, neither the pod's nor Tidemark's own
  std::string docker_config_file{};  // Tidemark's own credentials for it, "" for none
  std::string secret{};              // the same in a Secret: "namespace/name"
  // Each request begins at least this long after the one before it; zero: at once.
  std::chrono::microseconds spacing{0};
  std::chrono::milliseconds timeout{5000};          // one request, within the caller's deadline
  std::chrono::milliseconds connect_timeout{3000};  // of that: lookup, connect and TLS
  std::string proxy{};  // "http://host:port", "none", or "" for the environment's
  std::vector<PathRewrite> rewrite{};
  // "mirror.example.com/prefix": the image is looked for at <mirror>/<repository>, as the
  // configuration says of the mirror's own host.
  std::vector<std::string> mirrors{};
  MirrorPolicy mirror_policy = MirrorPolicy::kMirror;

  friend bool operator==(const RegistryOptions&, const RegistryOptions&) = default;
};

struct ResolverOptions {
  std::vector<RegistryOptions> registries;
  net::AddressPolicy::Options addresses;
  std::string user_agent;
  std::string docker_config_file;  // Tidemark's own credentials (own_credentials.h), "" for none
  std::chrono::milliseconds cache_ttl{30'000};        // a good answer
  std::chrono::milliseconds negative_ttl{5'000};      // not found, unauthorized, forbidden
  std::chrono::milliseconds stale_if_error{600'000};  // how long an old answer may stand in
  std::size_t cache_entries = 10'000;
};

}  // namespace tidemark::registry
