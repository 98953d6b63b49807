// Endpoints: where a registry is asked, and with which client.
//
// Purpose: the one place that knows `registries:` of the configuration. One net::HttpClient is one
// trust domain: a configured registry with roots of its own (or none at all) has its own client,
// all others share one. Trust belongs to the host that it was configured for: a token server or a
// redirect's target elsewhere is asked with the client of its own entry, or the shared one.
// Thread-safety: immutable after construction. Ownership: owns its clients.
// Errors: kInvalid where an option cannot work.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/client.h"
#include "net/http.h"
#include "registry/options.h"

namespace tidemark::registry {

struct Endpoint {
  net::Url base;            // target without a slash at its end: "" or "/prefix"
  bool plain_http = false;  // a token server may be asked over http:// too
  std::size_t max_concurrency = 8;
};

class Endpoints {
 public:
  // Tests give clients of their own.
  using MakeClient =
      std::function<Result<std::shared_ptr<net::HttpClient>>(const net::ClientOptions&)>;
  static Result<Endpoints> make(const ResolverOptions& options, const MakeClient& make_client);

  // Of a reference's registry ("docker.io"). kInvalid where it cannot be an URL (port 99999).
  Result<Endpoint> find(std::string_view registry) const;
  net::HttpClient& client_for(const net::Url& url) const;
  // The login that the registry's entry names.
  Login login_of(std::string_view registry) const;

 private:
  struct Configured {
    RegistryOptions options;
    std::string endpoint_host;                // host:port of `endpoint`, "" for none
    std::shared_ptr<net::HttpClient> client;  // nullptr: the shared one
  };
  Endpoints() = default;
  const Configured* match(std::string_view host) const;

  std::vector<Configured> configured_;  // the most specific first
  std::shared_ptr<net::HttpClient> shared_;
};

}  // namespace tidemark::registry
