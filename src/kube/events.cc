#include "kube/events.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/fnv.h"
#include "base/text.h"
#include "kube/timestamp.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kApiVersion = "events.k8s.io/v1";
constexpr std::size_t kMaxNoteBytes = 1024;  // ValidateEventCreate
constexpr std::size_t kMaxNameBytes = 128;   // reason, action, controller, instance
constexpr std::size_t kMaxObjectName = 253;  // a DNS subdomain
// An event is worth no more waiting than this; the queue holds the rest meanwhile.
constexpr std::chrono::seconds kWriteTimeout{5};
constexpr std::chrono::seconds kShutdownTimeout{2};

std::string namespace_of(const EventNote& note) {
  return note.regarding.ns.empty() ? "default" : note.regarding.ns;
}

// What tells one decision from all others. Not the note: a second look at the same registry may
// find another cause.
std::uint64_t decision_number(const EventNote& note) {
  std::string text;
  for (const std::string* part :
       {&note.regarding.api_version, &note.regarding.kind, &note.reason, &note.decision}) {
    text.append(*part).push_back('\0');
  }
  return fnv1a(text);
}

// client-go's form: the object's name and a hexadecimal number, there the time in nanoseconds.
std::string event_name(const EventNote& note, WallTime at) {
  const auto number =
      note.decision.empty()
          ? static_cast<std::uint64_t>(
                std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count())
          : decision_number(note);
  const std::string suffix = to_hex(number);
  return cut(note.regarding.name, kMaxObjectName - 1 - suffix.size()) + "." + suffix;
}

std::string key_of(const EventNote& note) {
  const ObjectReference& object = note.regarding;
  std::string key;
  for (const std::string* part : {&object.api_version, &object.kind, &object.ns, &object.name,
                                  &object.uid, &note.reason, &note.action, &note.note}) {
    key.append(*part).push_back('\0');
  }
  return key;
}

json reference(const ObjectReference& object) {
  json result{{"apiVersion", object.api_version}, {"kind", object.kind}, {"name", object.name}};
  if (!object.ns.empty()) result["namespace"] = object.ns;
  if (!object.uid.empty()) result["uid"] = object.uid;
  if (!object.resource_version.empty()) result["resourceVersion"] = object.resource_version;
  return result;
}

// Bytes that are not UTF-8 are replaced, as the log does.
std::string dumped(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

EventRecorder::EventRecorder(Api& api, const Clock& clock, EventOptions options, Metrics& metrics,
                             Logger log)
    : api_(api),
      clock_(clock),
      options_(std::move(options)),
      outcomes_(metrics.counter("tidemark_kube_events_total",
                                "Kubernetes Events by outcome: written, series, repeated (same "
                                "decision), dropped (queue full), failed.")),
      log_(std::move(log)),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

EventRecorder::~EventRecorder() {
  thread_.request_stop();
  thread_.join();
}

bool EventRecorder::record(EventNote note) {
  const WallTime now = clock_.wall_now();
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < options_.max_queued) {
      queue_.push_back({.note = std::move(note), .at = now});
      ++unfinished_;
      changed_.notify_all();
      return true;
    }
  }
  outcomes_.with({{"outcome", "dropped"}}).add();
  return false;
}

bool EventRecorder::flush(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.point(), [this] { return unfinished_ == 0; });
}

void EventRecorder::work(const std::stop_token& stop) {
  std::optional<Deadline> last;  // once a stop was requested: until when the rest is written
  while (true) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, stop, [this] { return !queue_.empty(); });
    if (stop.stop_requested() && !last) last = Deadline::after(kShutdownTimeout);
    if (queue_.empty() || (last && last->expired())) return;
    const Queued queued = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    write(queued, last ? *last : Deadline::after(kWriteTimeout));
    lock.lock();
    --unfinished_;
    changed_.notify_all();
  }
}

void EventRecorder::write(const Queued& queued, Deadline deadline) {
  const SteadyTime now = clock_.steady_now();
  const std::string key = key_of(queued.note);
  const auto found = series_.find(key);
  const bool repeated = found != series_.end() && now - found->second.seen < options_.series_window;
  if (!repeated) {
    if (found == series_.end()) prune(now);
    create(queued,
           series_[key] =
               Series{.path = {}, .decision = queued.note.decision, .seen = now, .written = now},
           deadline);
    return;
  }
  Series& series = found->second;
  series.seen = now;
  if (!queued.note.decision.empty() && series.decision == queued.note.decision) {
    outcomes_.with({{"outcome", "repeated"}}).add();
    return;
  }
  series.decision = queued.note.decision;
  if (series.path.empty()) {  // the first one failed: this one is the first now
    create(queued, series, deadline);
    return;
  }
  ++series.count;
  if (series.count > 2 && now - series.written < options_.series_interval) return;
  series.written = now;
  const json patch{
      {"series", {{"count", series.count}, {"lastObservedTime", to_micro_time(queued.at)}}}};
  PatchOptions options;
  options.content_type = "application/merge-patch+json";
  const auto written = api_.patch(series.path, dumped(patch), options, deadline);
  if (!written && written.error().kind == ErrorKind::kNotFound) {  // expired (one hour) or deleted
    series.count = 1;
    create(queued, series, deadline);
    return;
  }
  outcomes_.with({{"outcome", written ? "series" : "failed"}}).add();
  if (!written) log_.debug("event series was not written", {{"cause", written.error().message}});
}

void EventRecorder::create(const Queued& queued, Series& series, Deadline deadline) {
  const EventNote& note = queued.note;
  const std::string ns = namespace_of(note);
  const std::string name = event_name(note, queued.at);
  const json event{{"apiVersion", kApiVersion},
                   {"kind", "Event"},
                   {"metadata", {{"name", name}, {"namespace", ns}}},
                   {"eventTime", to_micro_time(queued.at)},
                   {"reportingController", cut(options_.controller, kMaxNameBytes)},
                   {"reportingInstance", cut(options_.instance, kMaxNameBytes)},
                   {"type", note.warning ? "Warning" : "Normal"},
                   {"reason", cut(note.reason, kMaxNameBytes)},
                   {"action", cut(note.action, kMaxNameBytes)},
                   {"regarding", reference(note.regarding)},
                   {"note", cut(note.note, kMaxNoteBytes)}};
  const auto created =
      api_.create(resource_path(kApiVersion, "events", ns), dumped(event), deadline);
  // Told already: by another replica, or with another cause.
  const bool told = !created && created.error().kind == ErrorKind::kConflict;
  outcomes_.with({{"outcome", created ? "written" : told ? "repeated" : "failed"}}).add();
  if (created || told) {
    series.path = resource_path(kApiVersion, "events", ns, name);
  } else {
    series.path.clear();
    log_.debug("event was not written",
               {{"object", note.regarding.name}, {"cause", created.error().message}});
  }
}

void EventRecorder::prune(SteadyTime now) {
  if (series_.size() < options_.max_series) return;
  std::erase_if(series_, [&](const auto& entry) {
    return now - entry.second.seen >= options_.series_window;
  });
  if (series_.size() < options_.max_series) return;
  const auto oldest =
      std::ranges::min_element(series_, {}, [](const auto& entry) { return entry.second.seen; });
  series_.erase(oldest);
}

}  // namespace tidemark::kube
