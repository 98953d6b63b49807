#include "sweeper/check.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/worker_pool.h"
#include "sweeper/adopt.h"
#include "sweeper/destination.h"

namespace tidemark::sweeper {
namespace {

struct Question {
  registry::Query query;
  std::string identity;  // of its credentials
  std::string problems;  // of its credentials, told where the registry refuses
  std::size_t turn = 0;  // how many of the same registry come before
  std::vector<std::string> pull_sources;
  Result<image::Digest> answer = fail(ErrorKind::kCanceled, "not asked: stopped");
  std::string credential{};  // that was answered to
};

// What the registry is asked about for this slot; nullopt: nothing.
std::optional<image::Reference> asked_of(const Workload& workload, const TrackedSlot& slot,
                                         const Answers& choices, const CheckOptions& options) {
  if (workload.settings.sweep == workload::SweepMode::kOff) return std::nullopt;
  if (slot.standing() != TrackedSlot::State::kSweepable &&
      !(options.adopt && is_adoptable(workload, slot))) {
    return std::nullopt;
  }
  const Destination towards = destination_of(workload, slot, choices);
  if (!towards.known) return std::nullopt;
  const image::Reference& reference = towards.reference(slot);
  if (options.only != nullptr && !options.only->contains(reference.tagged())) return std::nullopt;
  return reference;
}

using Place = std::pair<std::string, std::string>;  // reference, pull source
using Places = std::map<Place, Question*>;

// The first workload of each place that is to be asked from.
std::vector<const Workload*> sources_to_read(const Workloads& workloads, const Answers& choices,
                                             const CheckOptions& options) {
  std::set<std::string> seen;
  std::vector<const Workload*> out;
  for (const SharedWorkload& shared : workloads) {
    const Workload& workload = *shared;
    const bool wanted = std::ranges::any_of(workload.slots, [&](const TrackedSlot& slot) {
      return asked_of(workload, slot, choices, options).has_value();
    });
    if (wanted && seen.insert(workload.pull_source()).second) out.push_back(&workload);
  }
  return out;
}

// `only`: of these places; nullptr: of all.
std::vector<Question> gather(const Workloads& workloads, PullCredentials& credentials,
                             const Answers& choices, const CheckOptions& options,
                             const Places* only = nullptr) {
  // The same reference from the same place again, which is most of them: nothing new to ask.
  std::set<Place> seen;
  std::map<std::pair<std::string, std::string>, std::size_t> by_identity;
  std::vector<Question> questions;
  for (const SharedWorkload& shared : workloads) {
    const Workload& workload = *shared;
    const std::string source = workload.pull_source();
    for (const TrackedSlot& slot : workload.slots) {
      const auto asked = asked_of(workload, slot, choices, options);
      if (!asked) continue;
      const std::string reference = asked->tagged();
      const Place place{reference, source};
      if (only != nullptr && !only->contains(place)) continue;
      if (!seen.insert(place).second) continue;
      const PullCredentials::Source& from = credentials.of(workload);
      auto tried = from.keyring.lookup(*asked);
      std::string identity = registry::identity_of(tried);
      const auto [entry, is_new] = by_identity.try_emplace({reference, identity}, questions.size());
      if (is_new) {
        questions.push_back({.query = {.reference = *asked, .credentials = std::move(tried)},
                             .identity = std::move(identity),
                             .problems = from.problems,
                             .pull_sources = {}});
      }
      questions[entry->second].pull_sources.push_back(source);
    }
  }
  // Where a registry's rate leaves no time for all, others are the first in the next sweep.
  std::ranges::shuffle(questions,
                       std::mt19937_64(options.order ? *options.order : std::random_device{}()));
  std::map<std::string, std::size_t> turns;
  for (Question& question : questions) {
    question.turn = turns[question.query.reference.registry()]++;
  }
  std::ranges::stable_sort(questions, {}, &Question::turn);
  return questions;
}

Result<image::Digest> ask(Question& question, registry::Resolver& resolver, Deadline deadline,
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
  question.credential = resolution->credential_source;
  return resolution->digest;
}

// Which question is put next. What may be under way at once is parted evenly between the registries
// that still have questions: one that hangs keeps its own part, and no other waits for it.
class Turns {
 public:
  // Waits end at `whole`: then nobody's part counts any more, for nobody is asked any more.
  Turns(std::vector<Question>& questions, std::size_t at_once, Deadline whole)
      : at_once_(at_once), whole_(whole) {
    for (Question& question : questions) line_of(question).waiting.push_back(&question);
  }

