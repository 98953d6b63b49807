#include "sweeper/choose.h"

#include <algorithm>
#include <latch>
#include <memory>
#include <utility>

#include "base/worker_pool.h"
#include "policy/tag_policy.h"
#include "sweeper/destination.h"

namespace tidemark::sweeper {
namespace {

using ReadPolicy = Result<std::shared_ptr<const policy::TagPolicy>>;

// One slot's question; equal for slots that share it.
struct Use {
  image::Reference reference;
  std::string pull_source;
  std::string policy;
};

struct Listing {
  registry::Query query;
  std::string problems;  // of its credentials
  std::vector<Use> uses{};
  Result<registry::TagList> answer = fail(ErrorKind::kCanceled, "not asked: stopped");
};

bool follows(const Workload& workload, const TrackedSlot& slot) {
  return workload.settings.sweep != workload::SweepMode::kOff &&
         slot.state == TrackedSlot::State::kSweepable && !policy_of(workload, slot).empty();
}

ReadPolicy read_policy(const std::string& text) {
  auto read = policy::TagPolicy::parse(text);
  if (!read) return fail(within("its policy", std::move(read.error())));
  return std::make_shared<const policy::TagPolicy>(std::move(*read));
}

class Chooser {
 public:
  Chooser(PullCredentials& credentials, TagChoices& memory, const ChooseOptions& options,
          const Clock& clock, Answers& answers)
      : credentials_(credentials),
        memory_(memory),
        options_(options),
        now_(clock.steady_now()),
        answers_(answers) {}

  void gather(const std::vector<Workload>& workloads) {
    for (const Workload& workload : workloads) {
      for (const TrackedSlot& slot : workload.slots) {
        if (follows(workload, slot)) add(workload, slot);
      }
    }
  }

  void list(registry::Resolver& resolver, const std::stop_token& stop) {
    if (listings_.empty()) return;
    const Deadline whole = Deadline::after(options_.whole);
    std::latch done(static_cast<std::ptrdiff_t>(listings_.size()));
    WorkerPool pool(std::min(std::max<std::size_t>(options_.concurrency, 1), listings_.size()),
                    listings_.size());
    for (auto& [key, listing] : listings_) {
      const bool queued = pool.submit([&resolver, &stop, &whole, &done, &listing = listing, this] {
        if (!stop.stop_requested()) {
          listing.answer = resolver.tags(listing.query, whole.at_most(options_.one), stop);
        }
        done.count_down();
      });
      if (!queued) done.count_down();  // cannot be: the queue holds them all
    }
    done.wait();
  }

  void decide() {
    for (auto& [key, listing] : listings_) {
      if (!listing.answer) refused(listing);
      for (const Use& use : listing.uses) {
        const auto& policy = *policies_.at(use.policy);
        PolicyChoice choice{.policy = policy};
        if (listing.answer) {
          choice.choice = policy->choose(listing.answer->tags);
          memory_.put({key.first, key.second, use.policy}, choice, now_);
        } else {
          choice.choice = fail(listing.answer.error());
        }
        answers_.put_choice(use.reference, use.pull_source, use.policy, std::move(choice));
      }
    }
  }

 private:
  void add(const Workload& workload, const TrackedSlot& slot) {
    const std::string& text = policy_of(workload, slot);
    const std::string source = workload.pull_source();
    const std::string repository = repository_of(*slot.reference);
    if (!seen_.emplace(repository, source, text).second) return;
    const bool pushed = options_.pushed != nullptr && options_.pushed->contains(repository);
    if (options_.pushed != nullptr && !pushed) return;  // stands as it is known
    const auto known_policy = policies_.find(text);
    const ReadPolicy& policy = known_policy != policies_.end()
                                   ? known_policy->second
                                   : policies_.emplace(text, read_policy(text)).first->second;
    if (!policy || !(*policy)->chooses()) {
      PolicyChoice none{.policy = policy ? *policy : nullptr};
      if (!policy) none.choice = fail(policy.error());
      answers_.put_choice(*slot.reference, source, text, std::move(none));
      return;
    }
    const PullCredentials::Source& from = credentials_.of(workload);
    auto tried = from.keyring.lookup(*slot.reference);
    std::string identity = registry::identity_of(tried);
    if (!pushed) {
      if (const PolicyChoice* known =
              memory_.find({repository, identity, text}, now_ - options_.max_age)) {
        answers_.put_choice(*slot.reference, source, text, *known);
        return;
      }
    }
    const auto [entry, is_new] = listings_.try_emplace(
        {repository, std::move(identity)},
        Listing{.query = {.reference = *slot.reference, .credentials = std::move(tried)},
                .problems = from.problems});
    entry->second.uses.push_back(
        {.reference = *slot.reference, .pull_source = source, .policy = text});
  }

  void refused(Listing& listing) {
    Error& error = listing.answer.error();
    if (!listing.problems.empty()) error.message += " (" + listing.problems + ")";
    if (error.kind != ErrorKind::kUnauthorized && error.kind != ErrorKind::kForbidden) return;
    for (const Use& use : listing.uses) (void)credentials_.refused(use.pull_source);
  }

  PullCredentials& credentials_;
  TagChoices& memory_;
  const ChooseOptions& options_;
  const SteadyTime now_;
  Answers& answers_;
  std::set<std::tuple<std::string, std::string, std::string>> seen_;
  std::map<std::string, ReadPolicy> policies_;
  std::map<std::pair<std::string, std::string>, Listing> listings_;  // by repository, identity
};

std::vector<const Workload*> sources_to_read(const std::vector<Workload>& workloads) {
  std::set<std::string> seen;
  std::vector<const Workload*> out;
  for (const Workload& workload : workloads) {
    const bool wanted = std::ranges::any_of(
        workload.slots, [&](const TrackedSlot& slot) { return follows(workload, slot); });
    if (wanted && seen.insert(workload.pull_source()).second) out.push_back(&workload);
  }
  return out;
}

}  // namespace

std::string repository_of(const image::Reference& reference) {
  return reference.registry() + "/" + reference.repository();
}

std::string repository_part(const std::string& tagged) {
  return tagged.substr(0, tagged.rfind(':'));  // no tag has a colon
}

const PolicyChoice* TagChoices::find(const Key& key, SteadyTime not_before) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.at < not_before) return nullptr;
  found->second.used = true;
  return &found->second.choice;
}

void TagChoices::put(const Key& key, const PolicyChoice& choice, SteadyTime now) {
  entries_.insert_or_assign(key, Entry{.choice = choice, .at = now});
}

void TagChoices::forget_unused() {
  std::erase_if(entries_, [](const auto& entry) { return !entry.second.used; });
  for (auto& [key, entry] : entries_) entry.used = false;
}

void choose(const std::vector<Workload>& workloads, registry::Resolver& resolver,
            PullCredentials& credentials, TagChoices& memory, const ChooseOptions& options,
            const Clock& clock, Answers& answers, const std::stop_token& stop) {
  const auto sources = sources_to_read(workloads);
  if (!sources.empty()) {
    credentials.begin(Deadline::after(options.whole), stop);
    credentials.prefetch(sources, options.concurrency);
    Chooser chooser(credentials, memory, options, clock, answers);
    chooser.gather(workloads);
    chooser.list(resolver, stop);
    chooser.decide();
  }
  if (options.pushed == nullptr) memory.forget_unused();
}

}  // namespace tidemark::sweeper
