#include "registry/endpoints.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.h"
#include "registry/host_pattern.h"

namespace tidemark::registry {
namespace {

constexpr std::string_view kDockerHub = "docker.io";
// Docker Hub's name is docker.io, its registry answers here (distribution/reference says so too).
constexpr std::string_view kDockerHubHost = "registry-1.docker.io";

// An URL without its last slash, so that "/v2/..." can follow.
Result<net::Url> parse_base(const std::string& text) {
  auto url = net::Url::parse(text);
  if (!url) return url;
  while (url->target.ends_with('/')) url->target.pop_back();
  if (url->target.find_first_of("?#") != std::string::npos) {
    return fail(ErrorKind::kInvalid, "an endpoint has no query: " + text);
  }
  return url;
}

// What makes a client of its own, and a new one where it changes.
bool needs_client(const RegistryOptions& o) {
  return !o.ca_pem.empty() || o.insecure_skip_verify || !o.certificate_pem.empty() ||
         !o.proxy.empty() || o.connect_timeout != RegistryOptions{}.connect_timeout;
}
bool same_client(const RegistryOptions& a, const RegistryOptions& b) {
  return a.ca_pem == b.ca_pem && a.insecure_skip_verify == b.insecure_skip_verify &&
         a.certificate_pem == b.certificate_pem && a.key_pem == b.key_pem && a.proxy == b.proxy &&
         a.connect_timeout == b.connect_timeout;
}

Result<net::ClientOptions> client_options(const net::ClientOptions& shared,
                                          const RegistryOptions& registry) {
  net::ClientOptions own = shared;
  own.trust.ca_pem = registry.ca_pem;
  own.trust.insecure_skip_verify = registry.insecure_skip_verify;
  if (!registry.certificate_pem.empty()) {
    own.trust.client_pair =
        net::KeyPair{.certificate_pem = registry.certificate_pem, .key_pem = registry.key_pem};
  }
  own.connect_timeout = registry.connect_timeout;
  if (registry.proxy.empty()) return own;
  auto proxy = net::ProxyOptions::for_all(registry.proxy == "none" ? "" : registry.proxy);
  if (!proxy) return fail(proxy.error());
  own.proxy = std::move(*proxy);
  return own;
}

Status check(const RegistryOptions& registry) {
  if (registry.max_concurrency == 0) {
    return fail(ErrorKind::kInvalid, "max_concurrency must be at least 1");
  }
  if (registry.login != Login::kNone &&
      (registry.plain_http || registry.insecure_skip_verify || !registry.endpoint.empty())) {
    return fail(ErrorKind::kInvalid,
                "a login goes to the cloud's own host over verified TLS alone");
  }
  return {};
}

}  // namespace

std::string Endpoint::repository(std::string_view name_in_reference) const {
  const PathRewrite* best = nullptr;
  for (const PathRewrite& each : rewrite) {
    const bool fits = each.from.empty() || (name_in_reference.starts_with(each.from) &&
                                            (name_in_reference.size() == each.from.size() ||
                                             name_in_reference[each.from.size()] == '/'));
    if (fits && (best == nullptr || each.from.size() > best->from.size())) best = &each;
  }
  if (best == nullptr) return std::string(name_in_reference);
  std::string rest(name_in_reference.substr(best->from.size()));
  if (rest.starts_with('/')) rest.erase(0, 1);
  return rest.empty() || best->to.empty() ? best->to + rest : best->to + "/" + rest;
}

struct Endpoints::Snapshot {
  net::AddressPolicy::Options addresses;
  std::string user_agent;
  RegistryOptions defaults;            // of registries that no entry matches
  std::vector<Configured> configured;  // the most specific first
  std::shared_ptr<net::HttpClient> shared;
  std::uint64_t shared_revision = 0;
  std::uint64_t revision = 0;

