// Base64: Secret data, caBundle and kubeconfigs, docker configurations, Basic authentication,
// patches.
//
// Thread-safety: free functions. Errors: kInvalid; nothing of the input is ever quoted, for it is
// often a secret. Source: RFC 4648, 4 (standard alphabet).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark {

// With padding.
std::string base64_encode(std::string_view bytes);
void append_base64(std::string& out, std::string_view bytes);

// Padding is all of it or none of it, as the kubelet takes `auth` of a docker configuration. Line
// breaks are skipped, as Go's decoder does, and spaces too: people wrap the values of a kubeconfig.
Result<std::string> base64_decode(std::string_view text);

}  // namespace tidemark
