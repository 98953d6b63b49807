// Sink: one recipient outside the cluster, with a queue and a thread of its own.
//
// Purpose: a recipient that is slow, down or wrong costs the sweeper nothing, and gets all that was
// recorded, in order, once it is back. Each message is sent until it is taken: network errors, 408,
// 425, 429 and 5xx are tried again, with jittered backoff and not before a Retry-After, for as long
// as the process lives. Any other answer outside 2xx, redirects too, is final: the notification is
// counted, and logged once for each status. An answer that is lost means a message that is sent
// twice; its id tells. Thread-safety: record() from any thread; never blocks on the recipient.
// Ownership: clock and metrics must outlive this. The destructor gives what waits
// SinkOptions::drain; what is left then is lost, which is counted and logged. Nothing of the URL
// but its origin, and none of the headers, is ever logged. Units: as std::chrono says.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/retry.h"
#include "net/http.h"
#include "notify/format.h"
#include "notify/template.h"

namespace tidemark::notify {

struct SinkOptions {
  std::string name;  // a metric's label
  Format format = Format::kWebhook;
  net::Url url;
  net::Headers headers{};  // beside Content-Type
  std::optional<MessageTemplate> text{};
  // Between the beginnings of two requests; what waits meanwhile is joined where the format can.
  std::chrono::milliseconds min_interval{0};
  std::size_t max_queued = 10'000;  // about 1 KiB each; past it the newest is dropped
  RetrySchedule::Options backoff{std::chrono::milliseconds{500}, std::chrono::milliseconds{60'000},
                                 2.0};
  std::uint64_t seed = 0;
  std::chrono::milliseconds request{10'000};
  std::chrono::milliseconds drain{3'000};
};

// What is to be done after an answer.
struct Verdict {
  enum class Kind { kTaken, kAgain, kRefused };
  Kind kind = Kind::kAgain;
  std::chrono::milliseconds not_before{0};  // kAgain: the recipient's own wish
};
Verdict verdict_of(const Result<net::Response>& answer, WallTime now);

class Sink {
 public:
  Sink(SinkOptions options, std::shared_ptr<net::HttpClient> client, const Clock& clock,
       Metrics& metrics, Logger log);
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // False where the queue is full: the notification is dropped, and counted.
  bool record(Queued notification);
  // Waits until nothing is queued, or the deadline; false then.
  bool flush(Deadline deadline);
  // From now on the queue is only drained. Returns at once: several sinks drain beside each other.
  void begin_stop();

 private:
  // When the next request may be sent.
  struct Pace {
    SteadyTime not_before;  // the recipient's wish, or min_interval
    SteadyTime retry;       // our own backoff
  };

  void work(const std::stop_token& stop);
  bool wait_for_turn(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void send_next(std::unique_lock<std::mutex>& lock);
  Result<net::Response> send(const Message& message, Deadline deadline);
  bool take_answer(const Result<net::Response>& answer, std::size_t count);
  void give_up();
  void log_again(const Result<net::Response>& answer);
  void log_refused(const Result<net::Response>& answer);
  Counter outcome(const char* name) const;

  const SinkOptions options_;
  const std::string origin_;
  const std::shared_ptr<net::HttpClient> client_;
  const Clock& clock_;
  const CounterFamily outcomes_;
  const Gauge queued_;
  const Logger log_;
  std::stop_source abort_;  // of the request that is under way when the drain is over

  // Of the worker alone.
  RetrySchedule backoff_;
  Pace pace_;
  std::size_t failures_ = 0;  // in a row
  bool draining_ = false;
  std::set<int> told_refusals_;  // statuses; 0 for none

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Queued> queue_;      // the oldest stays in front until it was taken
  std::optional<Deadline> last_;  // once stopping
  bool done_ = false;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace tidemark::notify
