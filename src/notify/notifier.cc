#include "notify/notifier.h"

#include <utility>

namespace tidemark::notify {
namespace {

// A registry that gives no answer for a while hides what stands, which is then not news.
constexpr std::chrono::hours kForgetAfter{1};

}  // namespace

Result<std::unique_ptr<Notifier>> Notifier::make(std::string cluster,
                                                 std::vector<Subscription> subscriptions,
                                                 const Clock& clock, Metrics& metrics,
                                                 const Logger& log) {
  std::unique_ptr<Notifier> notifier(new Notifier(std::move(cluster), clock));
  for (Subscription& each : subscriptions) {
    auto client = net::make_client(each.client);
    if (!client) return fail(within("notification sink " + each.sink.name, client.error()));
    notifier->subscribers_.push_back(
        {.reasons = std::move(each.reasons),
         .namespaces = std::move(each.namespaces),
         .told = {},
         .sink = std::make_unique<Sink>(std::move(each.sink), std::move(*client), clock, metrics,
                                        log)});
  }
  return notifier;
}

Notifier::~Notifier() {
  for (const Subscriber& each : subscribers_) each.sink->begin_stop();
}

bool Notifier::Subscriber::wants(const Notification& notification) const {
  return reasons.contains(notification.reason) &&
         (namespaces.empty() || namespaces.contains(notification.ns));
}

void Notifier::tell(std::vector<Notification> notifications) {
  std::vector<Queued> shared;
  shared.reserve(notifications.size());
  for (Notification& each : notifications) {
    each.cluster = cluster_;
    shared.push_back(std::make_shared<const Notification>(bounded(std::move(each))));
  }
  const std::lock_guard lock(mutex_);
  for (Subscriber& subscriber : subscribers_) tell_one(subscriber, shared);
}

void Notifier::tell_one(Subscriber& subscriber, const std::vector<Queued>& notifications) {
  const SteadyTime now = clock_.steady_now();
  for (const Queued& each : notifications) {
    if (!subscriber.wants(*each)) continue;
    const std::string id = each->standing.empty() ? "" : id_of(*each);
    const auto known = subscriber.told.find(id);
    if (known != subscriber.told.end()) {
      known->second = now;
    } else if (subscriber.sink->record(each) && !id.empty()) {
      subscriber.told.emplace(id, now);
    }
  }
  std::erase_if(subscriber.told,
                [now](const auto& entry) { return now - entry.second > kForgetAfter; });
}

bool Notifier::flush(Deadline deadline) {
  bool empty = true;
  for (const Subscriber& each : subscribers_) empty = each.sink->flush(deadline) && empty;
  return empty;
}

}  // namespace tidemark::notify
