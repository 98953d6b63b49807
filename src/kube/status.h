// What the API server answers when it does not do what it was asked: metav1.Status -> Error.
//
// Purpose: the one place that knows which answer means what (the table in api.h).
// Thread-safety: free functions. Source: apimachinery meta/v1 Status, api/errors.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace tidemark::kube {

struct ApiFailure {
  Error error;
  // Of a 410 to a list: where the rest of the list can be read, at a newer resourceVersion.
  std::string continue_token;
};

// `body` may be a Status object or anything else that a proxy on the way made up.
ApiFailure describe_failure(const net::Response& response, WallTime now);
// The Status object of a watch's ERROR event: its `code` stands for the HTTP status.
ApiFailure describe_failure(std::string_view status_json);

}  // namespace tidemark::kube
