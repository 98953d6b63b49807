// Admitter: one AdmissionReview in, its answer out. Read admit() first: it names the stages.
//
// Purpose: the pipeline of the webhook, with its deadline, its bound on work under way and its
// metrics, and what it tells of them. It knows nothing of HTTP.
// Thread-safety: admit() from many threads. Ownership: the caller keeps everything passed by
// reference or pointer alive. Errors: kInvalid for what is no AdmissionReview; everything else is
// an answer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kube/events.h"
#include "webhook/assess.h"
#include "webhook/decide.h"
#include "webhook/decode_review.h"
#include "webhook/namespaces.h"
#include "webhook/resolve_slots.h"
#include "webhook/template_schemas.h"
#include "workload/kind.h"
#include "workload/settings.h"

namespace tidemark::webhook {

struct AdmitOptions {
  std::chrono::milliseconds deadline{2000};
  Policy policy;
  workload::Settings defaults;
  workload::KindTable kinds;
  std::string sweeper_user;
  // How old an answer of the registry may be on CREATE, where many objects share their images.
  std::chrono::milliseconds max_age{30'000};
  // Beyond these the slots of a review are not looked up, so that answers stay quick: fewer than
  // the server's connections (384), more than what two cores resolve within the deadline.
  std::size_t max_in_flight = 256;
};

class Admitter {
 public:
  // On UPDATE: push and `rollout restart` follow each other, while a write that is admitted twice
  // (reinvocation, conflict retries) comes within milliseconds.
  static constexpr std::chrono::milliseconds kEditMaxAge{2'000};

  // `events` may be nullptr: nobody is told.
  Admitter(AdmitOptions options, Lookups lookups, Namespaces& namespaces, TemplateSchemas& schemas,
           kube::EventSink* events, const Clock& clock, Metrics& metrics, Logger log);

  Result<std::string> admit(std::string_view body);
  // Of admissions that begin from now on. Kinds and the sweeper's user stay: the API server was
  // told of them at the start.
  void use(AdmitOptions options);

 private:
  std::shared_ptr<const AdmitOptions> options() const;
  Answers look_up(const Review& review, const Assessment& assessment, const AdmitOptions& options,
                  Deadline deadline);
  void count(const workload::Kind* kind, Operation operation, Outcome outcome);
  void record(const Review& review, const Decision& decision, SteadyTime begin);
  void tell(const Review& review, const Decision& decision);

  mutable std::mutex mutex_;
  std::shared_ptr<const AdmitOptions> options_;
  ReviewDecoder decoder_;
  const Lookups lookups_;
  Namespaces& namespaces_;
  TemplateSchemas& schemas_;
  kube::EventSink* const events_;
  const Clock& clock_;
  const CounterFamily admissions_;
  // Of admissions_: looking a series up by its labels costs more than the rest of record().
  std::mutex counters_mutex_;
  std::map<std::tuple<const workload::Kind*, Operation, Outcome>, Counter> counters_;
  const Counter malformed_;
  const Counter overloaded_;
  const Histogram duration_;
  const Gauge in_flight_gauge_;
  std::atomic<std::size_t> in_flight_{0};
  const Logger log_;
};

}  // namespace tidemark::webhook
