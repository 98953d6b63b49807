#include "sweeper/check.h"

#include <algorithm>
#include <latch>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/worker_pool.h"
#include "sweeper/adopt.h"
#include "sweeper/credentials.h"

namespace tidemark::sweeper {
namespace {

struct Question {
  registry::Query query;
  std::string problems;  // of its credentials, told where the registry refuses
  std::size_t turn = 0;  // how many of the same registry come before
  std::vector<std::string> pull_sources;
  Result<image::Digest> answer = fail(ErrorKind::kCanceled, "not asked: stopped");
};

bool asks(const Workload& workload, const TrackedSlot& slot, bool adopt) {
  if (workload.settings.sweep == workload::SweepMode::kOff) return false;
  return slot.state == TrackedSlot::State::kSweepable || (adopt && is_adoptable(workload, slot));
}

// Equal for equal lists of secrets, and reveals none (SHA-256, see Credential::identity).
std::string identity_of(const std::vector<registry::Credential>& credentials) {
  std::string identity;
  for (const registry::Credential& credential : credentials)
    identity += credential.identity() + " ";
  return identity;
}

std::vector<Question> gather(const std::vector<Workload>& workloads, PullCredentials& credentials,
                             bool adopt) {
  // The same reference from the same place again, which is most of them: nothing new to ask.
  std::map<std::pair<std::string, std::string>, std::size_t> seen;
  std::map<std::pair<std::string, std::string>, std::size_t> by_identity;
  std::map<std::string, std::size_t> turns;
  std::vector<Question> questions;
  for (const Workload& workload : workloads) {
    const std::string source = workload.pull_source();
    for (const TrackedSlot& slot : workload.slots) {
      if (!asks(workload, slot, adopt)) continue;
      const std::string reference = slot.reference->tagged();
      if (!seen.try_emplace({reference, source}, 0).second) continue;
      const PullCredentials::Source& from = credentials.of(workload);
      auto tried = from.keyring.lookup(*slot.reference);
      const auto [entry, is_new] =
          by_identity.try_emplace({reference, identity_of(tried)}, questions.size());
      if (is_new) {
        const std::string& registry = slot.reference->registry();
        questions.push_back(
            {.query = {.reference = *slot.reference, .credentials = std::move(tried)},
             .problems = from.problems,
             .turn = turns[registry]++,
             .pull_sources = {}});
      }
      questions[entry->second].pull_sources.push_back(source);
    }
  }
  std::ranges::stable_sort(questions, {}, &Question::turn);
  return questions;
}

Result<image::Digest> ask(const Question& question, registry::Resolver& resolver, Deadline deadline,
                          const std::stop_token& stop) {
  const image::Reference& reference = question.query.reference;
  const auto resolution = resolver.resolve(question.query, deadline, stop);
  if (!resolution) {
    Error error = resolution.error();
    if (!question.problems.empty()) error.message += " (" + question.problems + ")";
    return fail(std::move(error));
  }
  if (resolution->freshness == registry::Resolution::Freshness::kStale) {
    return fail(ErrorKind::kUnavailable, reference.str() + ": only an old answer is known");
  }
  return resolution->digest;
}

void ask_all(std::vector<Question>& questions, registry::Resolver& resolver,
             const CheckOptions& options, const std::stop_token& stop) {
  if (questions.empty()) return;
  const Deadline whole = Deadline::after(options.whole);
  std::latch done(static_cast<std::ptrdiff_t>(questions.size()));
  WorkerPool pool(std::min(std::max<std::size_t>(options.concurrency, 1), questions.size()),
                  questions.size());
  for (Question& question : questions) {
    const bool queued = pool.submit([&question, &resolver, &options, &stop, &whole, &done] {
      if (!stop.stop_requested()) {
        question.answer = ask(question, resolver, whole.at_most(options.one), stop);
      }
      done.count_down();
    });
    if (!queued) done.count_down();  // cannot be: the queue holds them all
  }
  done.wait();
}

}  // namespace

CheckResult check(const std::vector<Workload>& workloads, registry::Resolver& resolver,
                  kube::Api& api, const CheckOptions& options, std::stop_token stop) {
  PullCredentials credentials(options.read_secrets ? &api : nullptr, Deadline::after(options.whole),
                              stop);
  std::vector<Question> questions = gather(workloads, credentials, options.adopt);
  ask_all(questions, resolver, options, stop);
  CheckResult result;
  result.asked = questions.size();
  for (const Question& question : questions) {
    if (!question.answer) ++result.failed;
    for (const std::string& source : question.pull_sources) {
      result.answers.put(question.query.reference, source, question.answer);
    }
  }
  return result;
}

}  // namespace tidemark::sweeper
