// collect: the cluster's rollable workloads, read once.
//
// Purpose: stage 1 of a sweep. One paged LIST per rollable kind (and namespace, where namespaces
// are named) and one of the namespaces' metadata; no pods, no ReplicaSets, no Secrets. Objects with
// a controller owner or being deleted are skipped: their owner is what would be rolled.
// Thread-safety: a free function over a thread-safe Api. Ownership: the workloads point to `kinds`.
// Errors: a Result error only where nothing could be decided at all (the namespaces' settings are
// unknown, or a stop); a kind that cannot be listed and an object that cannot be read are problems
// beside the rest, and never end the pass.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kube/api.h"
#include "sweeper/tracked.h"
#include "workload/kind.h"
#include "workload/settings.h"

namespace tidemark::sweeper {

struct Selection {
  std::vector<std::string> namespaces{};  // empty: all
  std::vector<std::string> excluded{};    // namespaces that are not looked at, of all or the named
  std::string label_selector{};
  std::string field_selector{};
  std::size_t lists_at_once = 4;  // a kind each, or a kind of a namespace
};

// Whether everything that `part` selects is among what `whole` selects, as far as that can be told
// without reading it: equal selectors only.
bool covers(const Selection& whole, const Selection& part);

// What the API server is asked for; it leaves the excluded namespaces out.
kube::ListOptions list_options(const Selection& selection);

// What could not be read: "deployments" or "deployment/web".
struct CollectProblem {
  std::string ns;
  std::string what;
  Error error;
};

using Namespaces = std::map<std::string, workload::Metadata>;

struct Collection {
  Workloads workloads;
  std::vector<CollectProblem> problems;
  bool listed_everything = true;  // false: a kind could not be listed (or not to its end)
  // A built-in kind that cannot be read just now, though it may be. Rollouts under way may be among
  // what is not seen, so that budgets and waves cannot be counted: no roll begins.
  std::string uncounted{};
  Namespaces namespaces;
  std::vector<workload::HoldOrder> orders{};  // about the whole cluster; filled in by the sweep
};

// One LIST of 10,000 objects takes some seconds on a loaded API server.
inline constexpr std::chrono::seconds kListDeadline{60};

using ObjectKey = std::pair<std::string, std::string>;  // namespace, name
// Of an object that may be anything; empty strings where it does not say.
ObjectKey object_key(std::string_view text);
void add_namespace(Namespaces& namespaces, std::string_view text);

// One object of a kind that cannot be read.
CollectProblem unreadable(const workload::Kind& kind, ObjectKey key, Error error);
// A configured kind that is not there: nothing of it is missing.
bool not_installed(const workload::Kind& kind, const Error& error);
// A kind that could not be listed, or is not watched. A selector that the API server refuses is one
// problem, however many kinds were asked for it.
void add_unlisted(Collection& out, const workload::Kind& kind, const std::string& ns,
                  const Error& error);
// Owned by a controller, which is what would be rolled, or being deleted.
bool is_skipped(const workload::Object& object);

// The metadata of these namespaces, read by name (a sweeper of two namespaces needs no right to
// list them), or of all where none is named.
Result<Namespaces> read_namespaces(kube::Api& api, const std::vector<std::string>& names,
                                   const std::stop_token& stop = {});

// Every object of the rollable kinds that is not skipped, as it is listed; one call of `visit` at a
// time, from any thread. What cannot be read becomes a problem of `out`. Errors: a stop.
Status visit_rollable(kube::Api& api, const workload::KindTable& kinds, const Selection& selection,
                      const std::function<void(const workload::Object&)>& visit, Collection& out,
                      const std::stop_token& stop = {});

Result<Collection> collect(kube::Api& api, const workload::KindTable& kinds,
                           const Selection& selection, const workload::Settings& defaults,
                           std::stop_token stop = {});

// Orders about the whole cluster (`hold -A`) stand on Tidemark's own namespace, `name`. None where
// it is not there, as in a cluster that is swept from outside.
std::vector<workload::HoldOrder> cluster_orders(const Namespaces& namespaces,
                                                const std::string& name);
// The namespace read beside `namespaces` if it is not among them.
Result<std::vector<workload::HoldOrder>> read_cluster_orders(kube::Api& api,
                                                             const Namespaces& namespaces,
                                                             const std::string& name,
                                                             const std::stop_token& stop = {});

// One object as collect would see it; nullopt where collect skips it.
std::optional<Workload> track_unless_skipped(const workload::Object& object,
                                             const Namespaces& namespaces,
                                             const workload::Settings& defaults);

}  // namespace tidemark::sweeper
