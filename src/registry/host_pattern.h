// host_matches: does a host pattern of a docker configuration or of `registries:` name this host?
//
// A pattern is a host with an optional port; * (any characters) and ? (one) may stand inside a
// label, never for a dot, so "*.example.com" names a.example.com but neither example.com nor
// a.b.example.com. Ports are equal or both absent. Letters are compared without case.
// Thread-safety: a pure function. Source: Kubernetes pkg/credentialprovider/keyring.go (URLsMatch).
#pragma once

#include <string_view>

namespace tidemark::registry {

bool host_matches(std::string_view pattern, std::string_view host);

}  // namespace tidemark::registry
