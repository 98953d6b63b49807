#include "registry/stack.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "net/client.h"
#include "registry/caching_resolver.h"
#include "registry/endpoints.h"
#include "registry/head_resolver.h"
#include "registry/login_credentials.h"
#include "registry/mirrors.h"
#include "registry/registry_metrics.h"

namespace tidemark::registry {
namespace {

Status check_logins(const ResolverOptions& options, const LoginSource* logins) {
  const bool wants_login = std::ranges::any_of(
      options.registries, [](const auto& registry) { return registry.login != Login::kNone; });
  if (!wants_login || logins != nullptr) return {};
  return fail(ErrorKind::kInvalid, "a registry names a login, and there is none here");
}

// The parts in the order in which they lean on each other.
class Stack final : public ReloadableResolver {
 public:
  Stack(const ResolverOptions& options, Endpoints endpoints, const Clock& clock, Metrics& metrics,
        const Logger& log, std::shared_ptr<LoginSource> logins, ReadSecret read_secret)
      : endpoints_(std::move(endpoints)),
        metrics_(metrics),
        head_({.breaker = {}, .seed = std::random_device{}()}, endpoints_, metrics_, clock, log),
        caching_(
            {.cache_ttl = options.cache_ttl,
             .negative_ttl = options.negative_ttl,
             .stale_if_error = options.stale_if_error,
             .entries = options.cache_entries,
             .append_name = [this](std::string_view registry,
                                   std::string& key) { endpoints_.append_name(registry, key); }},
            head_, clock, metrics_),
        own_(endpoints_, std::move(read_secret), caching_, clock, log),
        logins_(endpoints_, std::move(logins), own_),
        mirrors_(endpoints_, logins_, clock, metrics_, log) {}

  Status configure(const ResolverOptions& options) { return own_.configure(options); }

  Status reload(const ResolverOptions& options, std::shared_ptr<LoginSource> logins) override {
    if (auto fits = check_logins(options, logins.get()); !fits) return fits;
    auto prepared = endpoints_.prepare(options);
    if (!prepared) return fail(prepared.error());
    if (auto configured = own_.configure(options); !configured) return configured;
    logins_.replace(std::move(logins));
    endpoints_.use(std::move(*prepared));
    return {};
  }

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override {
    return mirrors_.resolve(query, deadline, std::move(stop));
  }
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop) override {
    return mirrors_.tags(query, deadline, std::move(stop));
  }
  Result<Creation> created(const Query& query, Deadline deadline, std::stop_token stop) override {
    return mirrors_.created(query, deadline, std::move(stop));
  }
  std::optional<Result<Resolution>> known(const Query& query) override {
    // The way to the cache is most of what an answer from it costs.
    const auto options = endpoints_.options_of(query.reference.registry());
    const bool as_it_is =
        options->mirrors.empty() && options->login == Login::kNone && own_.leaves_alone(*options);
    return as_it_is ? caching_.known(query) : mirrors_.known(query);
  }
  std::vector<QuotaLeft> quotas() override { return head_.quotas(); }

 private:
  Endpoints endpoints_;
  RegistryMetrics metrics_;
  HeadResolver head_;
  CachingResolver caching_;
  OwnCredentials own_;
  LoginCredentials logins_;
  Mirrors mirrors_;
};

}  // namespace

Status check_options(const ResolverOptions& options) {
  if (options.cache_entries == 0) {
    return fail(ErrorKind::kInvalid, "cache_entries must be at least 1");
  }
  const auto endpoints = Endpoints::make(options, net::make_client);
  return endpoints ? Status{} : fail(endpoints.error());
}

Result<std::unique_ptr<ReloadableResolver>> make_resolver(const ResolverOptions& options,
                                                          const Clock& clock, Metrics& metrics,
                                                          const Logger& log,
                                                          std::shared_ptr<LoginSource> logins,
                                                          ReadSecret read_secret) {
  if (options.cache_entries == 0) {
    return fail(ErrorKind::kInvalid, "cache_entries must be at least 1");
  }
  if (auto fits = check_logins(options, logins.get()); !fits) return fail(fits.error());
  auto endpoints = Endpoints::make(options, net::make_client);
  if (!endpoints) return fail(endpoints.error());
  auto stack = std::make_unique<Stack>(options, std::move(*endpoints), clock, metrics, log,
                                       std::move(logins), std::move(read_secret));
  if (auto configured = stack->configure(options); !configured) return fail(configured.error());
  return stack;
}

}  // namespace tidemark::registry
