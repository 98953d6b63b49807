#include "sweeper/inventory.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/shutdown.h"

namespace tidemark::sweeper {
namespace {

// The API server ends watches at this; with jitter, so that they do not all end together.
constexpr std::chrono::seconds kWatchTime{300};
constexpr int kWatchJitterSeconds = 60;

enum class What { kWorkloads, kNamespaces, kPods };

struct Entry {
  SharedWorkload workload;
  bool settled = false;  // in its namespace as Feed::settled_in has it
};
// What each object says, or why it cannot be read.
using Entries = std::map<ObjectKey, Result<Entry>>;

struct Contents {
  Entries workloads;
  Namespaces namespaces;
  std::map<ObjectKey, PodImages> pods;
};

std::string path_of(What what, const workload::Kind* kind, const std::string& ns) {
  if (what == What::kWorkloads) return object_path(*kind, ns);
  return kube::resource_path("v1", what == What::kPods ? "pods" : "namespaces", ns);
}

}  // namespace

// What one watch keeps: of a kind, of the namespaces, or of the pods (`kind` is nullptr).
struct Inventory::Feed {
  Feed(kube::Api& feed_api, const InventoryOptions& feed_options, const Logger& feed_log,
       What feed_what, const workload::Kind* feed_kind, std::string feed_ns, std::uint64_t seed)
      : api(feed_api),
        options(feed_options),
        log(feed_log),
        what(feed_what),
        kind(feed_kind),
        ns(std::move(feed_ns)),
        path(path_of(what, kind, ns)),
        random(seed),
        backoff(options.backoff, seed) {}

  std::string name() const {
    if (kind != nullptr) return kind->plural;
    return what == What::kPods ? "pods" : "namespaces";
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      auto version = list(stop);
      if (!version) {
        failed(version.error());
        (void)sleep_for(backoff.next(), stop);
        continue;
      }
      watch_from(std::move(*version), stop);
    }
  }

  Result<std::string> list(const std::stop_token& stop) {
    Contents seen;
    const auto listed = api.list(
        path, asked_for(),
        [&](std::string_view text) -> Status {
          take(text, seen);
          return {};
        },
        Deadline::after(kListDeadline), stop);
    if (!listed) return fail(listed.error());
    const std::lock_guard lock(mutex);
    contents = std::move(seen);
    is_known();
    return listed->resource_version;
  }

  // Returns where only a new LIST helps, or at a stop.
  void watch_from(std::string version, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::uniform_int_distribution<int> jitter(0, kWatchJitterSeconds);
      const kube::ListOptions asked = asked_for();
      const kube::WatchOptions watch_options{
          .label_selector = asked.label_selector,
          .field_selector = asked.field_selector,
          .resource_version = version,
          .timeout = kWatchTime + std::chrono::seconds(jitter(random))};
      const auto ended = api.watch(
          path, watch_options,
          [this](kube::WatchEvent event, std::string_view text) {
            on_event(event, text);
            return true;
          },
          stop);
      if (ended) {
        version = *ended;
        const std::lock_guard lock(mutex);
        works();
        continue;
      }
      if (stop.stop_requested()) return;
      if (ended.error().kind == ErrorKind::kGone) {
        log.info("watch begins anew", {{"what", name()}, {"cause", ended.error().message}});
        return;
      }
      failed(ended.error());
      (void)sleep_for(backoff.next(), stop);
      // A watch that works again is silent until something changes; a LIST tells at once.
      if (ended.error().retryable()) return;
    }
  }

  void on_event(kube::WatchEvent event, std::string_view text) {
    const std::lock_guard lock(mutex);
    works();
    if (event == kube::WatchEvent::kBookmark) return;
    if (event != kube::WatchEvent::kDeleted) return take(text, contents);
    const ObjectKey key = object_key(text);
    contents.workloads.erase(key);
    contents.namespaces.erase(key.second);
    contents.pods.erase(key);
  }

  // Puts one object where it belongs; takes it out where it is no longer looked at.
  void take(std::string_view text, Contents& out) const {
    if (what == What::kNamespaces) return add_namespace(out.namespaces, text);
    if (what == What::kPods) return take_pod(text, out);
    Entries& into = out.workloads;
    auto object = workload::parse_object(text, *kind);
    if (!object) {
      into.insert_or_assign(object_key(text), fail(object.error()));
    } else if (is_skipped(*object)) {
      into.erase({object->ns, object->name});
    } else {
      into.insert_or_assign(
          {object->ns, object->name},
          Entry{.workload = share(track(*object, options.defaults.policy_rules))});
    }
  }

  static void take_pod(std::string_view text, Contents& out) {
    const auto pod = workload::parse_pod(text);
    if (!pod) return;
    auto images = images_of(*pod);
    if (images) {
      out.pods.insert_or_assign({pod->ns, pod->name}, std::move(*images));
    } else {
      out.pods.erase({pod->ns, pod->name});
    }
  }

  kube::ListOptions asked_for() const {
    return kind == nullptr ? kube::ListOptions{} : list_options(options.selection);
  }

  // With the lock held.
  void works() {
    backoff.reset();
    is_known();
  }

  // With the lock held. A LIST alone does not end the backoff: where watches fail, it would be sent
  // over and over.
  void is_known() {
    problem.reset();
    tried = true;
    changed.notify_all();
  }

  void failed(const Error& error) {
    const std::lock_guard lock(mutex);
    if (!problem && (kind == nullptr || !not_installed(*kind, error))) {
      log.warn("cannot watch", {{"what", name()}, {"namespace", ns}, {"cause", error.message}});
    }
    problem = error;
    tried = true;
    changed.notify_all();
  }

  void wait_tried(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, kListDeadline, [this] { return tried; });
  }

  void copy_to(Collection& out) {
    const std::lock_guard lock(mutex);
    if (problem) add_unlisted(out, *kind, ns, *problem);
    if (!tried) add_unlisted(out, *kind, ns, {ErrorKind::kTimeout, "not listed yet"});
    out.workloads.reserve(out.workloads.size() + contents.workloads.size());
    for (auto& [key, entry] : contents.workloads) {
      if (!entry) {
        out.problems.push_back(unreadable(*kind, key, entry.error()));
        continue;
      }
      // A namespace that is not known yet: its settings may hold its workloads.
      const auto meta = out.namespaces.find(key.first);
      if (meta == out.namespaces.end()) continue;
      settle_entry(*entry, key.first, meta->second);
      out.workloads.push_back(entry->workload);
    }
    settled_in = out.namespaces;
  }

  void settle_entry(Entry& entry, const std::string& its_namespace,
                    const workload::Metadata& meta) {
    const auto before = settled_in.find(its_namespace);
    if (entry.settled && before != settled_in.end() && before->second == meta) return;
    Workload settled = *entry.workload;
    settle(settled, meta, options.defaults);
    entry.workload = share(std::move(settled));
    entry.settled = true;
  }

  void count_pods(RunningPods& out) {
    const std::lock_guard lock(mutex);
    if (problem) out.problems.push_back({.ns = ns, .what = "pods", .error = *problem});
    if (!tried) {
      out.problems.push_back(
          {.ns = ns, .what = "pods", .error = {ErrorKind::kTimeout, "not listed yet"}});
    }
    for (const auto& [key, pod] : contents.pods) count(pod, out.by_workload);
  }

  kube::Api& api;
  const InventoryOptions& options;
  const Logger log;
  const What what;
  const workload::Kind* const kind;
  const std::string ns;
  const std::string path;
  std::mt19937_64 random;  // of the thread alone, as is backoff
  RetrySchedule backoff;

  std::mutex mutex;  // guards all below
  std::condition_variable_any changed;
  Contents contents;
  Namespaces settled_in;  // by the last snapshot
  std::optional<Error> problem;
  bool tried = false;  // listed, or failed to be

  std::jthread thread;  // last: it ends before what it works with
};

