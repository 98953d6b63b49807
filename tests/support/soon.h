// soon: waits for what other threads do in their own time. False after 20 s.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "base/clock.h"

namespace tidemark::testing {

inline bool soon(const std::function<bool()>& holds) {
  const Deadline deadline = Deadline::after(std::chrono::seconds{20});
  while (!holds()) {
    if (deadline.expired()) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace tidemark::testing
