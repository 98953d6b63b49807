// EventRecorder: Kubernetes Events (events.k8s.io/v1), written beside the work and never before it.
//
// Purpose: what `kubectl describe` and `kubectl events` show about a decision of ours. Recording
// never blocks and never fails the caller: a bounded queue, one thread, best effort.
// The same event again within the series window is counted in the first one's series instead of
// becoming another object; the same *decision* again (one write may reach the webhook several times
// with its own request each, and another replica each) is dropped: its Event has a name that
// follows from the decision, so that the API server itself refuses the second one. Thread-safety:
// record() from any thread. Ownership: api, clock and metrics must outlive this; the destructor
// writes what is queued for at most two seconds. Source: events.k8s.io/v1 Event and its validation
// (names up to 128 bytes, note up to 1,024).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kube/api.h"

namespace tidemark::kube {

struct ObjectReference {
  std::string api_version;
  std::string kind;
  std::string ns;  // "" for a cluster-scoped object: its events live in "default"
  std::string name;
  std::string uid = {};
  std::string resource_version = {};
};

struct EventNote {
  ObjectReference regarding;
  bool warning = false;
  std::string reason;  // "Stamped": one CamelCase word, a machine may match it
  std::string action;  // "Stamp": what was done
  std::string note;    // for people; cut to 1,024 bytes
  // What makes it one decision of this object and reason, e.g. uid + resourceVersion; "" for none.
  std::string decision = {};
};

// Where a program tells what it decided; tests record it (tests/support/fake_event_sink.h).
class EventSink {
 public:
  virtual ~EventSink() = default;
  // From any thread; never blocks. False where the event is lost.
  virtual bool record(EventNote note) = 0;
};

struct EventOptions {
  std::string controller;  // "tidemark.dev/sweeper"
  std::string instance;    // the pod's name
  std::size_t max_queued = 256;
  std::size_t max_series = 4096;  // about 0.5 KiB each: 2 MiB
  // An event that was not repeated for so long is a new one (client-go: 6 min).
  std::chrono::milliseconds series_window{std::chrono::minutes{6}};
  // A series is written at its second event, then at most this often.
  std::chrono::milliseconds series_interval{std::chrono::minutes{1}};
};

class EventRecorder final : public EventSink {
 public:
  EventRecorder(Api& api, const Clock& clock, EventOptions options, Metrics& metrics, Logger log);
  ~EventRecorder() override;
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  // False where the queue was full and the event is lost (counted).
  bool record(EventNote note) override;
  // Waits until everything recorded so far was tried, or the deadline: for the end of a `once` run.
  bool flush(Deadline deadline);

 private:
  struct Queued {
    EventNote note;
    WallTime at;
  };
  struct Series {
    std::string path;  // of the Event; "" where it could not be created
    std::string decision;
    int count = 1;
    SteadyTime seen;
    SteadyTime written;
  };

  void work(const std::stop_token& stop);
  void write(const Queued& queued, Deadline deadline);
  void create(const Queued& queued, Series& series, Deadline deadline);
  void prune(SteadyTime now);

  Api& api_;
  const Clock& clock_;
  const EventOptions options_;
  const CounterFamily outcomes_;
  const Logger log_;
  std::map<std::string, Series> series_;  // of the worker alone

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Queued> queue_;
  std::size_t unfinished_ = 0;  // queued or being written
  std::jthread thread_;         // last: joined before the rest goes
};

}  // namespace tidemark::kube
