#include "sweeper/run.h"

#include <algorithm>
#include <optional>
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

using Report = std::optional<SweepReport>;  // of the last sweep that could be made

// What the last sweep paced takes its next step.
Report go_on(const SweepContext& context, const RunOptions& options, const Source& source,
             SweepReport report, const std::stop_token& stop) {
  auto next = continue_sweep(context, options.sweep, source, std::move(report.answers), stop);
  if (!next) return std::nullopt;  // the next sweep will tell
  if (options.learned) options.learned(*next, /*whole=*/false);
  return std::move(*next);
}

// What was pushed is swept now.
Report answer_pushes(const SweepContext& context, const RunOptions& options, const Source& source,
                     Report report, const Pushed& pushed, const std::stop_token& stop) {
  const Answers before = report ? report->answers : Answers();
  auto next = sweep_pushed(context, options.sweep, source, before, pushed, stop);
  if (!next) {
    context.log.warn("what was pushed waits for the next sweep", {{"cause", next.error().message}});
    return report;
  }
  if (*next && options.learned) options.learned(**next, /*whole=*/false);
  return *next ? std::move(*next) : std::move(report);
}

// Waits for the next sweep. What the last one paced goes on meanwhile, as long as there is
// anything, and what is pushed is swept at once.
bool wait_and_go_on(const SweepContext& context, const RunOptions& options, const Source& source,
                    Report report, std::chrono::milliseconds wait, const Pause& pause,
                    const std::stop_token& stop) {
  while (wait.count() > 0) {
    const bool paced = report && report->paced() && !options.sweep.dry_run && wait > options.step;
    const auto step = paced ? options.step : wait;
    const SteadyTime begin = context.clock.steady_now();
    if (!pause(step, stop)) return false;
    const Pushed pushed = options.due == nullptr ? Pushed() : options.due->take();
    if (pushed.empty()) {
      wait -= step;
      if (paced) report = go_on(context, options, source, std::move(*report), stop);
    } else {
      wait -= std::min(step, std::chrono::duration_cast<std::chrono::milliseconds>(
                                 context.clock.steady_now() - begin));
      report = answer_pushes(context, options, source, std::move(report), pushed, stop);
    }
  }
  return !stop.stop_requested();
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
    if (report && options.learned) options.learned(*report, /*whole=*/true);
    if (context.credentials != nullptr && wait >= PullCredentials::kTtl) {
      context.credentials->forget();
    }
    Report last = report ? Report(std::move(*report)) : std::nullopt;
    if (!wait_and_go_on(context, options, source, std::move(last), wait, pause, stop)) return;
  }
}

}  // namespace tidemark::sweeper
