// manifest: the rights that a sweeper needs for the kinds of its configuration.
//
// Purpose: the built-in kinds' rights are in deploy/; those of custom kinds follow from the table.
// `tidemark-sweeper manifest` prints them. Thread-safety: a pure function. Errors: none.
// Source: rbac.authorization.k8s.io/v1.
#pragma once

#include <string>

#include "workload/kind.h"

namespace tidemark::sweeper {

// A ClusterRole and its binding to the service account of deploy/, as YAML; "" where no kind is
// custom.
std::string kinds_role(const workload::KindTable& kinds);

}  // namespace tidemark::sweeper
