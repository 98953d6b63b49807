#include "sweeper/collect.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "base/worker_pool.h"

namespace tidemark::sweeper {
namespace {

using nlohmann::json;

workload::StringMap strings_of(const json& metadata, const char* key) {
  workload::StringMap out;
  const auto found = metadata.find(key);
  if (found == metadata.end() || !found->is_object()) return out;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) out.emplace(name, value.get<std::string>());
  }
  return out;
}

std::string string_of(const json& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// metadata of an object that may be anything; an empty object where it has none.
json metadata_of(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return json::object();
  const auto found = object.find("metadata");
  return found != object.end() && found->is_object() ? *found : json::object();
}

// One LIST: what came of it, until all are over.
struct Listing {
  const workload::Kind* kind = nullptr;
  std::string ns;
  std::vector<CollectProblem> problems{};
  Status ended{};
};

std::vector<Listing> listings_of(const workload::KindTable& kinds, const Selection& selection) {
  const std::vector<std::string> all{""};
  std::vector<Listing> out;
  for (const workload::Kind& kind : kinds.all()) {
    if (!kind.rollable) continue;
    for (const std::string& ns : selection.namespaces.empty() ? all : selection.namespaces) {
      out.push_back({.kind = &kind, .ns = ns});
    }
  }
  return out;
}

using Visit = std::function<void(const workload::Object&)>;

void list(kube::Api& api, Listing& listing, const Selection& selection, const Visit& visit,
          std::mutex& visiting, const std::stop_token& stop) {
  const auto take = [&](std::string_view text) -> Status {
    const auto object = workload::parse_object(text, *listing.kind);
    if (!object) {
      listing.problems.push_back(unreadable(*listing.kind, object_key(text), object.error()));
    } else if (!is_skipped(*object)) {
      const std::lock_guard lock(visiting);
      visit(*object);
    }
    return {};
  };
  const auto listed = api.list(object_path(*listing.kind, listing.ns), list_options(selection),
                               take, Deadline::after(kListDeadline), stop);
  if (!listed) listing.ended = fail(listed.error());
}

// Of a LIST: 400 is what the API server answers to a selector that it cannot read, or to a field
// that a kind does not have.
bool refused_selector(const Error& error) {
  return error.kind == ErrorKind::kInvalid && error.http_status == 400;
}

}  // namespace

kube::ListOptions list_options(const Selection& selection) {
  kube::ListOptions options{.label_selector = selection.label_selector,
                            .field_selector = selection.field_selector};
  for (const std::string& ns : selection.excluded) {
    append_part(options.field_selector, ",", "metadata.namespace!=" + ns);
  }
  return options;
}

bool covers(const Selection& whole, const Selection& part) {
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  const auto looked_at = [&](const std::string& ns) {
    return whole.namespaces.empty() || has(whole.namespaces, ns);
  };
  const auto not_asked_for = [&](const std::string& ns) {
    return has(part.excluded, ns) || (!part.namespaces.empty() && !has(part.namespaces, ns));
  };
  return (whole.namespaces.empty() || !part.namespaces.empty()) &&
         std::ranges::all_of(part.namespaces, looked_at) &&
         std::ranges::all_of(whole.excluded, not_asked_for) &&
         (whole.label_selector.empty() || whole.label_selector == part.label_selector) &&
         (whole.field_selector.empty() || whole.field_selector == part.field_selector);
}

ObjectKey object_key(std::string_view text) {
  const json metadata = metadata_of(text);
  return {string_of(metadata, "namespace"), string_of(metadata, "name")};
}

CollectProblem unreadable(const workload::Kind& kind, ObjectKey key, Error error) {
  return {
      .ns = std::move(key.first), .what = kind.kind + "/" + key.second, .error = std::move(error)};
}

bool not_installed(const workload::Kind& kind, const Error& error) {
  return kind.custom && error.kind == ErrorKind::kNotFound;
}

void add_unlisted(Collection& out, const workload::Kind& kind, const std::string& ns,
                  const Error& error) {
  if (not_installed(kind, error)) {
    // There is nothing of this kind, so everything was seen all the same.
    out.problems.push_back({.ns = ns,
                            .what = kind.plural + "." + kind.group,
                            .error = within("not installed", error)});
    return;
  }
  out.listed_everything = false;
  if (!kind.custom && error.retryable()) out.uncounted = kind.plural;
  const auto same = std::ranges::find_if(
      out.problems, [](const CollectProblem& told) { return refused_selector(told.error); });
  if (!refused_selector(error) || same == out.problems.end()) {
    out.problems.push_back({.ns = ns, .what = kind.plural, .error = error});
  } else if (same->what.find(kind.plural) == std::string::npos) {
    append_part(same->what, ", ", kind.plural);
  }
}

