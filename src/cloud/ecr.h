// EcrLogin: Amazon ECR's tokens of twelve hours, private and public.
//
// Purpose: GetAuthorizationToken, signed as AwsIdentity says. One token serves every registry of a
// region, so it is asked for by region.
// Thread-safety: all methods from any thread. Ownership: refers to what it is made of, which
// outlives it. Errors: kForbidden for a host that is not ECR's, those of AwsIdentity and step.h.
// Source: Amazon ECR API reference (GetAuthorizationToken, AuthorizationData) and Amazon ECR Public
// API reference (the same), ECR user guide "Private registry authentication".
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cloud/aws_identity.h"
#include "cloud/expiring_cache.h"
#include "net/http.h"
#include "registry/credentials.h"

namespace tidemark::cloud {

class EcrLogin {
 public:
  EcrLogin(AwsIdentity& identity, net::HttpClient& api, const Clock& clock, const Logger& log)
      : identity_(identity), api_(api), clock_(clock), cache_("ECR token", clock, log) {}

  Result<registry::Credential> login(std::string_view host, Deadline deadline,
                                     const std::stop_token& stop);
  Result<registry::Credential> login_public(std::string_view host, Deadline deadline,
                                            const std::stop_token& stop);
  std::optional<registry::Credential> known(std::string_view host);
  std::optional<registry::Credential> known_public(std::string_view host);

 private:
  // One of the two services.
  struct Service;
  Result<registry::Credential> get(const std::string& key, const Service& service,
                                   Deadline deadline, const std::stop_token& stop);
  Result<Expiring<registry::Credential>> fetch(const std::string& key, const Service& service,
                                               Deadline deadline, const std::stop_token& stop);

  AwsIdentity& identity_;
  net::HttpClient& api_;
  const Clock& clock_;
  ExpiringCache<registry::Credential> cache_;
};

}  // namespace tidemark::cloud
