// plan(): what must be done for the serving certificate now, from what is there now.
//
// Purpose: every decision of the certificate's life in one pure function; keeper.cc only carries
// them out. The state machine is told in certs/README.md.
// Thread-safety: free functions over values. Errors: apply() only, where OpenSSL fails.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "certs/issue.h"

namespace tidemark::certs {

struct Policy {
  std::vector<std::string> dns_names;  // all must be in the serving certificate
  std::chrono::seconds serving_validity = std::chrono::days{90};
  std::chrono::seconds ca_validity = std::chrono::days{3600};
  // Certificates begin this much before now: nodes whose clocks are slow accept them.
  std::chrono::seconds backdate = std::chrono::hours{1};
  // From a new CA's birth to the first certificate that it signs: every API server has long seen
  // the bundle by then, and every replica has read the Secret.
  std::chrono::seconds ca_grace = std::chrono::hours{1};
  // From seeing a bundle published to serving a certificate that needs it: the API servers' watch.
  std::chrono::seconds propagation{10};

  // kInvalid where the times contradict each other.
  Status check() const;
};

// The other times for certificates of another life than the default. One of hours or minutes leaves
// less for wrong clocks: a sixth of it.
Policy policy_for(std::chrono::seconds serving_validity);

// The Secret's four values; "" where missing or not base64.
struct SecretContent {
  std::string ca_bundle;    // ca.crt: every CA that may have signed a certificate in use
  std::string ca_key;       // ca.key: of the CA that signs now
  std::string certificate;  // tls.crt
  std::string key;          // tls.key
  friend bool operator==(const SecretContent&, const SecretContent&) = default;
};

struct Observed {
  std::optional<SecretContent> secret;  // nullopt: there is no Secret
  // caBundle (PEM) of each webhook; nullopt: there is no configuration, or it could not be read.
  std::optional<std::vector<std::string>> published;
  std::string loaded;                   // the certificate this replica serves; "" for none
  std::chrono::seconds covered_for{0};  // how long `published` has covered the Secret's certificate
};

// A change of the Secret.
struct SecretChange {
  bool new_authority = false;          // add a CA and let it sign from now on
  bool reissue = false;                // a new serving certificate
  std::vector<std::string> drop = {};  // fingerprints of CAs that nobody needs any more
  std::string why = {};                // for the log
};

struct Plan {
  // In this order: publish, load, change the Secret.
  std::optional<std::vector<std::string>> publish;  // a bundle for each webhook, where one differs
  bool load = false;                                // serve the Secret's certificate
  std::optional<SecretChange> change;
  // Every published bundle covers the Secret's certificate (false where nothing is published).
  bool covered = false;
  // Something waits for time to pass or for another writer: look again soon.
  bool pending = false;
};

Plan plan(const Observed& observed, const Policy& policy, WallTime now);

// The Secret's content after the change. `before` may be empty or damaged.
Result<SecretContent> apply(const SecretChange& change, const SecretContent& before,
                            const Policy& policy, WallTime now);

}  // namespace tidemark::certs
