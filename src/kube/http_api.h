// The real Api over an HttpClient, with its seams open for tests.
//
// Purpose: make_api() in api.h is make_http_api() with the real client, clock and credentials.
// Thread-safety, errors: as Api. Ownership: `config` is moved in, `clock` is shared;
// `metrics` must outlive the result.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kube/api.h"
#include "kube/config.h"
#include "net/http.h"

namespace tidemark::kube {

// A client for the API server that shows `pair`: called once at start, and again whenever an exec
// plugin gives another certificate.
using ClientFactory =
    std::function<Result<std::shared_ptr<net::HttpClient>>(const std::optional<net::KeyPair>&)>;

Result<std::unique_ptr<Api>> make_http_api(ClusterConfig config, ClientFactory factory,
                                           std::shared_ptr<const Clock> clock, Metrics& metrics,
                                           Logger log);

}  // namespace tidemark::kube
