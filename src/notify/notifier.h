// Notifier: what a sweep tells, to each sink what it wants to hear, standing states once.
//
// Purpose: the fan-out. A state that stands (Notification::standing) is told to a sink when it is
// first seen; it is forgotten, to be told again, when no sweep has seen it for an hour. What was
// told is remembered in memory alone: a new process tells what stands. Thread-safety: tell() from
// any thread; it never blocks on a sink. Ownership: owns its sinks; clock and metrics must outlive
// it. Errors: make() kInvalid, with the sink's name.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "net/client.h"
#include "notify/notification.h"
#include "notify/sink.h"

namespace tidemark::notify {

// Where a program tells; tests record it (tests/support/fake_audience.h).
class Audience {
 public:
  virtual ~Audience() = default;
  // All of one sweep, whether it was told before or not.
  virtual void tell(std::vector<Notification> notifications) = 0;
};

struct Subscription {
  SinkOptions sink;
  net::ClientOptions client{};
  std::set<std::string> reasons;     // of kReasons
  std::set<std::string> namespaces;  // empty: all
};

class Notifier final : public Audience {
 public:
  static Result<std::unique_ptr<Notifier>> make(std::string cluster,
                                                std::vector<Subscription> subscriptions,
                                                const Clock& clock, Metrics& metrics,
                                                const Logger& log);
  // Drains all sinks beside each other (SinkOptions::drain).
  ~Notifier() override;

  void tell(std::vector<Notification> notifications) override;
  // Waits until nothing is queued anywhere, or the deadline; false then.
  bool flush(Deadline deadline);

 private:
  struct Subscriber {
    std::set<std::string> reasons;
    std::set<std::string> namespaces;
    std::unordered_map<std::string, SteadyTime> told;  // by id; of states that stand, last seen
    std::unique_ptr<Sink> sink;

    bool wants(const Notification& notification) const;
  };

  Notifier(std::string cluster, const Clock& clock) : cluster_(std::move(cluster)), clock_(clock) {}
  void tell_one(Subscriber& subscriber, const std::vector<Queued>& notifications);

  const std::string cluster_;  // of every notification; "" where it has no name
  const Clock& clock_;
  std::mutex mutex_;
  std::vector<Subscriber> subscribers_;
};

}  // namespace tidemark::notify