  // Waits for the turn of one; nullptr: all have had theirs. Each is to be given to done().
  Question* take() {
    std::unique_lock lock(mutex_);
    Line* line = nullptr;
    freed_.wait_until(lock, whole_.point(), [&] {
      line = next(/*in_its_part=*/true);
      return line != nullptr || left_ == 0;
    });
    if (line == nullptr) line = next(/*in_its_part=*/false);
    if (line == nullptr) return nullptr;
    Question* question = line->waiting.front();
    line->waiting.pop_front();
    ++line->under_way;
    if (--left_ == 0) freed_.notify_all();
    return question;
  }
  void done(const Question& question) {
    const std::lock_guard lock(mutex_);
    const auto line = lines_.find(question.query.reference.registry());
    --line->second.under_way;
    if (line->second.under_way == 0 && line->second.waiting.empty()) lines_.erase(line);
    freed_.notify_all();  // where a registry is through, the parts of all others grow
  }

 private:
  struct Line {
    std::deque<Question*> waiting;
    std::size_t under_way = 0;
  };
  Line& line_of(const Question& question) {
    ++left_;
    return lines_[question.query.reference.registry()];
  }
  // The line with the fewest under way; of equals the one whose question comes first.
  Line* next(bool in_its_part) {
    if (lines_.empty()) return nullptr;
    const std::size_t part = (at_once_ + lines_.size() - 1) / lines_.size();
    Line* best = nullptr;
    const auto rank = [](const Line& line) {
      return std::pair(line.under_way, line.waiting.front());
    };
    for (auto& [registry, line] : lines_) {
      if (line.waiting.empty() || (in_its_part && line.under_way >= part)) continue;
      if (best == nullptr || rank(line) < rank(*best)) best = &line;
    }
    return best;
  }

