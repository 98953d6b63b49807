// Base64 as Kubernetes writes []byte fields in JSON: Secret data, caBundle, kubeconfig *-data.
//
// Thread-safety: free functions. Source: RFC 4648, 4 (standard alphabet, padded).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark::kube {

std::string base64_encode(std::string_view bytes);

// Line breaks and spaces are skipped, as Go's decoder skips line breaks (people wrap the values of
// a kubeconfig). kInvalid for anything else outside the alphabet, and for wrong padding.
Result<std::string> base64_decode(std::string_view text);

}  // namespace tidemark::kube
