#include "cloud/azure.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace tidemark::cloud {
namespace {

constexpr std::string_view kManagedStep = "Azure's managed identity";
constexpr std::string_view kFederatedStep = "Microsoft Entra";
constexpr std::string_view kExchangeStep = "the registry's /oauth2/exchange";
constexpr const char* kManagedUrl =
    "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=";
// Good for registries alone, unlike the one for Azure Resource Manager, which they take too unless
// that is switched off. The same in all clouds.
constexpr std::string_view kResource = "https://containerregistry.azure.net";
constexpr const char* kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
// The user name that Azure documents for its registries' tokens.
constexpr const char* kUser = "00000000-0000-0000-0000-000000000000";
// Azure gives them for three hours; asked for again sooner, for the answer does not say so.
constexpr std::chrono::hours kRefreshLifetime{1};
constexpr std::array<std::string_view, 4> kAuthorities = {
    "login.microsoftonline.com", "login.microsoftonline.us", "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn"};
// A GUID, or a domain.
constexpr std::size_t kMaxTenantBytes = 253;

bool is_tenant(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTenantBytes && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  });
}

Result<std::string> read_authority(const std::string& url) {
  if (url.empty()) return std::string{};
  const auto parsed = net::Url::parse(url);
  if (!parsed || !parsed->tls || parsed->port != 443 ||
      std::ranges::find(kAuthorities, parsed->host) == kAuthorities.end()) {
    return fail(ErrorKind::kInvalid, "AZURE_AUTHORITY_HOST: is none of Microsoft's");
  }
  return parsed->host;
}

Result<Expiring<std::string>> parse(std::string_view body, std::string_view step) {
  const auto members = json_members(body, step);
  if (!members) return fail(members.error());
  auto token = secret_member(*members, "access_token", step);
  if (!token) return fail(std::move(token.error()));
  const auto seconds = members->find("expires_in");
  const auto lifetime = lifetime_of_seconds(seconds == members->end() ? "" : seconds->second, step);
  if (!lifetime) return fail(lifetime.error());
  return Expiring<std::string>{.value = std::move(*token), .lifetime = *lifetime};
}

}  // namespace

AzureLogin::AzureLogin(net::HttpClient& metadata, net::HttpClient& api, const Clock& clock,
                       const Logger& log)
    : metadata_(metadata),
      api_(api),
      access_tokens_("Azure access token", clock, log),
      refresh_tokens_("Azure registry token", clock, log) {}

Result<std::unique_ptr<AzureLogin>> AzureLogin::make(const Environment& environment,
                                                     net::HttpClient& metadata,
                                                     net::HttpClient& api, const Clock& clock,
                                                     const Logger& log) {
  auto login = std::unique_ptr<AzureLogin>(new AzureLogin(metadata, api, clock, log));
  const auto get = [&](const std::string& name) { return environment(name).value_or(""); };
  login->client_id_ = get("AZURE_CLIENT_ID");
  const std::string file = get("AZURE_FEDERATED_TOKEN_FILE");
  if (file.empty()) return login;
  login->token_file_ = file;
  login->tenant_ = get("AZURE_TENANT_ID");
  if (!is_tenant(login->tenant_) || login->client_id_.empty()) {
    return fail(ErrorKind::kInvalid,
                "AZURE_FEDERATED_TOKEN_FILE: needs AZURE_TENANT_ID and AZURE_CLIENT_ID beside it");
  }
  auto authority = read_authority(get("AZURE_AUTHORITY_HOST"));
  if (!authority) return fail(std::move(authority.error()));
  login->authority_ = std::move(*authority);
  return login;
}

Result<Expiring<std::string>> AzureLogin::access_token(const AzureCloud& cloud, Deadline deadline,
                                                       const std::stop_token& stop) {
  if (token_file_.empty()) {
    std::string url = kManagedUrl + net::percent_encode(kResource);
    if (!client_id_.empty()) url += "&client_id=" + net::percent_encode(client_id_);
    net::Request request = get_request(url);
    request.headers.push_back({"Metadata", "true"});
    const auto body = ask(metadata_, std::move(request), kManagedStep, deadline, stop);
    return body ? parse(*body, kManagedStep) : fail(body.error());
  }
  auto assertion = read_token_file(token_file_);
  if (!assertion) return fail(std::move(assertion.error()));
  const std::string authority = authority_.empty() ? std::string(cloud.authority) : authority_;
  const auto body = ask(api_,
                        form_request("https://" + authority + "/" + tenant_ + "/oauth2/v2.0/token",
                                     {{"grant_type", "client_credentials"},
                                      {"client_id", client_id_},
                                      {"client_assertion_type", kAssertionType},
                                      {"client_assertion", std::move(*assertion)},
                                      {"scope", std::string(kResource) + "/.default"}}),
                        kFederatedStep, deadline, stop);
  return body ? parse(*body, kFederatedStep) : fail(body.error());
}

Result<Expiring<registry::Credential>> AzureLogin::exchange(const std::string& host,
                                                            const AzureCloud& cloud,
                                                            Deadline deadline,
                                                            const std::stop_token& stop) {
  const auto access = access_tokens_.get(std::string(cloud.registry_domain), deadline, stop,
                                         [&] { return access_token(cloud, deadline, stop); });
  if (!access) return fail(access.error());
  const auto body = ask(
      api_,
      form_request("https://" + host + "/oauth2/exchange",
                   {{"grant_type", "access_token"}, {"service", host}, {"access_token", *access}}),
      kExchangeStep, deadline, stop);
  if (!body) return fail(body.error());
  const auto members = json_members(*body, kExchangeStep);
  if (!members) return fail(members.error());
  auto token = secret_member(*members, "refresh_token", kExchangeStep);
  if (!token) return fail(std::move(token.error()));
  return Expiring<registry::Credential>{.value = {.username = kUser,
                                                  .identity_token = std::move(*token),
                                                  .source = "login azure",
                                                  .login = "azure " + host},
                                        .lifetime = kRefreshLifetime};
}

Result<registry::Credential> AzureLogin::login(std::string_view host, Deadline deadline,
                                               const std::stop_token& stop) {
  const AzureCloud* cloud = azure_cloud(host);
  if (cloud == nullptr) {
    return fail(ErrorKind::kForbidden, std::string(host) + " is not a registry of Azure's");
  }
  const std::string name(host);
  return refresh_tokens_.get(name, deadline, stop,
                             [&] { return exchange(name, *cloud, deadline, stop); });
}

std::optional<registry::Credential> AzureLogin::known(std::string_view host) {
  return azure_cloud(host) == nullptr ? std::nullopt : refresh_tokens_.known(host);
}

}  // namespace tidemark::cloud