  const std::size_t at_once_;
  const Deadline whole_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::map<std::string, Line> lines_;  // by registry; those that are through are not in it
  std::size_t left_ = 0;               // that have not had their turn
};

void ask_all(std::vector<Question>& questions, registry::Resolver& resolver,
             const CheckOptions& options, const std::stop_token& stop) {
  if (questions.empty()) return;
  const std::size_t at_once =
      std::min(std::max<std::size_t>(options.concurrency, 1), questions.size());
  const Deadline whole = Deadline::after(options.whole);
  if (options.progress) options.progress(0, questions.size());
  std::atomic<std::size_t> answered = 0;
  Turns turns(questions, at_once, whole);
  WorkerPool pool(at_once, at_once);  // last: its threads end before what they use
  for (std::size_t i = 0; i < at_once; ++i) {
    const bool queued = pool.submit([&, total = questions.size()] {
      while (Question* question = turns.take()) {
        if (!stop.stop_requested()) {
          question->answer = ask(*question, resolver, whole.at_most(options.one), stop);
        }
        turns.done(*question);
        if (options.progress) options.progress(++answered, total);
      }
    });
    if (!queued) break;  // cannot be: the queue holds them all
  }
}

bool is_refused(const Question& question) {
  return !question.answer && (question.answer.error().kind == ErrorKind::kUnauthorized ||
                              question.answer.error().kind == ErrorKind::kForbidden);
}

// Secrets rotate while an earlier sweep's are still kept: what was refused is asked again with what
// the secrets say now, unless that is the same.
void ask_refused_again(std::vector<Question>& questions, const Workloads& workloads,
                       registry::Resolver& resolver, PullCredentials& credentials,
                       const Answers& choices, const CheckOptions& options,
                       const std::stop_token& stop) {
  std::set<std::string> read_again;  // pull sources
  Places places;
  for (Question& question : questions) {
    if (!is_refused(question)) continue;
    for (const std::string& source : question.pull_sources) {
      if (credentials.refused(source)) read_again.insert(source);
      if (read_again.contains(source)) {
        places.try_emplace({question.query.reference.tagged(), source}, &question);
      }
    }
  }
  if (places.empty()) return;
  std::vector<Question> anew = gather(workloads, credentials, choices, options, &places);
  std::erase_if(anew, [&](Question& question) {
    const std::string reference = question.query.reference.tagged();
    std::erase_if(question.pull_sources, [&](const std::string& source) {
      Question& before = *places.at({reference, source});
      if (before.identity == question.identity) return true;
      std::erase(before.pull_sources, source);
      return false;
    });
    return question.pull_sources.empty();
  });
  CheckOptions quietly = options;
  quietly.progress = nullptr;  // that was at its end already
  ask_all(anew, resolver, quietly, stop);
  std::erase_if(questions, [](const Question& question) { return question.pull_sources.empty(); });
  std::ranges::move(anew, std::back_inserter(questions));
}

// The images of an index; empty for an image. What a digest names never changes, so that a later
// sweep need not ask again.
std::vector<image::Digest> platforms_of(const image::Reference& tag, const image::Digest& digest,
                                        const registry::Keyring& keyring,
                                        registry::Resolver& resolver, Deadline deadline,
                                        const std::stop_token& stop) {
  constexpr std::chrono::hours kMaxAge{24};
  const auto reference = image::Reference::parse(tag.name() + "@" + digest.str());
  if (!reference) return {};
  auto resolution = resolver.resolve({.reference = *reference,
                                      .credentials = keyring.lookup(*reference),
                                      .max_age = kMaxAge,
                                      .with_platforms = true},
                                     deadline, stop);
  return resolution ? std::move(resolution->platforms) : std::vector<image::Digest>{};
}

// Of tags whose index is another than the stamped one: whether that holds the same images. What
// cannot be seen (the old index is gone) counts as moved.
void compare_platforms(const Workloads& workloads, registry::Resolver& resolver,
                       PullCredentials& credentials, const Answers& choices,
                       const CheckOptions& options, const std::stop_token& stop, Answers& answers) {
  const Deadline whole = Deadline::after(options.whole);
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  for (const SharedWorkload& shared : workloads) {
    const Workload& workload = *shared;
    const std::string source = workload.pull_source();
    for (const TrackedSlot& slot : workload.slots) {
      const auto asked = asked_of(workload, slot, choices, options);
      if (!asked || !slot.stamp) continue;
      const auto* answer = answers.find(*asked, source);
      if (answer == nullptr || !*answer || **answer == slot.stamp->digest()) continue;
      const image::Digest& from = slot.stamp->digest();
      if (!seen.emplace(source, from.str(), (*answer)->str()).second) continue;
      const registry::Keyring& keyring = credentials.of(workload).keyring;
      const auto images = [&](const image::Digest& digest) {
        return platforms_of(*asked, digest, keyring, resolver, whole.at_most(options.one), stop);
      };
      const auto before = images(from);
      if (before.empty()) continue;
      const auto after = images(**answer);
      const bool same = std::ranges::all_of(before, [&](const image::Digest& each) {
        return std::ranges::find(after, each) != after.end();
      });
      if (same) answers.put_same_images(source, from, **answer);
    }
  }
}

}  // namespace

CheckResult check(const Workloads& workloads, registry::Resolver& resolver,
                  PullCredentials& credentials, const Answers& choices, const CheckOptions& options,
                  std::stop_token stop) {
  credentials.begin(Deadline::after(options.whole), stop);
  credentials.prefetch(sources_to_read(workloads, choices, options), options.concurrency);
  std::vector<Question> questions = gather(workloads, credentials, choices, options);
  ask_all(questions, resolver, options, stop);
  ask_refused_again(questions, workloads, resolver, credentials, choices, options, stop);
  CheckResult result;
  result.asked = questions.size();
  for (const Question& question : questions) {
    if (!question.answer) ++result.failed;
    for (const std::string& source : question.pull_sources) {
      result.answers.put(question.query.reference, source, question.answer, options.now);
      if (question.answer) {
        result.credentials[{question.query.reference.tagged(), source}] = question.credential;
      }
    }
  }
  if (options.compare_platforms) {
    compare_platforms(workloads, resolver, credentials, choices, options, stop, result.answers);
  }
  return result;
}

}  // namespace tidemark::sweeper
