#include "base/retry.h"

#include <algorithm>

namespace tidemark {

RetrySchedule::RetrySchedule(Options options, std::uint64_t seed)
    : options_(options), step_(options.initial), random_(seed) {}

std::chrono::milliseconds RetrySchedule::next(std::chrono::milliseconds retry_after) {
  std::uniform_real_distribution<double> pick(static_cast<double>(options_.initial.count()),
                                              step_.count());
  const auto wait = std::chrono::milliseconds(static_cast<std::int64_t>(pick(random_)));
  step_ =
      std::min(step_ * options_.factor, std::chrono::duration<double, std::milli>(options_.max));
  return std::max(wait, retry_after);
}

void RetrySchedule::reset() { step_ = options_.initial; }

}  // namespace tidemark
