// AzureLogin: a refresh token of an Azure container registry for the identity of this program.
//
// Purpose: an access token of Microsoft Entra (workload identity: a service account's token is
// exchanged; else the managed identity of the machine, through IMDS) becomes a refresh token of one
// registry at that registry's own /oauth2/exchange. It is used as docker's `identitytoken` is: the
// registry's token server makes access tokens of it.
// Thread-safety: all methods from any thread. Ownership: refers to what it is made of, which
// outlives it. Errors: make(): kInvalid for an authority that is none of Microsoft's; kForbidden
// for a host that is not Azure's, those of step.h and of the token file. Source: Azure "Azure
// Container Registry AAD-OAuth" (oauth2/exchange, refresh tokens), "How to use managed identities
// to get an access token" (IMDS), "Microsoft identity platform: client credentials with a federated
// credential", Azure Workload Identity (its variables).
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cloud/expiring_cache.h"
#include "cloud/hosts.h"
#include "cloud/step.h"
#include "net/http.h"
#include "registry/credentials.h"

namespace tidemark::cloud {

class AzureLogin {
 public:
  static Result<std::unique_ptr<AzureLogin>> make(const Environment& environment,
                                                  net::HttpClient& metadata, net::HttpClient& api,
                                                  const Clock& clock, const Logger& log);

  Result<registry::Credential> login(std::string_view host, Deadline deadline,
                                     const std::stop_token& stop);
  std::optional<registry::Credential> known(std::string_view host);

 private:
  AzureLogin(net::HttpClient& metadata, net::HttpClient& api, const Clock& clock,
             const Logger& log);
  Result<Expiring<std::string>> access_token(const AzureCloud& cloud, Deadline deadline,
                                             const std::stop_token& stop);
  Result<Expiring<registry::Credential>> exchange(const std::string& host, const AzureCloud& cloud,
                                                  Deadline deadline, const std::stop_token& stop);

  net::HttpClient& metadata_;
  net::HttpClient& api_;
  std::string client_id_;   // "" for the machine's only identity
  std::string token_file_;  // "" for a managed identity
  std::string tenant_;
  std::string authority_;  // "" for the cloud's own
  ExpiringCache<std::string> access_tokens_;
  ExpiringCache<registry::Credential> refresh_tokens_;
};

}  // namespace tidemark::cloud
