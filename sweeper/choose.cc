#include "sweeper/choose.h"

#include <algorithm>
#include <iterator>
#include <latch>
#include <memory>
#include <optional>
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
  // Of policies by_creation(): tags to be dated, when they were made, and by which digest.
  std::set<std::string> to_date{};
  policy::CreationTimes times{};
  TagChoices::Dated dated{};
  std::optional<Error> undated{};  // the first time that could not be had
  Result<registry::TagList> answer = fail(ErrorKind::kCanceled, "not asked: stopped");
};

bool follows(const Workload& workload, const TrackedSlot& slot) {
  return workload.settings.sweep != workload::SweepMode::kOff &&
         slot.standing() == TrackedSlot::State::kSweepable && !policy_of(workload, slot).empty();
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

  void gather(const Workloads& workloads) {
    for (const SharedWorkload& shared : workloads) {
      const Workload& workload = *shared;
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
    for (auto& entry : listings_) {
      const bool queued = pool.submit([&resolver, &stop, &whole, &done, &entry, this] {
        const Deadline one = whole.at_most(options_.one);
        if (!stop.stop_requested()) ask(resolver, entry.first, entry.second, one, stop);
        done.count_down();
      });
      if (!queued) done.count_down();  // cannot be: the queue holds them all
    }
    done.wait();
  }

  void decide() {
    TagChoices::Dated dated;
    for (auto& [key, listing] : listings_) {
      if (!listing.answer) refused(listing);
      dated.merge(listing.dated);
      const auto times = std::make_shared<const policy::CreationTimes>(std::move(listing.times));
      for (const Use& use : listing.uses) {
        const auto& policy = *policies_.at(use.policy);
        PolicyChoice choice{.policy = policy};
        if (policy->by_creation()) choice.times = times;
        if (listing.answer && policy->by_creation() && listing.undated) {
          choice.choice = fail(*listing.undated);
        } else if (listing.answer) {
          choice.choice = policy->choose(listing.answer->tags, *times);
          memory_.put({key.first, key.second, use.policy}, choice, now_);
        } else {
          choice.choice = fail(listing.answer.error());
        }
        answers_.put_choice(use.reference, use.pull_source, use.policy, std::move(choice));
      }
    }
    // Of repositories that were not listed now, or not to the end, what is known stays known.
    for (const auto& [key, time] : memory_.dated()) {
      const auto listing = listings_.find({std::get<0>(key), std::get<1>(key)});
      const bool complete = listing != listings_.end() && listing->second.answer.has_value() &&
                            !listing->second.undated;
      if (!complete) dated.emplace(key, time);
    }
    memory_.put_dated(std::move(dated));
  }

 private:
  using ListingKey = std::pair<std::string, std::string>;  // repository, identity

  // On a thread of the pool: of the listing alone.
  void ask(registry::Resolver& resolver, const ListingKey& key, Listing& listing, Deadline deadline,
           const std::stop_token& stop) const {
    listing.answer = resolver.tags(listing.query, deadline, stop);
    if (!listing.answer) return;
    std::set<std::string> wanted;
    for (const Use& use : listing.uses) {
      const policy::TagPolicy& policy = **policies_.at(use.policy);
      if (policy.by_creation()) wanted.merge(as_set(policy.candidates(listing.answer->tags)));
    }
    if (wanted.size() > kMaxDated) {
      listing.undated = Error{.kind = ErrorKind::kTooLarge,
                              .message = std::to_string(wanted.size()) +
                                         " tags are too many to be asked when they were made: a "
                                         "filter may leave " +
                                         std::to_string(kMaxDated)};
      return;
    }
    for (const std::string& tag : wanted) {
      if (auto dated = date(resolver, key, listing, tag, deadline, stop); !dated) {
        // An image that says no time is passed over, as a tag that is no version is.
        if (dated.error().kind == ErrorKind::kInvalid) continue;
        listing.undated = std::move(dated.error());
        return;
      }
    }
  }

  static std::set<std::string> as_set(std::vector<std::string> tags) {
    return {std::make_move_iterator(tags.begin()), std::make_move_iterator(tags.end())};
  }

  Status date(registry::Resolver& resolver, const ListingKey& key, Listing& listing,
              const std::string& tag, Deadline deadline, const std::stop_token& stop) const {
    registry::Query query = listing.query;
    query.reference = listing.query.reference.with_tag(tag);
    const auto resolved = resolver.resolve(query, deadline, stop);
    if (!resolved) return fail(resolved.error());
    const TagChoices::Key dated_key{key.first, key.second, resolved->digest.str()};
    const auto known = memory_.dated().find(dated_key);
    WallTime time;
    if (known != memory_.dated().end()) {
      time = known->second;
    } else {
      const auto reference = image::Reference::parse(key.first + "@" + resolved->digest.str());
      if (!reference) return fail(reference.error());
      query.reference = *reference;
      const auto made = resolver.created(query, deadline, stop);
      if (!made) return fail(made.error());
      time = made->time;
    }
    listing.dated.emplace(dated_key, time);
    listing.times.emplace(tag, time);
    return {};
  }

  void add(const Workload& workload, const TrackedSlot& slot) {
    const std::string& text = policy_of(workload, slot);
    const std::string source = workload.pull_source();
    const std::string repository = slot.reference->name();
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
  std::map<ListingKey, Listing> listings_;
};

std::vector<const Workload*> sources_to_read(const Workloads& workloads) {
  std::set<std::string> seen;
  std::vector<const Workload*> out;
  for (const SharedWorkload& shared : workloads) {
    const Workload& workload = *shared;
    const bool wanted = std::ranges::any_of(
        workload.slots, [&](const TrackedSlot& slot) { return follows(workload, slot); });
    if (wanted && seen.insert(workload.pull_source()).second) out.push_back(&workload);
  }
  return out;
}

}  // namespace

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

void choose(const Workloads& workloads, registry::Resolver& resolver, PullCredentials& credentials,
            TagChoices& memory, const ChooseOptions& options, const Clock& clock, Answers& answers,
            const std::stop_token& stop) {
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
