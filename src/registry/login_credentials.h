// LoginCredentials: what a cloud gives Tidemark itself, behind what a query brings along.
//
// Purpose: for registries whose entry names a login, its credential is tried after the pod's own
// and before the administrator's docker config file, for everybody's images. The outermost resolver
// of a stack, so that the caches behind it keep answers apart by it.
// A login that fails stops nobody: the query goes on with what it has, and where that is refused
// the error tells of the login too. It may take half of the caller's time, so that the registry
// still has the other half.
// Thread-safety: all of it from many threads. Ownership: refers to what it is made of, which
// outlives it. Errors: those of the resolver behind it; where the login failed and may work later,
// its kind.
#pragma once

#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "base/result.h"
#include "registry/endpoints.h"
#include "registry/login.h"
#include "registry/resolver.h"

namespace tidemark::registry {

class LoginCredentials final : public Resolver {
 public:
  LoginCredentials(const Endpoints& endpoints, LoginSource& logins, Resolver& next)
      : endpoints_(endpoints), logins_(logins), next_(next) {}

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override;
  std::optional<Result<Resolution>> known(const Query& query) override;

 private:
  const Endpoints& endpoints_;
  LoginSource& logins_;
  Resolver& next_;
};

}  // namespace tidemark::registry
