#include "webhook/admit.h"

#include <algorithm>
#include <utility>

#include "webhook/encode_response.h"

namespace tidemark::webhook {
namespace {

// Counts the reviews that are being looked up.
class InFlight {
 public:
  InFlight(std::atomic<std::size_t>& count, const Gauge& gauge)
      : count_(count), gauge_(gauge), position_(count.fetch_add(1) + 1) {
    gauge_.add(1);
  }
  ~InFlight() {
    gauge_.add(-1);
    count_.fetch_sub(1);
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  std::size_t position() const { return position_; }

 private:
  std::atomic<std::size_t>& count_;
  const Gauge& gauge_;
  std::size_t position_;
};

// Rule 10: what stays the same however often one write reaches the webhook. A retry after a
// conflict has another resourceVersion, but the same generation as long as nobody else changed the
// spec. On CREATE there is neither: the calls of one write are milliseconds apart, so the minute
// tells it from the next one of that name.
std::string decision_of(const Review& review, WallTime now) {
  if (!review.old_object) {
    return "create " + to_rfc3339(std::chrono::floor<std::chrono::minutes>(now));
  }
  const workload::Object& old = *review.old_object;
  if (old.generation == 0) return old.uid + " version " + old.resource_version;
  return old.uid + " generation " + std::to_string(old.generation);
}

}  // namespace

Admitter::Admitter(AdmitOptions options, Lookups lookups, Namespaces& namespaces,
                   TemplateSchemas& schemas, kube::EventSink* events, const Clock& clock,
                   Metrics& metrics, Logger log)
    : options_(std::make_shared<const AdmitOptions>(std::move(options))),
      lookups_(lookups),
      namespaces_(namespaces),
      schemas_(schemas),
      events_(events),
      clock_(clock),
      admissions_(metrics.counter("tidemark_admissions_total",
                                  "Admissions by kind, operation and outcome; no dry runs.")),
      malformed_(metrics
                     .counter("tidemark_malformed_reviews_total",
                              "Request bodies that were no AdmissionReview.")
                     .with()),
      overloaded_(metrics
                      .counter("tidemark_admissions_overloaded_total",
                               "Admissions without lookups, because too many were under way.")
                      .with()),
      duration_(metrics
                    .histogram("tidemark_admission_duration_seconds",
                               "From the decoded request to its answer; no dry runs.",
                               latency_bounds_seconds())
                    .with()),
      in_flight_gauge_(
          metrics.gauge("tidemark_admissions_in_flight", "Admissions being looked up now.").with()),
      log_(std::move(log)) {}

void Admitter::use(AdmitOptions options) {
  auto next = std::make_shared<const AdmitOptions>(std::move(options));
  const std::lock_guard lock(mutex_);
  options_.swap(next);  // the old ones are released outside the lock
}

std::shared_ptr<const AdmitOptions> Admitter::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

Result<std::string> Admitter::admit(std::string_view body) {
  const SteadyTime begin = clock_.steady_now();
  const auto options = this->options();
  const Deadline deadline = Deadline::after(options->deadline);

  const auto review = decoder_.decode(body, options->kinds);
  if (!review) {
    malformed_.add();
    return fail(review.error());
  }
  Decision decision;
  if (!pass_reason(*review, options->sweeper_user)) {
    const auto ns = namespaces_.get(review->ns, deadline.at_most(options->deadline / 4));
    const bool pruned = schemas_.prunes(*review->kind, deadline.at_most(options->deadline / 4));
    const WallTime now = clock_.wall_now();
    const auto assessment = assess(*review, ns, options->defaults, now, pruned);
    if (!assessment) return fail(assessment.error());
    const Answers answers = look_up(*review, *assessment, *options, deadline);
    decision = decide(*review, *assessment, answers, options->policy, now);
  }
  if (!review->dry_run) {
    record(*review, decision, begin);
    tell(*review, decision);
  }
  return encode_response(review->uid, std::move(decision));
}

Answers Admitter::look_up(const Review& review, const Assessment& assessment,
                          const AdmitOptions& options, Deadline deadline) {
  const InFlight in_flight(in_flight_, in_flight_gauge_);
  if (in_flight.position() > options.max_in_flight) {
    if (!review.dry_run) overloaded_.add();
    return refuse_slots(
        assessment, Error{.kind = ErrorKind::kTooMany, .message = "too many admissions under way"});
  }
  const bool update = review.operation == Operation::kUpdate;
  const auto max_age = update ? std::min(options.max_age, kEditMaxAge) : options.max_age;
  return resolve_slots(review, assessment, lookups_, max_age, deadline);
}

void Admitter::tell(const Review& review, const Decision& decision) {
  // A name that the API server is still to generate cannot be told of.
  if (events_ == nullptr || decision.notes.empty() || review.name.empty()) return;
  for (const Note& note : decision.notes) {
    // A full queue counts what it loses.
    (void)events_->record({.regarding = {.api_version = review.kind->api_version(),
                                         .kind = review.kind->kind,
                                         .ns = review.ns,
                                         .name = review.name,
                                         // Given at the end of a CREATE only; who asks for the name
                                         // finds it all the same.
                                         .uid = review.old_object ? review.old_object->uid : ""},
                           .warning = note.warning,
                           .reason = note.reason,
                           .action = note.action,
                           .note = note.text,
                           .decision = decision_of(review, clock_.wall_now())});
  }
}

void Admitter::count(const workload::Kind* kind, Operation operation, Outcome outcome) {
  const std::lock_guard lock(counters_mutex_);
  const auto key = std::tuple(kind, operation, outcome);
  auto counter = counters_.find(key);
  if (counter == counters_.end()) {
    counter = counters_
                  .emplace(key, admissions_.with({{"kind", kind == nullptr ? "other" : kind->kind},
                                                  {"operation", std::string(to_string(operation))},
                                                  {"outcome", std::string(to_string(outcome))}}))
                  .first;
  }
  counter->second.add();
}

void Admitter::record(const Review& review, const Decision& decision, SteadyTime begin) {
  const std::chrono::duration<double> took = clock_.steady_now() - begin;
  duration_.observe(took.count());
  count(review.kind, review.operation, decision.outcome);
  const auto write = decision.outcome == Outcome::kUnstamped || decision.outcome == Outcome::kDenied
                         ? &Logger::warn
                         : &Logger::debug;
  (log_.*write)("admission", {{"kind", review.kind_name},
                              {"namespace", review.ns},
                              {"name", review.name},
                              {"operation", to_string(review.operation)},
                              {"user", review.user},
                              {"outcome", to_string(decision.outcome)},
                              {"seconds", took.count()},
                              {"detail", decision.warnings.empty() ? std::string_view()
                                                                   : decision.warnings.front()}});
}

}  // namespace tidemark::webhook
