#include "registry/pacer.h"

#include <algorithm>

#include "base/shutdown.h"

namespace tidemark::registry {

using std::chrono::milliseconds;

Status Pacer::wait(const std::string& key, std::chrono::microseconds spacing, Deadline deadline,
                   const std::stop_token& stop) {
  milliseconds left{0};
  {
    const std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.steady_now();
    const SteadyTime* last = last_.find(key);
    const SteadyTime turn = last == nullptr ? now : std::max(now, *last + spacing);
    left = std::chrono::ceil<milliseconds>(turn - now);
    if (left.count() > 0 && left >= deadline.remaining()) {
      return fail(Error{.kind = ErrorKind::kTooMany,
                        .message = "its turn at this registry comes after the deadline",
                        .http_status = 0,
                        .retry_after = left});
    }
    last_.put(key, turn);
  }
  if (left.count() == 0 || sleep_for(left, stop)) return {};
  return fail(ErrorKind::kCanceled, "canceled while waiting");
}

}  // namespace tidemark::registry
