// Names of Kubernetes' objects in the configuration.
//
// Thread-safety: free functions. Errors: YamlValue::fail().
#pragma once

#include <string>
#include <string_view>

namespace tidemark::config {

class YamlValue;

// RFC 1123 subdomain, as Secrets have it: at most 253 of a-z, 0-9, '-' and '.'.
bool is_dns_subdomain(std::string_view text);
// "namespace/name" of a Secret.
std::string secret_name(const YamlValue& value);
std::string namespace_name(const YamlValue& value);

}  // namespace tidemark::config
