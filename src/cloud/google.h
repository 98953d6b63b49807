// GoogleLogin: the access token of the service account that Google gives this program.
//
// Purpose: asks the metadata server, which GKE answers for a pod's own account (Workload Identity)
// and a machine for its own. It is asked by its address, which no DNS answer can move.
// Thread-safety: all methods from any thread. Ownership: refers to what it is made of, which
// outlives it. Errors: kForbidden for a host that is not Google's, those of step.h.
// Source: Google Cloud "About VM metadata" (Metadata-Flavor, service-accounts/default/token),
// Artifact Registry "Configure authentication for Docker" (oauth2accesstoken), GKE "Workload
// Identity Federation for GKE".
#pragma once

#include <optional>
#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cloud/expiring_cache.h"
#include "net/http.h"
#include "registry/credentials.h"

namespace tidemark::cloud {

class GoogleLogin {
 public:
  GoogleLogin(net::HttpClient& metadata, const Clock& clock, const Logger& log)
      : metadata_(metadata), cache_("Google access token", clock, log) {}

  Result<registry::Credential> login(std::string_view host, Deadline deadline,
                                     const std::stop_token& stop);
  std::optional<registry::Credential> known(std::string_view host);

 private:
  net::HttpClient& metadata_;
  ExpiringCache<registry::Credential> cache_;
};

}  // namespace tidemark::cloud
