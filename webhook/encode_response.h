// Stage 5: Decision -> AdmissionReview JSON.
//
// Purpose: the only writer of admission answers. Thread-safety: pure functions. Errors: none.
// Source: k8s.io/api admission/v1 types.go (AdmissionResponse: "Warnings over 256 characters and
// large numbers of warnings may be truncated"); apiserver endpoints/filters/warning.go: beyond 4096
// characters in all, the rest is dropped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "webhook/decide.h"

namespace tidemark::webhook {

inline constexpr std::size_t kMaxWarningBytes = 256;
inline constexpr std::size_t kMaxWarningsBytes = 4096;

std::string encode_response(std::string_view uid, Decision decision);

// One line each, without repetition, cut at a character within the bounds above; what does not fit
// is counted in the last one.
std::vector<std::string> bound_warnings(std::vector<std::string> warnings);

}  // namespace tidemark::webhook
