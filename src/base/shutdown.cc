#include "base/shutdown.h"

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>

namespace tidemark {
namespace {

sigset_t termination_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Wakes the waiting thread, and it alone: a program must end when its work does, not at the next
// look at a clock.
constexpr int kWake = SIGUSR1;

}  // namespace

ShutdownSignal::ShutdownSignal() {
  sigset_t signals = termination_signals();
  sigaddset(&signals, kWake);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);

  waiter_ = std::jthread([this, signals](const std::stop_token& done) {
    while (true) {
      const int received = sigwaitinfo(&signals, nullptr);
      if (done.stop_requested()) return;
      if (received <= 0 || received == kWake) continue;
      if (stop_.stop_requested()) std::_Exit(128 + received);
      stop_.request_stop();
    }
  });
}

ShutdownSignal::~ShutdownSignal() {
  waiter_.request_stop();
  pthread_kill(waiter_.native_handle(), kWake);
}

void ShutdownSignal::wait() const {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, stop_.get_token(), [] { return false; });
}

bool sleep_for(std::chrono::milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace tidemark
