// AwsIdentity: the credentials that AWS gives this program.
//
// Purpose: the first source that is there, in the order of AWS' own SDKs: variables of the
// environment; a web identity (IRSA: a service account's token for a role, through STS); the
// container's endpoint (EKS Pod Identity, ECS); the machine's role through IMDSv2. A source that is
// there and fails is not passed over. What ends is asked for again ahead of its end.
// The environment is read once, token files each time: they are replaced while the program runs.
// Thread-safety: get() from any thread. Ownership: refers to the clients and the clock, which
// outlive it. Errors: make(): kInvalid for a variable that cannot work (an endpoint elsewhere than
// on this machine); get(): kNotFound where AWS gives nothing, those of step.h and of token files.
// Source: AWS SDKs and tools reference guide ("Credential providers"), STS API reference, EKS user
// guide ("EKS Pod Identity"), EC2 user guide ("Use IMDS", IMDSv2).
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
#include "cloud/sigv4.h"
#include "cloud/step.h"
#include "net/http.h"

namespace tidemark::cloud {

class AwsIdentity {
 public:
  // `metadata` reaches the machine's own services, `api` AWS' public ones.
  static Result<std::unique_ptr<AwsIdentity>> make(const Environment& environment,
                                                   net::HttpClient& metadata, net::HttpClient& api,
                                                   const Clock& clock, const Logger& log);

  // `region`: where STS is asked where the environment names no region.
  Result<AwsCredentials> get(std::string_view region, Deadline deadline,
                             const std::stop_token& stop);

 private:
  struct WebIdentity {
    std::string token_file;
    std::string role;
    std::string session;
    std::string region;  // "" for that of the caller
  };
  struct Container {
    std::string url;
    std::string token_file;  // "" for none
    std::string token;
  };
  using Fetched = Result<Expiring<AwsCredentials>>;

  AwsIdentity(net::HttpClient& metadata, net::HttpClient& api, const Clock& clock,
              const Logger& log);
  static Result<Container> read_container(const Environment& environment, std::string url);
  Fetched fetch(std::string_view region, Deadline deadline, const std::stop_token& stop);
  Fetched from_web_identity(std::string_view region, Deadline deadline,
                            const std::stop_token& stop);
  Fetched from_container(Deadline deadline, const std::stop_token& stop);
  Fetched from_instance(Deadline deadline, const std::stop_token& stop);
  Fetched parse(std::string_view body, std::string_view step) const;

  net::HttpClient& metadata_;
  net::HttpClient& api_;
  const Clock& clock_;
  std::optional<AwsCredentials> fixed_;
  std::optional<WebIdentity> web_identity_;
  std::optional<Container> container_;
  bool ask_instance_ = true;
  ExpiringCache<AwsCredentials> cache_;
};

}  // namespace tidemark::cloud
