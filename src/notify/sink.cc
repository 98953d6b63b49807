#include "notify/sink.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tidemark::notify {
namespace {

// What recipients answer is a word; a proxy's page of an error is longer.
constexpr std::size_t kMaxAnswerBytes = std::size_t{1024} * 1024;

bool asks_for_another_try(int status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

std::string cause_of(const Result<net::Response>& answer) {
  if (!answer) return answer.error().message;
  return "it answered " + std::to_string(answer->status);
}

}  // namespace

Verdict verdict_of(const Result<net::Response>& answer, WallTime now) {
  if (!answer) {
    // Of a request that cannot be sent, or an answer without end, another try makes nothing better.
    const bool final =
        answer.error().kind == ErrorKind::kInvalid || answer.error().kind == ErrorKind::kTooLarge;
    return {.kind = final ? Verdict::Kind::kRefused : Verdict::Kind::kAgain};
  }
  if (answer->status / 100 == 2) return {.kind = Verdict::Kind::kTaken};
  if (!asks_for_another_try(answer->status)) return {.kind = Verdict::Kind::kRefused};
  return {.kind = Verdict::Kind::kAgain,
          .not_before = net::retry_after(answer->headers, now).value_or(std::chrono::seconds{0})};
}

Sink::Sink(SinkOptions options, std::shared_ptr<net::HttpClient> client, const Clock& clock,
           Metrics& metrics, Logger log)
    : options_(std::move(options)),
      origin_(options_.url.origin()),
      client_(std::move(client)),
      clock_(clock),
      outcomes_(metrics.counter(
          "tidemark_notifications_total",
          "Notifications by sink and outcome: sent, refused (not to be sent again), dropped (queue "
          "full), lost (at the end of the process); retried counts tries that failed.")),
      queued_(metrics
                  .gauge("tidemark_notifications_queued",
                         "Notifications that wait for their sink to take them.")
                  .with({{"sink", options_.name}})),
      log_(std::move(log)),
      backoff_(options_.backoff, options_.seed),
      thread_([this](const std::stop_token& stop) { work(stop); }) {
  for (const char* name : {"sent", "refused", "dropped", "lost", "retried"}) outcome(name).add(0);
}

Sink::~Sink() {
  begin_stop();
  {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, last_->point(), [this] { return done_; });
  }
  abort_.request_stop();
  thread_.join();
}

void Sink::begin_stop() {
  {
    const std::lock_guard lock(mutex_);
    if (!last_) last_ = Deadline::after(options_.drain);
  }
  thread_.request_stop();
}

Counter Sink::outcome(const char* name) const {
  return outcomes_.with({{"sink", options_.name}, {"outcome", name}});
}

bool Sink::record(Queued notification) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_ && queue_.size() < options_.max_queued) {
      queue_.push_back(std::move(notification));
      queued_.set(static_cast<double>(queue_.size()));
      changed_.notify_all();
      return true;
    }
  }
  outcome("dropped").add();
  return false;
}

bool Sink::flush(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.point(), [this] { return queue_.empty(); });
}

void Sink::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, stop, [this] { return !queue_.empty(); });
    if (queue_.empty() || !wait_for_turn(lock, stop)) break;
    send_next(lock);
  }
  give_up();
  done_ = true;
  changed_.notify_all();
}

// False where it will not come any more.
bool Sink::wait_for_turn(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  const auto never = [] { return false; };
  changed_.wait_until(lock, stop, std::max(pace_.not_before, pace_.retry), never);
  if (!stop.stop_requested()) return true;
  if (last_->expired() || pace_.not_before >= last_->point()) return false;
  // What is left of the time is used: one try at once, then by the shortest waits.
  if (std::exchange(draining_, true)) {
    changed_.wait_until(lock, std::min(pace_.retry, last_->point()), never);
  } else {
    backoff_.reset();
  }
  changed_.wait_until(lock, pace_.not_before, never);
  return !last_->expired();
}

void Sink::send_next(std::unique_lock<std::mutex>& lock) {
  const auto joined = std::min(queue_.size(), max_joined(options_.format));
  const std::vector<Queued> waiting(queue_.begin(),
                                    queue_.begin() + static_cast<std::ptrdiff_t>(joined));
  const Deadline deadline =
      last_ ? last_->at_most(options_.request) : Deadline::after(options_.request);
  lock.unlock();
  const Message message = message_of(options_.format, options_.text, waiting);
  pace_ = {.not_before = std::chrono::steady_clock::now() + options_.min_interval, .retry = {}};
  const auto answer = send(message, deadline);
  const bool again = !take_answer(answer, message.count);
  lock.lock();
  if (again) return;
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(message.count));
  queued_.set(static_cast<double>(queue_.size()));
  changed_.notify_all();
}

Result<net::Response> Sink::send(const Message& message, Deadline deadline) {
  net::Request request{.method = "POST",
                       .url = options_.url,
                       .headers = options_.headers,
                       .body = message.body,
                       .max_body_bytes = kMaxAnswerBytes,
                       .secret_target = true};
  request.headers.push_back({.name = "Content-Type", .value = message.content_type});
  return client_->send(request, deadline, abort_.get_token());
}

// True where the message is done with.
bool Sink::take_answer(const Result<net::Response>& answer, std::size_t count) {
  const Verdict verdict = verdict_of(answer, clock_.wall_now());
  if (verdict.kind == Verdict::Kind::kAgain) {
    const SteadyTime now = std::chrono::steady_clock::now();
    pace_.retry = now + backoff_.next();
    pace_.not_before = std::max(pace_.not_before, now + verdict.not_before);
    outcome("retried").add();
    log_again(answer);
    return false;
  }
  if (failures_ > 0) {
    log_.info("a notification sink answers again",
              {{"sink", options_.name}, {"origin", origin_}, {"failures", failures_}});
  }
  failures_ = 0;
  backoff_.reset();
  const bool taken = verdict.kind == Verdict::Kind::kTaken;
  outcome(taken ? "sent" : "refused").add(static_cast<double>(count));
  if (!taken) log_refused(answer);
  return true;
}

void Sink::log_again(const Result<net::Response>& answer) {
  const std::string cause = cause_of(answer);
  const Logger::Fields fields = {{"sink", options_.name}, {"origin", origin_}, {"cause", cause}};
  if (failures_++ == 0) {
    log_.warn("a notification waits: its sink does not take it", fields);
  } else {
    log_.debug("a notification still waits", fields);
  }
}

void Sink::log_refused(const Result<net::Response>& answer) {
  const std::string cause = cause_of(answer);
  const Logger::Fields fields = {{"sink", options_.name}, {"origin", origin_}, {"cause", cause}};
  if (told_refusals_.insert(answer ? answer->status : 0).second) {
    log_.error("notifications are refused for good", fields);
  } else {
    log_.debug("a notification was refused", fields);
  }
}

void Sink::give_up() {
  if (queue_.empty()) return;
  outcome("lost").add(static_cast<double>(queue_.size()));
  log_.warn("notifications are lost, for the program ends",
            {{"sink", options_.name}, {"origin", origin_}, {"count", queue_.size()}});
  queue_.clear();
  queued_.set(0);
}

}  // namespace tidemark::notify
