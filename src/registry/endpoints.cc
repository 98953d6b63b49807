#include "registry/endpoints.h"

#include <algorithm>
#include <utility>

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

}  // namespace

Result<Endpoints> Endpoints::make(const ResolverOptions& options, const MakeClient& make_client) {
  auto policy = net::AddressPolicy::make(options.addresses);
  if (!policy) return fail(within("registry addresses", policy.error()));
  auto proxy = net::ProxyOptions::from_environment();
  if (!proxy) return fail(proxy.error());

  net::ClientOptions client_options;
  client_options.proxy = std::move(*proxy);
  client_options.addresses = std::move(*policy);
  client_options.user_agent = options.user_agent;

  Endpoints endpoints;
  auto shared = make_client(client_options);
  if (!shared) return fail(within("registry client", shared.error()));
  endpoints.shared_ = std::move(*shared);

  for (const RegistryOptions& registry : options.registries) {
    const std::string name = "registry " + registry.host;
    if (registry.host.empty()) return fail(ErrorKind::kInvalid, "a registry without a host");
    if (registry.max_concurrency == 0) {
      return fail(ErrorKind::kInvalid, name + ": max_concurrency must be at least 1");
    }
    if (registry.login != Login::kNone &&
        (registry.plain_http || registry.insecure_skip_verify || !registry.endpoint.empty())) {
      return fail(ErrorKind::kInvalid,
                  name + ": a login goes to the cloud's own host over verified TLS alone");
    }
    Configured configured{.options = registry, .endpoint_host = {}, .client = nullptr};
    if (!registry.endpoint.empty()) {
      auto url = parse_base(registry.endpoint);
      if (!url) return fail(within(name, url.error()));
      configured.endpoint_host = url->authority();
    } else if (registry.host == kDockerHub) {
      configured.endpoint_host =
          std::string(kDockerHubHost) + (registry.plain_http ? ":80" : ":443");
    }
    if (!registry.ca_pem.empty() || registry.insecure_skip_verify) {
      net::ClientOptions own = client_options;
      own.trust.ca_pem = registry.ca_pem;
      own.trust.insecure_skip_verify = registry.insecure_skip_verify;
      auto client = make_client(own);
      if (!client) return fail(within(name, client.error()));
      configured.client = std::move(*client);
    }
    endpoints.configured_.push_back(std::move(configured));
  }
  std::ranges::stable_sort(endpoints.configured_, [](const Configured& a, const Configured& b) {
    const bool a_wild = has_wildcard(a.options.host);
    const bool b_wild = has_wildcard(b.options.host);
    if (a_wild != b_wild) return b_wild;
    return a.options.host.size() > b.options.host.size();
  });
  return endpoints;
}

const Endpoints::Configured* Endpoints::match(std::string_view host) const {
  const auto found = std::ranges::find_if(configured_, [&](const Configured& configured) {
    return host_matches(configured.options.host, host);
  });
  return found == configured_.end() ? nullptr : &*found;
}

Result<Endpoint> Endpoints::find(std::string_view registry) const {
  const Configured* configured = match(registry);
  const bool plain = configured != nullptr && configured->options.plain_http;
  std::string text;
  if (configured != nullptr && !configured->options.endpoint.empty()) {
    text = configured->options.endpoint;
  } else {
    text = plain ? "http://" : "https://";
    text += registry == kDockerHub ? kDockerHubHost : registry;
  }
  auto base = parse_base(text);
  if (!base) return fail(base.error());
  return Endpoint{.base = std::move(*base),
                  .plain_http = plain || !base->tls,
                  .max_concurrency = configured == nullptr ? RegistryOptions{}.max_concurrency
                                                           : configured->options.max_concurrency};
}

Login Endpoints::login_of(std::string_view registry) const {
  const Configured* configured = match(registry);
  return configured == nullptr ? Login::kNone : configured->options.login;
}

net::HttpClient& Endpoints::client_for(const net::Url& url) const {
  const std::string authority = url.authority();
  for (const Configured& configured : configured_) {
    const bool same = configured.endpoint_host.empty()
                          ? host_matches(configured.options.host, url.host_header()) ||
                                host_matches(configured.options.host, authority)
                          : configured.endpoint_host == authority;
    if (same) return configured.client ? *configured.client : *shared_;
  }
  return *shared_;
}

}  // namespace tidemark::registry
