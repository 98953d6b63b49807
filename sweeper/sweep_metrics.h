// SweepMetrics: what sweeps count about themselves.
//
// Purpose: the one place that knows the names of the sweeper's own metrics (deploy/README.md).
// Thread-safety: record functions from one thread, the sweeps'; the metrics may be read from any.
// Ownership: refers to a Metrics. It remembers since when a question has no answer and a move has
// not been rolled: of this process alone, for its metrics alone. Errors: none.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"

namespace tidemark::sweeper {

struct SweepReport;

// Since when each of a set of things is so.
class FirstSeen {
 public:
  // Begins now where it is new. A clock that was set back gives no age below zero.
  WallTime since(const std::string& what, WallTime now);
  // Forgets all that was not asked for since the last call.
  void forget_others();

 private:
  std::map<std::string, WallTime> times_;
  std::set<std::string> asked_;
};

class SweepMetrics {
 public:
  SweepMetrics(Metrics& metrics, std::size_t max_rollouts);

  void record(const SweepReport& report, WallTime now);
  void record_rolls(const SweepReport& report, WallTime now);  // of a sweep that was continued
  // Rolls of what was pushed: from the time when that was known.
  void record_pushed(const SweepReport& report, const std::map<std::string, SteadyTime>& pushed,
                     SteadyTime now);
  void record_failure();

 private:
  void record_slots(const SweepReport& report, WallTime now);

  CounterFamily sweeps_;
  HistogramFamily duration_;
  GaugeFamily workloads_;
  GaugeFamily references_;
  GaugeFamily slots_;
  GaugeFamily oldest_unresolved_;
  CounterFamily rolls_;
  GaugeFamily under_way_;
  HistogramFamily delay_;
  HistogramFamily pushed_;
  GaugeFamily last_success_;
  FirstSeen unresolved_;
  FirstSeen moved_;
};

}  // namespace tidemark::sweeper
