// LoginCredentials: what a cloud gives Tidemark itself, behind what a query brings along.
//
// Purpose: for registries whose entry names a login, its credential is tried after the pod's own
// and before the administrator's docker config file, for everybody's images. The outermost resolver
// of a stack, so that the caches behind it keep answers apart by it.
// A login that fails stops nobody: the query goes on with what it has, and where that is refused
// the error tells of the login too. It may take half of the caller's time, so that the registry
// still has the other half.
// Thread-safety: all of it from many threads. Ownership: refers to endpoints and the next resolver,
// which outlive it; shares the source, which replace() changes for who asks from then on. Errors:
// those of the resolver behind it; where the login failed and may work later, its kind.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "registry/endpoints.h"
#include "registry/login.h"
#include "registry/resolver.h"

namespace tidemark::registry {

class LoginCredentials final : public Resolver {
 public:
  // `logins` nullptr: no registry has a login.
  LoginCredentials(const Endpoints& endpoints, std::shared_ptr<LoginSource> logins, Resolver& next)
      : endpoints_(endpoints), next_(next), logins_(std::move(logins)) {}

  void replace(std::shared_ptr<LoginSource> logins);

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override;
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop) override;
  Result<Creation> created(const Query& query, Deadline deadline, std::stop_token stop) override;
  std::optional<Result<Resolution>> known(const Query& query) override;

 private:
  // `ask`: the question of the resolver behind, which the credentials are for.
  template <typename Ask>
  auto ask_with_credentials(const Query& query, Deadline deadline, const std::stop_token& stop,
                            Ask ask) -> std::invoke_result_t<Ask, const Query&>;
  // nullptr where the registry has no login.
  std::shared_ptr<LoginSource> source_of(Login login) const;

  const Endpoints& endpoints_;
  Resolver& next_;
  mutable std::mutex mutex_;
  std::shared_ptr<LoginSource> logins_;
};

}  // namespace tidemark::registry
