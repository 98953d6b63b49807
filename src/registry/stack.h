// make_resolver: the whole registry side of a program, put together once.
//
// Purpose: programs wire one object. Inside, from the outside in: LoginCredentials and
// OwnCredentials, where there are any -> CachingResolver (TTL, single
// flight, negative entries, stale-if-error; key = reference + credential identity) -> HeadResolver
// (challenges, token cache, HEAD, GET fallback) -> one net::HttpClient per trust domain.
// Thread-safety: see resolver.h. Ownership: the caller keeps `metrics` and `clock` alive, and
// `logins`, which is needed where a registry's options name a login and may be nullptr elsewhere.
// Errors: kInvalid where a registry's options cannot work (a CA that does not parse, a bad CIDR, a
// login without `logins`),
// kNotFound where Tidemark's own docker config file is not there.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "registry/login.h"
#include "registry/options.h"
#include "registry/resolver.h"

namespace tidemark::registry {

Result<std::unique_ptr<Resolver>> make_resolver(const ResolverOptions& options, const Clock& clock,
                                                Metrics& metrics, Logger log,
                                                LoginSource* logins = nullptr);

}  // namespace tidemark::registry