  const Configured* match(std::string_view host) const {
    const auto found = std::ranges::find_if(
        configured, [&](const Configured& each) { return host_matches(each.options.host, host); });
    return found == configured.end() ? nullptr : &*found;
  }
  void append_name(std::string_view registry, const Configured* match, std::string& out) const {
    out += registry;
    if (match != nullptr) out.append(" ").append(match->options.host);
    const std::uint64_t changed = match == nullptr ? shared_revision : match->revision;
    if (changed != 0) out.append("#").append(std::to_string(changed));
  }
};

struct Endpoints::Current {
  mutable std::mutex mutex;  // taken for a pointer's copy
  std::shared_ptr<const Snapshot> snapshot;
};

Endpoints::Endpoints(MakeClient make_client)
    : make_client_(std::move(make_client)), current_(std::make_shared<Current>()) {}

Result<Endpoints> Endpoints::make(const ResolverOptions& options, MakeClient make_client) {
  Endpoints endpoints(std::move(make_client));
  auto built = endpoints.build(options, nullptr);
  if (!built) return fail(built.error());
  endpoints.current_->snapshot = std::move(*built);
  return endpoints;
}

Result<std::shared_ptr<const Endpoints::Snapshot>> Endpoints::prepare(
    const ResolverOptions& options) const {
  return build(options, snapshot().get());
}

void Endpoints::use(std::shared_ptr<const Snapshot> prepared) {
  const std::lock_guard lock(current_->mutex);
  current_->snapshot.swap(prepared);  // the old one is released outside the lock
}

std::shared_ptr<const Endpoints::Snapshot> Endpoints::snapshot() const {
  const std::lock_guard lock(current_->mutex);
  return current_->snapshot;
}

Result<std::shared_ptr<const Endpoints::Snapshot>> Endpoints::build(const ResolverOptions& options,
                                                                    const Snapshot* old) const {
  auto policy = net::AddressPolicy::make(options.addresses);
  if (!policy) return fail(within("registry addresses", policy.error()));
  auto proxy = net::ProxyOptions::from_environment();
  if (!proxy) return fail(proxy.error());
  net::ClientOptions shared;
  shared.proxy = std::move(*proxy);
  shared.addresses = std::move(*policy);
  shared.user_agent = options.user_agent;

  auto next = std::make_shared<Snapshot>();
  next->addresses = options.addresses;
  next->user_agent = options.user_agent;
  next->revision = old == nullptr ? 0 : old->revision + 1;
  // Where this changed, every client and everything learnt goes with it.
  if (old != nullptr &&
      (old->addresses != options.addresses || old->user_agent != options.user_agent)) {
    old = nullptr;
  }
  if (old != nullptr) {
    next->shared = old->shared;
    next->shared_revision = old->shared_revision;
  } else {
    auto client = make_client_(shared);
    if (!client) return fail(within("registry client", client.error()));
    next->shared = std::move(*client);
    next->shared_revision = next->revision;
  }

  for (const RegistryOptions& registry : options.registries) {
    if (registry.host.empty()) return fail(ErrorKind::kInvalid, "a registry without a host");
    const std::string name = "registry " + registry.host;
    if (auto fits = check(registry); !fits) return fail(within(name, fits.error()));
    Configured configured{
        .options = registry, .endpoint_host = {}, .client = nullptr, .revision = next->revision};
    if (!registry.endpoint.empty()) {
      auto url = parse_base(registry.endpoint);
      if (!url) return fail(within(name, url.error()));
      configured.endpoint_host = url->authority();
    } else if (registry.host == kDockerHub) {
      configured.endpoint_host =
          std::string(kDockerHubHost) + (registry.plain_http ? ":80" : ":443");
    }
    const Configured* before = nullptr;
    if (old != nullptr) {
      const auto found = std::ranges::find(old->configured, registry.host,
                                           [](const Configured& c) { return c.options.host; });
      if (found != old->configured.end()) before = &*found;
    }
    if (before != nullptr && before->options == registry) configured.revision = before->revision;
    if (before != nullptr && same_client(before->options, registry)) {
      configured.client = before->client;
    } else if (needs_client(registry)) {
      auto own = client_options(shared, registry);
      if (!own) return fail(within(name, own.error()));
      auto client = make_client_(*own);
      if (!client) return fail(within(name, client.error()));
      configured.client = std::move(*client);
    }
    next->configured.push_back(std::move(configured));
  }
  // An exact name before every pattern; of two patterns the one with fewer wildcards, then the
  // longer one.
  std::ranges::stable_sort(next->configured, [](const Configured& a, const Configured& b) {
    const auto wild = [](const Configured& c) { return std::ranges::count(c.options.host, '*'); };
    if (wild(a) != wild(b)) return wild(a) < wild(b);
    return a.options.host.size() > b.options.host.size();
  });
  return next;
}

Result<Endpoint> Endpoints::find(std::string_view registry) const {
  const auto now = snapshot();
  const Configured* configured = now->match(registry);
  const RegistryOptions& options = configured == nullptr ? now->defaults : configured->options;
  std::string text = options.endpoint;
  if (text.empty()) {
    text = options.plain_http ? "http://" : "https://";
    text += registry == kDockerHub ? kDockerHubHost : registry;
  }
  auto base = parse_base(text);
  if (!base) return fail(base.error());
  const bool plain = options.plain_http || !base->tls;
  std::string name;
  now->append_name(registry, configured, name);
  return Endpoint{.base = std::move(*base),
                  .plain_http = plain,
                  .max_concurrency = options.max_concurrency,
                  .name = std::move(name),
                  .timeout = options.timeout,
                  .spacing = options.spacing,
                  .rewrite = options.rewrite};
}

std::shared_ptr<const RegistryOptions> Endpoints::options_of(std::string_view registry) const {
  auto now = snapshot();
  const Configured* configured = now->match(registry);
  const RegistryOptions* options = configured == nullptr ? &now->defaults : &configured->options;
  return {std::move(now), options};
}

void Endpoints::append_name(std::string_view registry, std::string& out) const {
  const auto now = snapshot();
  now->append_name(registry, now->match(registry), out);
}

std::shared_ptr<net::HttpClient> Endpoints::client_for(const net::Url& url) const {
  const auto now = snapshot();
  const std::string authority = url.authority();
  for (const Configured& configured : now->configured) {
    const bool same = configured.endpoint_host.empty()
                          ? host_matches(configured.options.host, url.host_header()) ||
                                host_matches(configured.options.host, authority)
                          : configured.endpoint_host == authority;
    if (same) return configured.client ? configured.client : now->shared;
  }
  return now->shared;
}

}  // namespace tidemark::registry
