// TokenCache: bearer tokens from a registry's token server.
//
// Purpose: one token request for all who need the same token, and none while one is good. The key
// is realm, service, scope and the identity of the credential, so nobody uses another's token. A
// user name and password go as Basic with a GET, an identity token as a refresh token with a POST,
// an anonymous one as a plain GET. A registry that is its own token server gets tokens asked for in
// its rate.
// Thread-safety: all methods from any thread. Errors: those of Exchange and Pacer; kUnauthorized
// and kForbidden where the token server refuses the credential; kInvalid for an answer without a
// token. Source: distribution's specifications "Token Authentication" and "OAuth2 Token
// Authentication".
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "registry/credentials.h"
#include "registry/exchange.h"
#include "registry/lru_map.h"
#include "registry/pacer.h"
#include "registry/single_flight.h"

namespace tidemark::registry {

struct TokenRequest {
  std::string registry;  // for metrics, and its timeout
  std::string endpoint;  // Endpoint::name: no token outlives the entry that it was asked for by
  net::Url realm;        // checked by the caller: it may see the credential
  std::string service;   // "" for none
  std::string scope;     // "repository:library/nginx:pull", or several with spaces between
  // From the registry's other requests, where it is its own token server; zero: at once.
  std::chrono::microseconds spacing{0};
};

struct Token {
  std::string value;
  bool fresh = false;  // fetched just now, so asking for another one would not help
};

// A token is a few KiB; a signed one of a large organisation with many scopes may be more.
inline constexpr std::size_t kMaxTokenResponseBytes = std::size_t{1024} * 1024;
// It must fit into a request head (16 KiB) beside everything else.
inline constexpr std::size_t kMaxTokenBytes = std::size_t{12} * 1024;
inline constexpr std::size_t kMaxCachedTokens = 4096;

class TokenCache {
 public:
  // `pacer`: of the registry's requests, by Endpoint::name.
  TokenCache(const Exchange& exchange, Pacer& pacer, const Clock& clock)
      : exchange_(exchange), pacer_(pacer), clock_(clock), tokens_(kMaxCachedTokens) {}

  // `rejected`: a token that the registry has just refused; it is not given again.
  Result<Token> get(const TokenRequest& request, const Credential& credential,
                    std::string_view rejected, Deadline deadline, const std::stop_token& stop);

 private:
  struct Cached {
    std::string value;
    SteadyTime good_until;
  };
  Result<Token> fetch(const TokenRequest& request, const Credential& credential,
                      const std::string& key, Deadline deadline, const std::stop_token& stop);

  const Exchange& exchange_;
  Pacer& pacer_;
  const Clock& clock_;
  std::mutex mutex_;
  LruMap<Cached> tokens_;
  SingleFlight<Token> flights_;
};

// "Basic ..." of a user name and password.
std::string basic_authorization(const Credential& credential);
// False for what could not stand in a header (a line break would start another one).
bool is_header_safe(std::string_view token);

}  // namespace tidemark::registry
