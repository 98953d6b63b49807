// What a configuration says of registries: plain values, filled in by config/.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "net/address_policy.h"
#include "registry/login.h"

namespace tidemark::registry {

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
};

struct ResolverOptions {
  std::vector<RegistryOptions> registries;
  net::AddressPolicy::Options addresses;
  std::string user_agent;
  std::string docker_config_file;  // Tidemark's own credentials (own_credentials.h), "" for none
  std::chrono::milliseconds attempt_timeout{5000};    // one request, within the caller's deadline
  std::chrono::milliseconds cache_ttl{30'000};        // a good answer
  std::chrono::milliseconds negative_ttl{5'000};      // not found, unauthorized, forbidden
  std::chrono::milliseconds stale_if_error{600'000};  // how long an old answer may stand in
  std::size_t cache_entries = 10'000;
};

}  // namespace tidemark::registry
