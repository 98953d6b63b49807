// ShutdownSignal: SIGTERM and SIGINT as a std::stop_token.
//
// Purpose: programs build exactly one, first thing in main and before any thread is started (the
// signals, and SIGUSR1 by which it ends, are blocked in the calling thread and in all that it
// starts). It ignores SIGPIPE as well: a peer that hangs up is an error of one connection, not of
// the process. Thread-safety: token() and wait() from any thread. A second signal ends the process
// at once, so that a stuck shutdown can be interrupted.
#pragma once

#include <stop_token>
#include <thread>

#include "base/clock.h"

namespace tidemark {

class ShutdownSignal {
 public:
  ShutdownSignal();
  ~ShutdownSignal();
  ShutdownSignal(const ShutdownSignal&) = delete;
  ShutdownSignal& operator=(const ShutdownSignal&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  // Blocks until a signal came or request() was called.
  void wait() const;
  // The same as a signal: for a program that must end because a part of it failed.
  void request() { stop_.request_stop(); }

 private:
  std::stop_source stop_;
  std::jthread waiter_;
};

// Sleeps for `duration` or until a stop is requested; true if the whole time passed.
bool sleep_for(std::chrono::milliseconds duration, const std::stop_token& stop);

}  // namespace tidemark
