// Endpoints: where a registry is asked, how, and with which client.
//
// Purpose: the one place that knows `registries:` of the configuration. One net::HttpClient is one
// trust domain: a configured registry with roots, a client certificate, a proxy or a connect
// timeout of its own has its own client, all others share one. Trust belongs to the host that it
// was configured for: a token server or a redirect's target elsewhere is asked with the client of
// its own entry, or the shared one.
// use() replaces the whole at once: who has asked before it keeps what it was given. An entry
// that stays as it was keeps its client (and its connections) and its name; an entry that changed
// gets a new name (Endpoint::name), so that nothing learnt under the old one counts any more.
// Thread-safety: all methods from any thread; one reload at a time. Ownership: clients belong to
// it and to who was given them. Errors: kInvalid where an option cannot work; nothing changes then.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
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
  std::string
      name{};  // what is learnt is kept under it: of the registry and its entry as it is now
  std::chrono::milliseconds timeout{5000};  // of one request
  std::chrono::microseconds spacing{0};     // between two requests
  std::vector<PathRewrite> rewrite{};

  // What the registry calls this repository.
  std::string repository(std::string_view name_in_reference) const;
};

class Endpoints {
 public:
  // Tests give clients of their own.
  using MakeClient =
      std::function<Result<std::shared_ptr<net::HttpClient>>(const net::ClientOptions&)>;
  static Result<Endpoints> make(const ResolverOptions& options, MakeClient make_client);
  // prepare() makes what reload needs, and may fail; use() does it, and cannot.
  struct Snapshot;
  Result<std::shared_ptr<const Snapshot>> prepare(const ResolverOptions& options) const;
  void use(std::shared_ptr<const Snapshot> prepared);

  // Of a reference's registry ("docker.io"). kInvalid where it cannot be an URL (port 99999).
  Result<Endpoint> find(std::string_view registry) const;
  std::shared_ptr<net::HttpClient> client_for(const net::Url& url) const;
  // The registry's entry, or the defaults where none matches; never nullptr.
  std::shared_ptr<const RegistryOptions> options_of(std::string_view registry) const;
  // Endpoint::name, also of what cannot be asked.
  void append_name(std::string_view registry, std::string& out) const;

 private:
  struct Configured {
    RegistryOptions options;
    std::string endpoint_host;                // host:port of `endpoint`, "" for none
    std::shared_ptr<net::HttpClient> client;  // nullptr: the shared one
    std::uint64_t revision = 0;               // the reload that changed it
  };
  struct Current;
  explicit Endpoints(MakeClient make_client);
  std::shared_ptr<const Snapshot> snapshot() const;
  Result<std::shared_ptr<const Snapshot>> build(const ResolverOptions& options,
                                                const Snapshot* old) const;

  MakeClient make_client_;
  std::shared_ptr<Current> current_;
};

}  // namespace tidemark::registry
