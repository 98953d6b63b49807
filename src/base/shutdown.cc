#include "base/shutdown.h"

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <ctime>
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

// How often the waiting thread looks whether the object is being destroyed.
constexpr std::timespec kPollInterval{.tv_sec = 0, .tv_nsec = 200'000'000};

}  // namespace

ShutdownSignal::ShutdownSignal() {
  const sigset_t signals = termination_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);

  waiter_ = std::jthread([this, signals](const std::stop_token& done) {
    while (!done.stop_requested()) {
      const int received = sigtimedwait(&signals, nullptr, &kPollInterval);
      if (received <= 0) continue;
      if (stop_.stop_requested()) std::_Exit(128 + received);
      stop_.request_stop();
    }
  });
}

ShutdownSignal::~ShutdownSignal() = default;

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
