// Times as the Kubernetes API writes them.
//
// Thread-safety: free functions. Source: apimachinery meta/v1 MicroTime.
#pragma once

#include <string>

#include "base/clock.h"

namespace tidemark::kube {

// "2026-01-31T08:15:00.000123Z": metav1.MicroTime, which Lease and Event require.
std::string to_micro_time(WallTime time);

}  // namespace tidemark::kube
