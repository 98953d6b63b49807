// Authorizer: which Authorization header a request to a registry carries.
//
// Purpose: there is no ping of /v2/. The first request to a registry goes without a header; the 401
// names scheme, realm and service, and these are remembered for the registry, so that every later
// request sends its token straight away. Where a registry names another scope than the usual
// repository:<name>:pull (proxies that rename repositories do), that is remembered too.
// Rules of who may see a credential: it was looked up for the reference's registry, so it goes to
// that registry's origin and to the token server that this origin names, both over https unless the
// registry is configured as plain HTTP. A challenge from where a redirect led is never answered.
// Thread-safety: all methods from any thread.
// Errors: kUnauthorized where the credential does not fit or was refused; kForbidden for a realm
// that must not be asked; those of TokenCache.
// Source: distribution's token authentication specification, containerd's docker authorizer.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "image/reference.h"
#include "net/http.h"
#include "registry/credentials.h"
#include "registry/endpoints.h"
#include "registry/lru_map.h"
#include "registry/token.h"

namespace tidemark::registry {

struct Authorization {
  std::string header;  // "" for none
  bool final = false;  // made for this very request: after another 401 nothing else can be tried
};

// What one question is about; views, valid for the time of the call.
struct Question {
  const image::Reference& reference;
  const std::string& repository;  // as the registry calls it (Endpoint::repository)
  const Endpoint& endpoint;
  const Credential& credential;
  Deadline deadline;
  const std::stop_token& stop;
  bool with_platforms = false;
};

// Registries, and repositories with a scope of their own. Hosts are attacker-chosen.
inline constexpr std::size_t kMaxRememberedChallenges = 1024;

class Authorizer {
 public:
  explicit Authorizer(TokenCache& tokens) : tokens_(tokens), known_(kMaxRememberedChallenges) {}

  // Before the first request, from what was remembered.
  Result<Authorization> before(const Question& question);
  // After a 401 with these headers to a request that carried `sent`.
  Result<Authorization> after_refusal(const Question& question, const net::Headers& headers,
                                      const Authorization& sent);

 private:
  struct Known {
    bool bearer = false;  // else basic
    net::Url realm;
    std::string service;
    std::string scope;  // "" for the usual one
  };
  std::optional<Known> recall(const Question& question);
  void remember(const Question& question, const Known& known);
  void forget(const Question& question);
  Result<Authorization> authorize(const Question& question, const Known& known,
                                  std::string_view rejected);

  TokenCache& tokens_;
  std::mutex mutex_;
  LruMap<Known> known_;
};

}  // namespace tidemark::registry
