#include "sweeper/run.h"

#include <algorithm>
#include <random>
#include <utility>

namespace tidemark::sweeper {
namespace {

// Sweepers of many clusters that were started together do not ask a registry together.
constexpr double kJitter = 0.1;
// Of a schedule whose time never comes: the 30th of February.
constexpr std::chrono::hours kMaxWait{24};

std::chrono::milliseconds jittered(std::chrono::milliseconds interval, std::mt19937_64& random) {
  std::uniform_real_distribution<double> factor(1.0 - kJitter, 1.0 + kJitter);
  return std::chrono::duration_cast<std::chrono::milliseconds>(interval * factor(random));
}

// Enough to see a night and a weekend go by in a schedule of every few minutes.
constexpr int kTimesToCome = 5'000;

// Those who name a time want that one; an interval is jittered.
std::chrono::milliseconds time_to_next(const RunOptions& options, WallTime now,
                                       std::mt19937_64& random) {
  if (!options.schedule) return jittered(options.interval, random);
  const auto next = options.schedule->next_after(now);
  return next ? std::chrono::ceil<std::chrono::milliseconds>(*next - now) : kMaxWait;
}

// Waits for the next sweep. What the last one paced goes on meanwhile, as long as there is
// anything.
bool wait_and_continue(const SweepContext& context, const RunOptions& options, const Source& source,
                       SweepReport report, std::chrono::milliseconds wait, const Pause& pause,
                       const std::stop_token& stop) {
  while (report.paced() && !options.sweep.dry_run && wait > options.step) {
    if (!pause(options.step, stop)) return false;
    wait -= options.step;
    auto next = continue_sweep(context, options.sweep, source, std::move(report.answers), stop);
    if (!next) break;  // the next sweep will tell
    report = std::move(*next);
  }
  return pause(wait, stop);
}

}  // namespace

void Readiness::worked() {
  const std::lock_guard lock(mutex_);
  last_success_ = clock_.steady_now();
}

void Readiness::failed(std::string cause) {
  const std::lock_guard lock(mutex_);
  cause_ = std::move(cause);
}

void Readiness::standing_by(bool yes) {
  const std::lock_guard lock(mutex_);
  standing_by_ = yes;
}

void Readiness::stopping() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
}

std::optional<std::string> Readiness::problem() const {
  const std::lock_guard lock(mutex_);
  if (stopping_) return "stopping";
  if (standing_by_) return std::nullopt;
  if (last_success_ && clock_.steady_now() - *last_success_ <= patience_) return std::nullopt;
  return cause_;
}

std::chrono::milliseconds readiness_patience(const RunOptions& options, WallTime now) {
  auto longest = options.interval;
  for (int i = 0; options.schedule && i < kTimesToCome; ++i) {
    const auto next = options.schedule->next_after(now);
    if (!next) break;
    longest = std::max(longest, std::chrono::ceil<std::chrono::milliseconds>(*next - now));
    now = *next;
  }
  return 3 * longest + options.sweep.check.whole;
}

void run_sweeps(const SweepContext& context, const RunOptions& options, const Source& source,
                Readiness& readiness, const Pause& pause, std::stop_token stop) {
  std::mt19937_64 random(options.seed);
  RetrySchedule backoff(options.backoff, options.seed);
  if (options.schedule && !pause(time_to_next(options, context.clock.wall_now(), random), stop)) {
    return;
  }
  while (!stop.stop_requested()) {
    auto report = sweep(context, options.sweep, source, stop);
    auto wait = time_to_next(options, context.clock.wall_now(), random);
    if (!report) {
      if (stop.stop_requested()) return;
      context.log.error("sweep failed", {{"cause", report.error().message}});
      readiness.failed(report.error().message);
      wait = std::min(
          wait,
          backoff.next(report.error().retry_after.value_or(std::chrono::milliseconds::zero())));
    } else if (report->read_everything) {
      readiness.worked();
      backoff.reset();
    } else {
      readiness.failed("some kinds could not be listed");
    }
    if (context.credentials != nullptr && wait >= PullCredentials::kTtl) {
      context.credentials->forget();
    }
    const bool goes_on =
        report ? wait_and_continue(context, options, source, std::move(*report), wait, pause, stop)
               : pause(wait, stop);
    if (!goes_on) return;
  }
}

}  // namespace tidemark::sweeper
