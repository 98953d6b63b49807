// manifest: the MutatingWebhookConfiguration, written from the table of kinds.
//
// Purpose: rules and matchConditions follow from which kinds have a template and where; this is the
// one place that derives them. `tidemark-webhook manifest` prints it, deploy/generate keeps it.
// Thread-safety: a pure function. Source: admissionregistration.k8s.io/v1; KEP-3716 (admission
// webhook match conditions, stable since Kubernetes 1.30); CEL optional syntax (Kubernetes 1.29).
#pragma once

#include <span>
#include <string>

#include "workload/kind.h"

namespace tidemark::webhook {

struct ManifestOptions {
  std::string name = "tidemark-webhook";
  std::string service_namespace = "tidemark-system";
  std::string service_name = "tidemark-webhook";
  // The one user whose writes are not sent back to us: its stamps are what admission would make.
  std::string sweeper_user = "system:serviceaccount:tidemark-system:tidemark-sweeper";
};

// A YAML document with a final newline.
//
// An UPDATE reaches the webhook only if the pod template changes (the spec or a stamp of a pod
// without controller) or somebody else than Tidemark changes one of its records: scaling, pausing,
// label edits and the controllers' own bookkeeping make no call.
std::string webhook_configuration(std::span<const workload::Kind> kinds,
                                  const ManifestOptions& options);

}  // namespace tidemark::webhook
