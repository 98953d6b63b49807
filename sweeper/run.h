// run: the daemon. Sweeps one after the other, never two at once, until it is told to stop.
//
// Purpose: interval with jitter, or a schedule, backoff after a sweep that could not be made, and
// readiness. Thread-safety: Readiness from any thread; run_sweeps blocks its caller. Errors: none:
// a sweep that fails is a log line, a metric and a retry.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/cron.h"
#include "base/retry.h"
#include "sweeper/due.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

// Whether this process can really work: it did lately what it is there for.
class Readiness {
 public:
  // `patience`: how long the last success may be over.
  Readiness(const Clock& clock, std::chrono::milliseconds patience)
      : clock_(clock), patience_(patience) {}

  void worked();                   // a sweep that saw everything it asked the API server for
  void failed(std::string cause);  // one that did not
  void standing_by(bool yes);      // another replica leads: nothing has to succeed here
  void stopping();
  // nullopt: ready.
  std::optional<std::string> problem() const;

 private:
  const Clock& clock_;
  const std::chrono::milliseconds patience_;
  mutable std::mutex mutex_;
  std::optional<SteadyTime> last_success_;
  std::string cause_ = "no sweep yet";
  bool standing_by_ = false;
  bool stopping_ = false;
};

struct RunOptions {
  SweepOptions sweep;
  std::chrono::milliseconds interval{60'000};
  std::optional<Cron> schedule{};  // instead of the interval
  RetrySchedule::Options backoff{std::chrono::milliseconds{1'000},
                                 std::chrono::milliseconds{60'000}, 2.0};
  // Paced rolls go on between two sweeps: how often it is looked whether the ones before are done.
  std::chrono::milliseconds step{2'000};
  Due* due = nullptr;  // what wakes it between two sweeps; nullptr: nothing
  // Called after each sweep (`whole`: every registry was asked), and each step between two.
  std::function<void(const SweepReport&, bool whole)> learned{};
  std::uint64_t seed = 0;  // of the jitter; programs take it from std::random_device
};

// A readiness that outlives three intervals (of a schedule: three of its longest, of those to come)
// and one sweep that took all the time it may take.
std::chrono::milliseconds readiness_patience(const RunOptions& options, WallTime now);

// Returns when `stop` is requested; a sweep under way ends early, between two of its requests.
// `pause` sleeps (base/shutdown.h's sleep_for, or Due::wait; tests look at what it is asked for).
using Pause = std::function<bool(std::chrono::milliseconds, const std::stop_token&)>;
void run_sweeps(const SweepContext& context, const RunOptions& options, const Source& source,
                Readiness& readiness, const Pause& pause, std::stop_token stop);

}  // namespace tidemark::sweeper
