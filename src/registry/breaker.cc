#include "registry/breaker.h"

#include <algorithm>
#include <utility>

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;

std::unexpected<Error> refuse(ErrorKind kind, std::string message, SteadyTime until,
                              SteadyTime now) {
  return fail(Error{.kind = kind,
                    .message = std::move(message),
                    .http_status = 0,
                    .retry_after = std::chrono::ceil<milliseconds>(until - now)});
}

}  // namespace

Breaker::Breaker(Options options, const Clock& clock, std::uint64_t seed)
    : options_(options), clock_(clock), random_(seed) {}

Breaker::Ticket::~Ticket() {
  if (owner_ != nullptr) owner_->settle(key_, probe_, Outcome::kUnknown);
}
void Breaker::Ticket::succeeded() {
  if (owner_ != nullptr) std::exchange(owner_, nullptr)->settle(key_, probe_, Outcome::kSucceeded);
}
void Breaker::Ticket::failed() {
  if (owner_ != nullptr) std::exchange(owner_, nullptr)->settle(key_, probe_, Outcome::kFailed);
}

Status Breaker::refusal(const Entry& entry, SteadyTime now) const {
  if (now < entry.paused_until) {
    return refuse(ErrorKind::kTooMany, "the registry asked to slow down; not asked again yet",
                  entry.paused_until, now);
  }
  if (entry.open && (now < entry.closed_until || entry.probing)) {
    return refuse(ErrorKind::kUnavailable,
                  "the registry did not answer lately; not asked again yet",
                  std::max(entry.closed_until, now), now);
  }
  return {};
}

Result<Breaker::Ticket> Breaker::admit(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return Ticket(*this, key, false);
  const SteadyTime now = clock_.steady_now();
  Entry& entry = found->second;
  entry.touched = now;
  if (auto refused = refusal(entry, now); !refused) return fail(refused.error());
  if (entry.open) entry.probing = true;
  return Ticket(*this, key, entry.open);
}

Status Breaker::check(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? Status{} : refusal(found->second, clock_.steady_now());
}

void Breaker::pause(const std::string& key, milliseconds time) {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  Entry& entry = touch(key, now);
  entry.paused_until = std::max(entry.paused_until, now + time);
}

Breaker::Entry& Breaker::touch(const std::string& key, SteadyTime now) {
  if (entries_.size() >= kMaxKeys && !entries_.contains(key)) {
    entries_.erase(std::ranges::min_element(entries_, {},
                                            [](const auto& item) { return item.second.touched; }));
  }
  Entry& entry = entries_[key];
  entry.touched = now;
  return entry;
}

void Breaker::settle(const std::string& key, bool probe, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = clock_.steady_now();
  if (outcome != Outcome::kFailed) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    if (probe) entry.probing = false;
    if (outcome == Outcome::kUnknown) return;
    entry.open = false;
    entry.failures = 0;
    if (now >= entry.paused_until) entries_.erase(found);
    return;
  }
  Entry& entry = touch(key, now);
  if (probe) entry.probing = false;
  ++entry.failures;
  if (entry.open && !probe) return;  // a try from before it opened
  if (!entry.open && entry.failures < options_.failures_to_open) return;
  entry.open_for =
      entry.open ? std::min(entry.open_for * 2, options_.max_open_for) : options_.open_for;
  entry.open = true;
  std::uniform_int_distribution<milliseconds::rep> draw(entry.open_for.count() / 2,
                                                        entry.open_for.count());
  entry.closed_until = now + milliseconds{draw(random_)};
}

}  // namespace tidemark::registry
