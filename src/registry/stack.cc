#include "registry/stack.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "net/client.h"
#include "registry/caching_resolver.h"
#include "registry/endpoints.h"
#include "registry/head_resolver.h"
#include "registry/login_credentials.h"
#include "registry/own_credentials.h"
#include "registry/registry_metrics.h"

namespace tidemark::registry {
namespace {

// The parts in the order in which they lean on each other.
class Stack final : public Resolver {
 public:
  Stack(const ResolverOptions& options, Endpoints endpoints, const Clock& clock, Metrics& metrics,
        Logger log)
      : endpoints_(std::move(endpoints)),
        metrics_(metrics),
        head_({.attempt_timeout = options.attempt_timeout,
               .breaker = {},
               .seed = std::random_device{}()},
              endpoints_, metrics_, clock, std::move(log)),
        caching_({.cache_ttl = options.cache_ttl,
                  .negative_ttl = options.negative_ttl,
                  .stale_if_error = options.stale_if_error,
                  .entries = options.cache_entries},
                 head_, clock, metrics_) {}

  Status add_own_credentials(const std::string& file, const Clock& clock, Logger log) {
    auto own = OwnCredentials::make(file, caching_, clock, std::move(log));
    if (!own) return fail(own.error());
    own_ = std::move(*own);
    outermost_ = own_.get();
    return {};
  }

  void add_logins(LoginSource& logins) {
    logins_ = std::make_unique<LoginCredentials>(endpoints_, logins, *outermost_);
    outermost_ = logins_.get();
  }

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override {
    return outermost_->resolve(query, deadline, std::move(stop));
  }
  std::optional<Result<Resolution>> known(const Query& query) override {
    return outermost_->known(query);
  }

 private:
  const Endpoints endpoints_;
  RegistryMetrics metrics_;
  HeadResolver head_;
  CachingResolver caching_;
  std::unique_ptr<OwnCredentials> own_;
  std::unique_ptr<LoginCredentials> logins_;
  Resolver* outermost_ = &caching_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> make_resolver(const ResolverOptions& options, const Clock& clock,
                                                Metrics& metrics, Logger log, LoginSource* logins) {
  if (options.cache_entries == 0) {
    return fail(ErrorKind::kInvalid, "cache_entries must be at least 1");
  }
  const bool wants_login = std::ranges::any_of(
      options.registries, [](const auto& registry) { return registry.login != Login::kNone; });
  if (wants_login && logins == nullptr) {
    return fail(ErrorKind::kInvalid, "a registry names a login, and there is none here");
  }
  auto endpoints = Endpoints::make(options, net::make_client);
  if (!endpoints) return fail(endpoints.error());
  auto stack = std::make_unique<Stack>(options, std::move(*endpoints), clock, metrics, log);
  if (!options.docker_config_file.empty()) {
    auto added = stack->add_own_credentials(options.docker_config_file, clock, std::move(log));
    if (!added) return fail(within("own registry credentials", added.error()));
  }
  if (wants_login) stack->add_logins(*logins);
  return stack;
}

}  // namespace tidemark::registry
