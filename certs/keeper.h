// CertificateKeeper: the self-signed serving certificate, shared by all replicas.
//
// Purpose: keeps CA and certificate in one Secret, publishes the CA bundle in a
// MutatingWebhookConfiguration and loads the certificate into the server, for ever: bootstrap,
// renewal, rotation of the CA, and healing of whatever is missing, expired, damaged or overwritten.
// Every date is by the API server's clock, whatever this machine's shows.
// Replicas need no leader: every write is conditional (create answers 409, update carries the
// resourceVersion, the patch tests the old caBundle), and whoever loses reads the winner's.
// Thread-safety: ready() from any thread; pass() and run() belong to one thread.
// Ownership: api, clock, certificate and metrics must outlive this.
// Errors: of one pass only; run() logs each new one once and tries again.
// RBAC: secrets get, update (that name) and create; mutatingwebhookconfigurations get, patch (that
// name). Nothing is ever listed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/retry.h"
#include "certs/plan.h"
#include "kube/api.h"
#include "net/tls.h"

namespace tidemark::certs {

struct KeeperOptions {
  std::string secret_ns;
  std::string secret_name;
  std::string webhook_configuration;  // every webhook in it gets the bundle
  Policy policy;
  // A deleted Secret or an overwritten caBundle is healed within this (plus up to a fifth): two
  // GETs a minute and replica.
  std::chrono::milliseconds interval{60'000};
  // Where something is waited for: another writer, or the API servers to see a new bundle.
  std::chrono::milliseconds pending_interval{5'000};
  RetrySchedule::Options retry{.initial = std::chrono::milliseconds{500},
                               .max = std::chrono::milliseconds{5'000}};
  std::uint64_t seed = 0;  // of the jitter; programs take it from std::random_device
};

// The names that the API server and people use for a Service: "web.ns.svc" first.
std::vector<std::string> service_dns_names(std::string_view service, std::string_view ns);

class CertificateKeeper {
 public:
  CertificateKeeper(kube::Api& api, const Clock& clock, KeeperOptions options,
                    net::ServerCertificate& certificate, Metrics& metrics, Logger log);

  // Until `stop`. kInvalid at once where the options contradict each other.
  Status run(const std::stop_token& stop);

  struct Pass {
    bool pending = false;        // look again soon
    std::optional<Error> error;  // what stood in the way; the rest was done all the same
  };
  // Looks, plans and acts until nothing is left to do now.
  Pass pass(const std::stop_token& stop);

  // A certificate is loaded and valid now. Whether the configuration trusts it already is not part
  // of this: the first install applies the configuration after the Deployment.
  bool ready() const;

 private:
  // The API server's, which verifies what is served; this machine's own until it has answered.
  WallTime now() const;

  struct SecretObject;
  struct Configuration;

  Result<std::optional<SecretObject>> read_secret(Deadline deadline, const std::stop_token& stop);
  Result<Configuration> read_configuration(Deadline deadline, const std::stop_token& stop);
  Status publish(const Configuration& configuration, const std::vector<std::string>& bundles,
                 Deadline deadline, const std::stop_token& stop);
  Status write_secret(const std::optional<SecretObject>& old, const SecretContent& content,
                      Deadline deadline, const std::stop_token& stop);
  Status load(const SecretContent& content);
  std::chrono::seconds covered_for(const std::string& certificate, bool covered);
  // One look and what follows from it. True where something was changed, so that it must be looked
  // at again.
  bool step(Pass& pass, Deadline deadline, const std::stop_token& stop);
  void report(const Pass& pass);

  kube::Api& api_;
  const Clock& clock_;
  const KeeperOptions options_;
  net::ServerCertificate& certificate_;
  const GaugeFamily expiry_;
  const CounterFamily changes_;
  const Logger log_;
  const std::string secret_path_;
  const std::string configuration_path_;

  std::string loaded_;   // PEM of what certificate_ serves
  std::string covered_;  // the Secret's certificate that was seen covered, and since when
  SteadyTime covered_since_{};
  std::string reported_;  // the last problem that was logged
};

}  // namespace tidemark::certs
