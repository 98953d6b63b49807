// pods: what runs of one workload.
//
// Purpose: the pods that its selector finds and its controller owns, for judge.h and `explain`.
// Read only where a question needs them: a sweep in which nothing is under way lists no pods.
// Thread-safety: a free function over a thread-safe Api. Errors: the API server's; kNotFound for a
// workload that is gone; none for a kind without a selector, which has no pods that anybody knows.
// Source: meta/v1 LabelSelector.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kube/api.h"
#include "workload/kind.h"
#include "workload/pod.h"

namespace tidemark::sweeper {

// `json`: an object with spec.selector. As the API server takes it: "app=web,tier in (a,b),!x"; ""
// where there is none.
std::string label_selector_of(std::string_view json);

Result<std::vector<workload::Pod>> pods_of(kube::Api& api, const workload::Kind& kind,
                                           const std::string& ns, const std::string& name,
                                           Deadline deadline, const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
