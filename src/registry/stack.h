// make_resolver: the whole registry side of a program, put together once.
//
// Purpose: programs wire one object. Inside, from the outside in: Mirrors -> LoginCredentials ->
// OwnCredentials -> CachingResolver (TTL, single flight, negative entries, stale-if-error; key =
// reference + credential identity) -> HeadResolver (challenges, token cache, HEAD, GET fallback) ->
// one net::HttpClient per trust domain.
// Thread-safety: see resolver.h; one reload() at a time. Ownership: the caller keeps `metrics` and
// `clock` alive, and what `read_secret` uses; shares `logins`.
// Errors: kInvalid where a registry's options cannot work (a CA that does not parse, a bad CIDR, a
// login without `logins`, a Secret without `read_secret`), kNotFound where a docker config file of
// Tidemark's own is not there.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "registry/login.h"
#include "registry/options.h"
#include "registry/own_credentials.h"
#include "registry/resolver.h"

namespace tidemark::registry {

class ReloadableResolver : public Resolver {
 public:
  // From now on registries are asked as `options` says; questions under way end as they began.
  // What was learnt of registries whose entry stays as it was is kept: answers, tokens,
  // connections, open breakers. The cache's own settings stay those of the start. An error changes
  // nothing.
  virtual Status reload(const ResolverOptions& options, std::shared_ptr<LoginSource> logins) = 0;
};

// What make_resolver() would complain of in `options` alone: without credentials, asking nobody.
Status check_options(const ResolverOptions& options);

Result<std::unique_ptr<ReloadableResolver>> make_resolver(
    const ResolverOptions& options, const Clock& clock, Metrics& metrics, const Logger& log,
    std::shared_ptr<LoginSource> logins = nullptr, ReadSecret read_secret = {});

}  // namespace tidemark::registry
