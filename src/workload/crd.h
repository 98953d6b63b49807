// What a CustomResourceDefinition keeps of its objects.
//
// Purpose: one question: would a stamp be stored? The API server drops, silently, every field that
// a kind's structural schema does not name. Thread-safety: a pure function. Errors: kInvalid where
// the text is no CustomResourceDefinition of the kind's version.
// Source: k8s.io/apiextensions-apiserver pkg/apiserver/schema/pruning/algorithm.go.
#pragma once

#include <string_view>

#include "base/result.h"
#include "workload/kind.h"

namespace tidemark::workload {

// True where annotations of the pod template do not survive a write: pruned by the schema of the
// kind's version, or by that of the version in which objects are stored.
Result<bool> template_metadata_pruned(std::string_view crd_json, const Kind& kind);

}  // namespace tidemark::workload