bool is_skipped(const workload::Object& object) { return object.controller || object.deleting; }

void add_namespace(Namespaces& namespaces, std::string_view text) {
  const json metadata = metadata_of(text);
  namespaces.insert_or_assign(
      string_of(metadata, "name"),
      workload::Metadata{strings_of(metadata, "annotations"), strings_of(metadata, "labels")});
}

std::optional<Workload> track_unless_skipped(const workload::Object& object,
                                             const Namespaces& namespaces,
                                             const workload::Settings& defaults) {
  if (is_skipped(object)) return std::nullopt;
  const auto ns = namespaces.find(object.ns);
  // A namespace made since the namespaces were read: its settings are not known, so its workloads
  // wait for the next sweep.
  if (ns == namespaces.end()) return std::nullopt;
  Workload workload = track(object, defaults.policy_rules);
  settle(workload, ns->second, defaults);
  return workload;
}

Result<Namespaces> read_namespaces(kube::Api& api, const std::vector<std::string>& names,
                                   const std::stop_token& stop) {
  const Deadline deadline = Deadline::after(kListDeadline);
  Namespaces namespaces;
  for (const std::string& name : names) {
    const auto text = api.get(kube::resource_path("v1", "namespaces", "", name), deadline, stop);
    if (!text) return fail(within("namespace " + name, text.error()));
    add_namespace(namespaces, *text);
  }
  if (!names.empty()) return namespaces;
  const auto listed = api.list(
      kube::resource_path("v1", "namespaces"), {},
      [&namespaces](std::string_view text) -> Status {
        add_namespace(namespaces, text);
        return {};
      },
      deadline, stop);
  if (!listed) return fail(within("listing namespaces", listed.error()));
  return namespaces;
}

std::vector<workload::HoldOrder> cluster_orders(const Namespaces& namespaces,
                                                const std::string& name) {
  const auto own = namespaces.find(name);
  if (own == namespaces.end()) return {};
  auto orders = workload::effective_settings({}, {}, own->second, {}).settings.holds;
  for (workload::HoldOrder& order : orders) order.level = workload::HoldOrder::Level::kCluster;
  return orders;
}

Result<std::vector<workload::HoldOrder>> read_cluster_orders(kube::Api& api,
                                                             const Namespaces& namespaces,
                                                             const std::string& name,
                                                             const std::stop_token& stop) {
  if (namespaces.contains(name)) return cluster_orders(namespaces, name);
  const auto own = read_namespaces(api, {name}, stop);
  if (own) return cluster_orders(*own, name);
  if (own.error().kind == ErrorKind::kNotFound) return {};
  return fail(own.error());
}

Status visit_rollable(kube::Api& api, const workload::KindTable& kinds, const Selection& selection,
                      const std::function<void(const workload::Object&)>& visit, Collection& out,
                      const std::stop_token& stop) {
  std::vector<Listing> listings = listings_of(kinds, selection);
  std::mutex visiting;
  {
    WorkerPool pool(std::min(std::max<std::size_t>(selection.lists_at_once, 1), listings.size()),
                    listings.size());
    for (Listing& listing : listings) {
      const bool queued = pool.submit([&api, &listing, &selection, &visit, &visiting, &stop] {
        if (!stop.stop_requested()) list(api, listing, selection, visit, visiting, stop);
      });
      // Cannot be: the queue holds them all.
      if (!queued) listing.ended = fail(ErrorKind::kInternal, "not listed");
    }
  }
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  for (Listing& listing : listings) {
    std::ranges::move(listing.problems, std::back_inserter(out.problems));
    if (!listing.ended) add_unlisted(out, *listing.kind, listing.ns, listing.ended.error());
  }
  return {};
}

Result<Collection> collect(kube::Api& api, const workload::KindTable& kinds,
                           const Selection& selection, const workload::Settings& defaults,
                           std::stop_token stop) {
  Collection out;
  auto namespaces = read_namespaces(api, selection.namespaces, stop);
  if (!namespaces) return fail(namespaces.error());
  out.namespaces = std::move(*namespaces);
  const auto take = [&](const workload::Object& object) {
    if (auto tracked = track_unless_skipped(object, out.namespaces, defaults); tracked) {
      out.workloads.push_back(share(std::move(*tracked)));
    }
  };
  if (auto seen = visit_rollable(api, kinds, selection, take, out, stop); !seen) {
    return fail(seen.error());
  }
  return out;
}

}  // namespace tidemark::sweeper
