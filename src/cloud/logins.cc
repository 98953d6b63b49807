#include "cloud/logins.h"

#include <algorithm>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "cloud/aws_identity.h"
#include "cloud/azure.h"
#include "cloud/ecr.h"
#include "cloud/google.h"
#include "cloud/hosts.h"
#include "net/client.h"

namespace tidemark::cloud {
namespace {

using registry::Credential;
using registry::Login;

class Logins final : public registry::LoginSource {
 public:
  // `aws_environment`, `azure_environment`: of the clouds that are not used, an empty one.
  static Result<std::unique_ptr<registry::LoginSource>> make(const Environment& aws_environment,
                                                             const Environment& azure_environment,
                                                             Clients clients, const Clock& clock,
                                                             const Logger& log) {
    auto aws = AwsIdentity::make(aws_environment, *clients.metadata, *clients.api, clock, log);
    if (!aws) return fail(std::move(aws.error()));
    auto azure = AzureLogin::make(azure_environment, *clients.metadata, *clients.api, clock, log);
    if (!azure) return fail(std::move(azure.error()));
    return std::unique_ptr<registry::LoginSource>(
        new Logins(std::move(clients), std::move(*aws), std::move(*azure), clock, log));
  }

  Result<Credential> login(Login login, std::string_view host, Deadline deadline,
                           std::stop_token stop) override {
    switch (login) {
      case Login::kNone:
        break;
      case Login::kEcr:
        return ecr_.login(host, deadline, stop);
      case Login::kEcrPublic:
        return ecr_.login_public(host, deadline, stop);
      case Login::kGoogle:
        return google_.login(host, deadline, stop);
      case Login::kAzure:
        return azure_->login(host, deadline, stop);
    }
    return fail(ErrorKind::kInvalid, "no login");
  }

  std::optional<Credential> known(Login login, std::string_view host) override {
    switch (login) {
      case Login::kNone:
        break;
      case Login::kEcr:
        return ecr_.known(host);
      case Login::kEcrPublic:
        return ecr_.known_public(host);
      case Login::kGoogle:
        return google_.known(host);
      case Login::kAzure:
        return azure_->known(host);
    }
    return std::nullopt;
  }

 private:
  Logins(Clients clients, std::unique_ptr<AwsIdentity> aws, std::unique_ptr<AzureLogin> azure,
         const Clock& clock, const Logger& log)
      : clients_(std::move(clients)),
        aws_(std::move(aws)),
        azure_(std::move(azure)),
        ecr_(*aws_, *clients_.api, clock, log),
        google_(*clients_.metadata, clock, log) {}

  const Clients clients_;
  const std::unique_ptr<AwsIdentity> aws_;
  const std::unique_ptr<AzureLogin> azure_;
  EcrLogin ecr_;
  GoogleLogin google_;
};

// The address policy keeps image names from these addresses; here they are what is wanted, and
// nothing else that it refuses.
Result<Clients> make_clients(const registry::ResolverOptions& options) {
  auto here = net::AddressPolicy::make({.allow_loopback = true,
                                        .allow_private = false,
                                        .allowed_cidrs = {"169.254.169.254/32", "169.254.170.2/32",
                                                          "169.254.170.23/32", "fd00:ec2::23/128"},
                                        .denied_cidrs = {}});
  if (!here) return fail(std::move(here.error()));
  net::ClientOptions metadata;
  metadata.addresses = std::move(*here);
  metadata.user_agent = options.user_agent;
  auto metadata_client = net::make_client(metadata);
  if (!metadata_client) return fail(std::move(metadata_client.error()));

  auto everywhere = net::AddressPolicy::make(options.addresses);
  if (!everywhere) return fail(std::move(everywhere.error()));
  auto proxy = net::ProxyOptions::from_environment();
  if (!proxy) return fail(std::move(proxy.error()));
  net::ClientOptions api;
  api.proxy = std::move(*proxy);
  api.addresses = std::move(*everywhere);
  api.user_agent = options.user_agent;
  auto api_client = net::make_client(api);
  if (!api_client) return fail(std::move(api_client.error()));
  return Clients{.metadata = std::move(*metadata_client), .api = std::move(*api_client)};
}

bool names(const registry::ResolverOptions& options, Login login) {
  return std::ranges::any_of(options.registries,
                             [&](const auto& entry) { return entry.login == login; });
}

bool names_any(const registry::ResolverOptions& options) {
  return std::ranges::any_of(options.registries,
                             [](const auto& entry) { return entry.login != Login::kNone; });
}

}  // namespace

Result<std::unique_ptr<registry::LoginSource>> make_logins(const registry::ResolverOptions& options,
                                                           const Environment& environment,
                                                           Clients clients, const Clock& clock,
                                                           const Logger& log) {
  if (!names_any(options)) return nullptr;
  for (const registry::RegistryOptions& entry : options.registries) {
    if (const auto fits = check_pattern(entry.login, entry.host); !fits) {
      return fail(within("registry " + entry.host + ": login", fits.error()));
    }
  }
  const Environment none = [](const std::string&) { return std::nullopt; };
  const bool aws = names(options, Login::kEcr) || names(options, Login::kEcrPublic);
  return Logins::make(aws ? environment : none, names(options, Login::kAzure) ? environment : none,
                      std::move(clients), clock, log);
}

Result<std::unique_ptr<registry::LoginSource>> make_logins(const registry::ResolverOptions& options,
                                                           const Environment& environment,
                                                           const Clock& clock, const Logger& log) {
  if (!names_any(options)) return nullptr;
  auto clients = make_clients(options);
  if (!clients) return fail(std::move(clients.error()));
  return make_logins(options, environment, std::move(*clients), clock, log);
}

}  // namespace tidemark::cloud
