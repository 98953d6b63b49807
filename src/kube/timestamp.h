// Times as the Kubernetes API writes them.
//
// Thread-safety: free functions. Source: apimachinery meta/v1 MicroTime; RFC 3339.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::kube {

// "2026-01-31T08:15:00.000123Z": metav1.MicroTime, which Lease and Event require.
std::string to_micro_time(WallTime time);

// RFC 3339 as Kubernetes and credential plugins write it: fractions (skipped) and offsets too.
// kInvalid for anything else.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace tidemark::kube