Inventory::Inventory(kube::Api& api, InventoryOptions options, Logger log)
    : api_(api), options_(std::move(options)) {
  const auto watch = [&](What what, const workload::Kind* kind, const std::string& ns) {
    feeds_.push_back(
        std::make_unique<Feed>(api_, options_, log, what, kind, ns, options_.seed + feeds_.size()));
  };
  // Named namespaces are read by name at each snapshot: to watch them would need the right to
  // watch all. So are all of them while they are not watched: a hold could be among them.
  const bool all = options_.selection.namespaces.empty();
  if (all) watch(What::kNamespaces, nullptr, "");
  const std::vector<std::string> of_all{""};
  const auto& namespaces = all ? of_all : options_.selection.namespaces;
  for (const workload::Kind& kind : options_.kinds.all()) {
    if (!kind.rollable) continue;
    for (const std::string& ns : namespaces) watch(What::kWorkloads, &kind, ns);
  }
  for (const std::string& ns : namespaces) {
    if (options_.pods) watch(What::kPods, nullptr, ns);
  }
  for (const auto& feed : feeds_) {
    feed->thread = std::jthread([&feed = *feed](const std::stop_token& stop) { feed.run(stop); });
  }
}

Inventory::~Inventory() {
  // All at once: each may need a moment to leave its watch.
  for (const auto& feed : feeds_) feed->thread.request_stop();
}

std::optional<Namespaces> Inventory::known_namespaces() {
  Feed& feed = *feeds_.front();
  const std::lock_guard lock(feed.mutex);
  if (feed.what != What::kNamespaces || !feed.tried || feed.problem) return std::nullopt;
  return feed.contents.namespaces;
}

Result<Collection> Inventory::snapshot(const std::stop_token& stop) {
  for (const auto& feed : feeds_) {
    if (feed->what != What::kPods) feed->wait_tried(stop);
  }
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "stopped");
  Collection out;
  auto namespaces = known_namespaces();
  if (!namespaces) {
    auto read = read_namespaces(api_, options_.selection.namespaces, stop);
    if (!read) return fail(read.error());
    namespaces = std::move(*read);
  }
  out.namespaces = std::move(*namespaces);
  for (const auto& feed : feeds_) {
    if (feed->what == What::kWorkloads) feed->copy_to(out);
  }
  return out;
}

RunningPods Inventory::running() const {
  RunningPods out;
  for (const auto& feed : feeds_) {
    if (feed->what == What::kPods) feed->count_pods(out);
  }
  return out;
}

}  // namespace tidemark::sweeper
