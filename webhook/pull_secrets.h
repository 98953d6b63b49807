// PullSecrets: the credentials that the kubelet would have for a pod.
//
// Purpose: passes the bytes of pull secrets from kube to registry, which never meet. As in the
// cluster itself the service account's imagePullSecrets count only for a template that names none
// (its admission plugin copies them only then).
// Thread-safety: keyring() and forget() from many threads. Ownership: secrets stay in memory for
// kTtl at most; nothing of them is logged. Errors: a secret that cannot be read is left out, as the
// kubelet does, and named in `problems`, which are told only where resolving then fails.
// Source: kubernetes plugin/pkg/admission/serviceaccount, pkg/credentialprovider/secrets.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/api.h"
#include "registry/credentials.h"
#include "webhook/ttl_cache.h"
#include "workload/object.h"

namespace tidemark::webhook {

class PullSecrets {
 public:
  // Short: credentials rotate. A 401 forgets them at once (forget()).
  static constexpr std::chrono::milliseconds kTtl{30'000};
  // Secrets of at most 1 MiB (Kubernetes' bound), typically 1 KiB.
  static constexpr std::size_t kMaxEntries = 4096;

  // `api` nullptr: a mode with no access to Secrets at all, everybody is anonymous.
  PullSecrets(kube::Api* api, const Clock& clock);

  registry::Keyring keyring(const std::string& ns, const workload::PodTemplate& pod_template,
                            Deadline deadline, std::vector<std::string>& problems);
  // The next keyring() reads this template's secrets again.
  void forget(const std::string& ns, const workload::PodTemplate& pod_template);

 private:
  struct Entry {
    registry::Keyring keyring;         // of a secret
    std::vector<std::string> secrets;  // of a service account
    std::string problem;               // why there is nothing, "" otherwise
  };
  using EntryPtr = std::shared_ptr<const Entry>;

  EntryPtr secret(const std::string& ns, const std::string& name, Deadline deadline);
  EntryPtr service_account(const std::string& ns, const std::string& name, Deadline deadline);

  kube::Api* const api_;
  TtlCache<EntryPtr> secrets_;   // by "namespace/name"
  TtlCache<EntryPtr> accounts_;  // by "namespace/name"
};

}  // namespace tidemark::webhook
