// Due: references that somebody says have moved, on their way to the sweeping thread.
//
// Purpose: wakes the daemon between two sweeps. What workloads use (as the last snapshot had it) is
// due at once; another name is looked up once more within `lookup`, for its workload may be newer
// than the snapshot, and then forgotten. Equal names are one, and wakes are `gap` apart: however
// often a tag is pushed, its registry is asked that often at most. Nothing that is lost here is
// lost for good: the next sweep asks about everything. Thread-safety: all methods from any thread;
// wait() and take() are the sweeping thread's. Errors: none; a full set drops what comes and says
// so.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "base/clock.h"

namespace tidemark::sweeper {

class Due {
 public:
  struct Options {
    std::size_t max_names = 10'000;  // of each kind; some 100 bytes each
    std::chrono::milliseconds gap{200};
    std::chrono::milliseconds lookup{1'000};
  };
  enum class Added { kDue, kUnknown, kFull };  // the best first

  explicit Due(const Clock& clock) : Due(clock, Options{}) {}
  Due(const Clock& clock, Options options) : clock_(clock), options_(options) {}

  // `reference`: Reference::tagged().
  Added add(const std::string& reference);
  // What all workloads use now: references_of() (sweep.h).
  void know(std::set<std::string> references);

  // Until something is due, `time` has passed, or a stop: then false.
  bool wait(std::chrono::milliseconds time, const std::stop_token& stop);
  // What wait() has ended for, with the time when it was first added; empty where that was the
  // time.
  std::map<std::string, SteadyTime> take();

 private:
  bool is_known(const std::string& reference) const;  // with the lock held
  SteadyTime next_wake() const;  // max(): nothing to wake for. With the lock held

  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;  // guards all below
  std::condition_variable_any changed_;
  std::set<std::string> known_;
  std::map<std::string, SteadyTime> due_;
  std::map<std::string, SteadyTime> unknown_;
  SteadyTime last_taken_ = SteadyTime::min();
};

}  // namespace tidemark::sweeper
