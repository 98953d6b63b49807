#include "webhook/resolve_slots.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

namespace tidemark::webhook {
namespace {

using registry::Query;
using registry::Resolution;

// How much later than the deadline a resolver's own kTimeout may come: it names the phase that
// hung, which "timed out" alone does not. Manifests leave a second between the two timeouts.
constexpr std::chrono::milliseconds kGrace{50};

// The answers of one round, shared with tasks that may outlive it.
struct Round {
  explicit Round(std::size_t size) : answers(size), missing(size) {}
  void set(std::size_t index, Result<Resolution> answer) {
    const std::lock_guard lock(mutex);
    answers[index] = std::move(answer);
    --missing;
    done.notify_all();
  }
  std::mutex mutex;
  std::condition_variable done;
  std::vector<std::optional<Result<Resolution>>> answers;
  std::size_t missing;
  std::stop_source stop;
};

// Asks all at once: the first one here, which saves one change of threads.
std::vector<Result<Resolution>> ask_registries(const std::vector<Query>& queries,
                                               const Lookups& lookups, Deadline deadline) {
  const auto round = std::make_shared<Round>(queries.size());
  for (std::size_t i = 1; i < queries.size(); ++i) {
    const bool taken =
        lookups.pool.submit([round, i, query = queries[i], &resolver = lookups.resolver, deadline] {
          round->set(i, resolver.resolve(query, deadline, round->stop.get_token()));
        });
    if (!taken) {
      round->set(i, fail(ErrorKind::kTooMany, "too many lookups under way"));
    }
  }
  round->set(0, lookups.resolver.resolve(queries[0], deadline, round->stop.get_token()));

  std::unique_lock lock(round->mutex);
  round->done.wait_until(lock, deadline.point() + kGrace, [&] { return round->missing == 0; });
  round->stop.request_stop();
  std::vector<Result<Resolution>> answers;
  for (const auto& answer : round->answers) {
    answers.push_back(answer ? *answer
                             : Result<Resolution>(fail(ErrorKind::kTimeout, "timed out")));
  }
  return answers;
}

// What is known costs no change of threads; only the rest waits for registries.
std::vector<Result<Resolution>> ask_all(const std::vector<Query>& queries, const Lookups& lookups,
                                        Deadline deadline) {
  std::vector<Result<Resolution>> answers(queries.size(), fail(ErrorKind::kInternal, "not asked"));
  std::vector<Query> unknown;
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (auto answer = lookups.resolver.known(queries[i])) {
      answers[i] = std::move(*answer);
    } else {
      unknown.push_back(queries[i]);
      indexes.push_back(i);
    }
  }
  if (unknown.empty()) return answers;
  auto asked = ask_registries(unknown, lookups, deadline);
  for (std::size_t i = 0; i < indexes.size(); ++i) answers[indexes[i]] = std::move(asked[i]);
  return answers;
}

void ask_again(const std::vector<std::size_t>& indexes, const std::vector<Query>& queries,
               const Lookups& lookups, Deadline deadline,
               std::vector<Result<Resolution>>& answers) {
  std::vector<Query> some;
  for (const std::size_t index : indexes) some.push_back(queries[index]);
  auto asked = ask_all(some, lookups, deadline);
  for (std::size_t i = 0; i < indexes.size(); ++i) answers[indexes[i]] = std::move(asked[i]);
}

// One query for each unique reference, its credentials still to be found.
//
// What the registry said long ago is worth less than the stamp that stands: it may be the digest
// from before the last roll. And a rollback turns on what the registry serves now.
std::vector<Query> unique_queries(const Assessment& assessment, std::chrono::milliseconds max_age) {
  std::vector<Query> queries;
  queries.reserve(assessment.slots.size());
  for (const SlotPlan& plan : assessment.slots) {
    if (plan.step != Step::kResolve || !plan.reference) continue;
    auto query = std::ranges::find(queries, *plan.reference, &Query::reference);
    if (query == queries.end()) {
      queries.push_back({.reference = *plan.reference, .max_age = max_age});
      query = std::prev(queries.end());
    }
    if (plan.old_stamp && plan.same_reference) query->stale_ok = false;
    if (plan.rollback_to) query->max_age = std::chrono::milliseconds{0};
  }
  return queries;
}

bool refused(const Result<Resolution>& answer) {
  return !answer && (answer.error().kind == ErrorKind::kUnauthorized ||
                     answer.error().kind == ErrorKind::kForbidden);
}

// A remembered answer may be older than the stamp that it contradicts: the sweeper, or another
// replica, has asked since.
bool may_be_older_than_a_stamp(const Assessment& assessment, const Query& query,
                               const Result<Resolution>& answer) {
  if (!answer || answer->freshness == Resolution::Freshness::kFresh) return false;
  return std::ranges::any_of(assessment.slots, [&](const SlotPlan& plan) {
    return plan.step == Step::kResolve && plan.same_reference && plan.old_stamp &&
           plan.old_stamp->digest() != answer->digest && *plan.reference == query.reference;
  });
}

bool same_credentials(const std::vector<registry::Credential>& a,
                      const std::vector<registry::Credential>& b) {
  return std::ranges::equal(a, b, {}, &registry::Credential::identity,
                            &registry::Credential::identity);
}

// The resolver's message begins with the reference, which a warning has named already.
std::string without_reference(const std::string& message, const std::string& reference) {
  const std::string prefix = reference + ": ";
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

Result<image::Digest> to_answer(const Query& query, Result<Resolution> answer,
                                const std::vector<std::string>& problems) {
  if (answer) return std::move(answer->digest);
  Error error = answer.error();
  error.message = without_reference(error.message, query.reference.tagged());
  if (error.kind == ErrorKind::kNotFound) {
    error.message = "the registry has no such tag: " + error.message;
  }
  if (refused(answer) || error.kind == ErrorKind::kNotFound) {
    // Registries answer 404 for what may not be seen, too.
    for (const std::string& problem : problems) error.message += "; " + problem;
  }
  return fail(std::move(error));
}

}  // namespace

void Answers::add(image::Reference reference, Result<image::Digest> answer) {
  answers_.emplace_back(std::move(reference), std::move(answer));
}

const Result<image::Digest>* Answers::find(const image::Reference& reference) const {
  const auto found =
      std::ranges::find_if(answers_, [&](const auto& answer) { return answer.first == reference; });
  return found == answers_.end() ? nullptr : &found->second;
}

Answers resolve_slots(const Review& review, const Assessment& assessment, const Lookups& lookups,
                      std::chrono::milliseconds max_age, Deadline deadline) {
  std::vector<Query> queries = unique_queries(assessment, max_age);
  if (queries.empty()) return {};
  const workload::PodTemplate& pod_template = review.object->pod_template;

  // A hanging API server leaves half of the time to public registries.
  const auto read_keyring = [&](std::vector<std::string>& problems) {
    return lookups.secrets.keyring(review.ns, pod_template,
                                   deadline.at_most(deadline.remaining() / 2), problems);
  };
  std::vector<std::string> problems;
  registry::Keyring keyring = read_keyring(problems);
  for (Query& query : queries) query.credentials = keyring.lookup(query.reference);
  auto answers = ask_all(queries, lookups, deadline);

  std::vector<std::size_t> again;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!may_be_older_than_a_stamp(assessment, queries[i], answers[i])) continue;
    queries[i].max_age = std::chrono::milliseconds{0};
    again.push_back(i);
  }
  // Rotated credentials: what was refused is asked again where the secret now says otherwise.
  if (std::ranges::any_of(answers, refused) && !deadline.expired()) {
    lookups.secrets.forget(review.ns, pod_template);
    problems.clear();
    keyring = read_keyring(problems);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      auto credentials = keyring.lookup(queries[i].reference);
      if (!refused(answers[i]) || same_credentials(credentials, queries[i].credentials)) continue;
      queries[i].credentials = std::move(credentials);
      again.push_back(i);
    }
  }
  ask_again(again, queries, lookups, deadline, answers);

  Answers result;
  result.reserve(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    auto answer = to_answer(queries[i], std::move(answers[i]), problems);
    result.add(std::move(queries[i].reference), std::move(answer));
  }
  return result;
}

Answers refuse_slots(const Assessment& assessment, const Error& error) {
  Answers answers;
  for (Query& query : unique_queries(assessment, {})) {
    answers.add(std::move(query.reference), fail(error));
  }
  return answers;
}

}  // namespace tidemark::webhook
