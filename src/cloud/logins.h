// make_logins: the clouds' logins that a configuration names, put together once.
//
// Purpose: programs wire one registry::LoginSource. Two clients of its own, beside those for
// registries: one for the machine's own services, without a proxy; one for the clouds' APIs, under
// the same address policy as registries are, and through the proxy of the environment. Neither
// follows a redirect.
// Thread-safety: all methods from any thread. Ownership: `clock` outlives it.
// Errors: kInvalid for a login that does not fit its host, and for variables of the environment
// that cannot work (each named).
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cloud/step.h"
#include "net/http.h"
#include "registry/login.h"
#include "registry/options.h"

namespace tidemark::cloud {

struct Clients {
  std::shared_ptr<net::HttpClient> metadata;
  std::shared_ptr<net::HttpClient> api;
};

// nullptr where no registry names a login.
Result<std::unique_ptr<registry::LoginSource>> make_logins(const registry::ResolverOptions& options,
                                                           const Environment& environment,
                                                           const Clock& clock, const Logger& log);
// The same over clients of the caller's.
Result<std::unique_ptr<registry::LoginSource>> make_logins(const registry::ResolverOptions& options,
                                                           const Environment& environment,
                                                           Clients clients, const Clock& clock,
                                                           const Logger& log);

}  // namespace tidemark::cloud
