// Api: the few verbs of the Kubernetes API that Tidemark uses.
//
// Purpose: the seam between programs and the API server. Objects go in and out as JSON text: who
// reads them turns them into plain structs (workload/, certs/). make_api gives the real one; tests
// give programs a recording fake (tests/support/fake_kube_api.h).
// Thread-safety: all methods from many threads at once.
// Errors, the same for every verb: kInvalid (400; 422 with causes), kUnauthorized, kForbidden,
// kNotFound, kConflict (409; a 422 "Invalid" without causes, which is how the API server reports a
// failed JSON Patch test), kGone (410), kTooMany, kTimeout, kCanceled, kUnavailable, kTls,
// kTooLarge. The message is the Status object's message, cut to a bound.
// Source: Kubernetes API concepts (limit/continue, watch bookmarks, 410), RFC 6902 (JSON Patch).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kube/config.h"

namespace tidemark::kube {

// Path of a collection or object below the server's root.
//   resource_path("apps/v1", "deployments", "team-a", "web")
//     -> "/apis/apps/v1/namespaces/team-a/deployments/web"
//   resource_path("v1", "pods")  -> "/api/v1/pods" (all namespaces)
// Segments are percent-encoded. Empty `ns`: cluster-scoped or all namespaces; empty `name`: the
// collection.
std::string resource_path(std::string_view api_version, std::string_view resource,
                          std::string_view ns = {}, std::string_view name = {});

struct ListOptions {
  std::string label_selector;
  std::string field_selector;
  std::size_t limit = 500;  // objects a page, which the API server holds as a whole
};

struct ListResult {
  std::string resource_version;  // of the list: where a watch may start
  std::size_t items = 0;
  std::size_t pages = 0;
};

struct WatchOptions {
  std::string label_selector;
  std::string field_selector;
  std::string resource_version;
  std::chrono::seconds timeout{300};       // timeoutSeconds sent to the server; callers add jitter
  std::chrono::milliseconds idle{90'000};  // bookmarks come each minute
};

enum class WatchEvent { kAdded, kModified, kDeleted, kBookmark };

struct PatchOptions {
  std::string content_type = "application/json-patch+json";
  std::string field_manager = "tidemark";
  bool dry_run = false;
};

class Api {
 public:
  virtual ~Api() = default;

  virtual Result<std::string> get(std::string_view path, Deadline deadline,
                                  std::stop_token stop = {}) = 0;

  // Calls `item` with the JSON text of every object as it arrives, page by page (continue tokens
  // followed), in order; items of built-in kinds carry no apiVersion and kind. `item` may return an
  // error to end the listing with it. An expired continue token (410) restarts the listing once at
  // the inconsistent continuation the server offers, else is kGone.
  using ItemSink = std::function<Status(std::string_view item_json)>;
  virtual Result<ListResult> list(std::string_view path, const ListOptions& options,
                                  const ItemSink& item, Deadline deadline,
                                  std::stop_token stop = {}) = 0;

  // Calls `event` for each event, bookmarks included, until the server ends the watch (success,
  // with the last resourceVersion seen), an error comes (an ERROR event with code 410 is kGone), or
  // `event` returns false. A connection that breaks or falls silent after it had delivered
  // something counts as ended by the server: go on from the returned version.
  using EventSink = std::function<bool(WatchEvent type, std::string_view object_json)>;
  virtual Result<std::string> watch(std::string_view path, const WatchOptions& options,
                                    const EventSink& event, std::stop_token stop) = 0;

  virtual Result<std::string> create(std::string_view path, std::string_view body,
                                     Deadline deadline, std::stop_token stop = {}) = 0;
  // PUT: the object's metadata.resourceVersion makes it conditional.
  virtual Result<std::string> update(std::string_view path, std::string_view body,
                                     Deadline deadline, std::stop_token stop = {}) = 0;
  virtual Result<std::string> patch(std::string_view path, std::string_view body,
                                    const PatchOptions& options, Deadline deadline,
                                    std::stop_token stop = {}) = 0;
  virtual Status remove(std::string_view path, Deadline deadline, std::stop_token stop = {}) = 0;

  // What the API server's clock shows now, from the Date of its last answer to a verb other than
  // list and watch (RFC 9110, 6.6.1), to the second; nullopt before the first. For what the API
  // server will compare with its own clock.
  virtual std::optional<WallTime> server_time() const = 0;
};

// `user_agent`: "tidemark-sweeper/0.1.0". Errors: kInvalid where the configuration does not load.
Result<std::unique_ptr<Api>> make_api(ClusterConfig config, std::string user_agent,
                                      Metrics& metrics, Logger log);

}  // namespace tidemark::kube
