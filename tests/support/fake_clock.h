// FakeClock: time that moves only when a test says so.
#pragma once

#include <chrono>
#include <mutex>

#include "base/clock.h"

namespace tidemark::testing {

class FakeClock final : public Clock {
 public:
  // Starts at 2026-01-01T00:00:00Z.
  SteadyTime steady_now() const override {
    const std::lock_guard lock(mutex_);
    return SteadyTime{} + std::chrono::hours{1} + passed_;
  }
  WallTime wall_now() const override {
    const std::lock_guard lock(mutex_);
    return WallTime{std::chrono::seconds{1'767'225'600}} +
           std::chrono::duration_cast<WallTime::duration>(passed_);
  }
  void advance(std::chrono::milliseconds by) {
    const std::lock_guard lock(mutex_);
    passed_ += by;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::milliseconds passed_{0};
};

}  // namespace tidemark::testing
