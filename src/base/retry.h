// RetrySchedule: how long to wait before the next attempt.
//
// Exponential growth with full jitter (the wait is drawn evenly from [initial, step]), so that many
// replicas that failed together do not return together.
// Thread-safety: one schedule belongs to one thread. Errors: none.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace tidemark {

class RetrySchedule {
 public:
  struct Options {
    std::chrono::milliseconds initial{500};
    std::chrono::milliseconds max{30'000};
    double factor = 2.0;
  };

  // `seed` makes a test repeatable; programs take it from std::random_device.
  RetrySchedule(Options options, std::uint64_t seed);

  // The wait before the next attempt; a server's own Retry-After wins where it is longer.
  std::chrono::milliseconds next(std::chrono::milliseconds retry_after = {});
  // After a success: the next failure starts from the shortest wait again.
  void reset();

 private:
  Options options_;
  std::chrono::duration<double, std::milli> step_;
  std::mt19937_64 random_;
};

}  // namespace tidemark
