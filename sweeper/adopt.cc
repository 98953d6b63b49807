#include "sweeper/adopt.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/text.h"
#include "sweeper/guarded_patch.h"
#include "sweeper/plan.h"
#include "workload/annotations.h"
#include "workload/pod.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using workload::RolloutState;
using workload::Stamp;
using workload::StringMap;
using workload::value_of;
using State = TrackedSlot::State;

// How many pods run which digest.
using Digests = std::map<image::Digest, std::size_t>;

// What takes a shared workload's place in the end.
struct Changed {
  Workload workload;
  std::vector<TrackedSlot*> decided{};  // of it: their baselines are to be written
};

struct Candidate {
  Changed* changed = nullptr;
  std::vector<TrackedSlot*> slots;
  std::size_t pods = 0;
  std::map<std::string, Digests> running{};  // by slot
};

const image::Digest* served(const Workload& workload, const TrackedSlot& slot,
                            const Answers& answers) {
  const auto* answer = answers.find(*slot.reference, workload.pull_source());
  return answer != nullptr && answer->has_value() ? &answer->value() : nullptr;
}

void refuse(TrackedSlot& slot, const std::string& why) {
  slot.state = State::kNoStamp;
  slot.stamp.reset();
  slot.adopted = false;
  slot.problem = "no stamp, and " + why;
}

void take(TrackedSlot& slot, const image::Digest& digest) {
  slot.state = State::kSweepable;
  slot.stamp = Stamp::make(*slot.reference, digest);
  slot.adopted = true;
  slot.problem.clear();
}

// Whether a slot's baseline is missing, or is about to be rolled away: by its place.
std::vector<bool> slots_to_adopt(const SharedWorkload& workload, const Answers& answers,
                                 WallTime now) {
  std::vector<bool> wanted(workload->slots.size());
  std::optional<WorkloadPlan> planned;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const TrackedSlot& slot = workload->slots[i];
    if (slot.adopted && !planned) planned = plan_workload(workload, answers, now);
    wanted[i] = is_adoptable(*workload, slot) ||
                (slot.adopted && planned->slots[i].verdict == Verdict::kRoll);
  }
  return wanted;
}

class Adopter {
 public:
  Adopter(const Answers& answers, registry::Resolver& resolver, kube::Api& api,
          PullCredentials& credentials, const AdoptOptions& options, WallTime now,
          const std::stop_token& stop)
      : answers_(answers),
        resolver_(resolver),
        api_(api),
        credentials_(credentials),
        options_(options),
        now_(now),
        stop_(stop),
        deadline_(Deadline::after(options.whole)) {}

  AdoptReport adopt(Workloads& workloads) {
    for (SharedWorkload& workload : workloads) consider(workload);
    for (auto& [ns, candidates] : candidates_) read_pods(ns, candidates);
    for (auto& [ns, candidates] : candidates_) {
      for (auto& [key, candidate] : candidates) judge(candidate);
    }
    for (auto& [shared, changed] : changed_) {
      if (!changed.decided.empty()) write(changed.workload, changed.decided);
      *shared = share(std::move(changed.workload));
    }
    return std::move(report_);
  }

 private:
  using Candidates = std::map<std::pair<std::string, std::string>, Candidate>;  // by kind and name

  void consider(SharedWorkload& shared) {
    const auto wanted = slots_to_adopt(shared, answers_, now_);
    if (std::ranges::find(wanted, true) == wanted.end()) return;
    Changed& changed = changed_.try_emplace(&shared, Changed{.workload = *shared}).first->second;
    Workload& workload = changed.workload;
    std::vector<TrackedSlot*> slots;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      TrackedSlot& slot = workload.slots[i];
      if (!wanted[i]) continue;
      if (slot.adopted || served(workload, slot, answers_) != nullptr) {
        slots.push_back(&slot);
      } else {
        refuse(slot, "the registry does not say what its tag means");
      }
    }
    if (slots.empty()) return;
    switch (workload.rollout) {
      case RolloutState::kIdle:
        for (TrackedSlot* slot : slots) adopt_idle(changed, *slot);
        return;
      case RolloutState::kComplete:
        candidates_[workload.ns].emplace(std::pair(workload.kind->kind, workload.name),
                                         Candidate{.changed = &changed, .slots = slots});
        return;
      case RolloutState::kProgressing:
      case RolloutState::kFailed:
        for (TrackedSlot* slot : slots) refuse(*slot, "its rollout is not complete");
        return;
    }
  }

  // Nothing runs: the next pod pulls what the tag means then.
  void adopt_idle(Changed& changed, TrackedSlot& slot) {
    if (slot.adopted) return;
    if (slot.pull_policy != "Always") {
      return refuse(slot, "nothing runs that says which image nodes have");
    }
    take(slot, *served(changed.workload, slot, answers_));
    changed.decided.push_back(&slot);
  }

  void read_pods(const std::string& ns, Candidates& candidates) {
    const auto count = [&](std::string_view text) -> Status {
      const auto pod = workload::parse_pod(text);
      if (!pod || !pod->live) return {};
      const auto maker = workload::workload_of(*pod);
      const auto found = maker ? candidates.find(*maker) : candidates.end();
      if (found == candidates.end()) return {};
      ++found->second.pods;
      for (const workload::PodContainer& container : pod->containers) {
        if (container.digest) ++found->second.running[container.slot][*container.digest];
      }
      return {};
    };
    const auto listed =
        api_.list(kube::resource_path("v1", "pods", ns), {}, count, deadline_, stop_);
    if (listed) return;
    report_.problems.push_back({.ns = ns, .what = "pods", .error = listed.error()});
    for (auto& [key, candidate] : candidates) {
      for (TrackedSlot* slot : candidate.slots) {
        refuse(*slot, "pods cannot be read: " + listed.error().message);
      }
      candidate.slots.clear();
    }
  }

  void judge(Candidate& candidate) {
    for (TrackedSlot* slot : candidate.slots) {
      const std::optional<Stamp> before = slot->stamp;
      const Digests& running = candidate.running[slot->id];
      if (running.empty()) {
        refuse(*slot, candidate.pods == 0 ? "it has no pod that says what runs"
                                          : "its pods name no digest of a registry");
        continue;
      }
      const auto baseline = baseline_of(candidate.changed->workload, *slot, running);
      if (!baseline) {
        refuse(*slot, baseline.error().message);
        continue;
      }
      take(*slot, *baseline);
      if (slot->stamp != before) candidate.changed->decided.push_back(slot);
    }
  }

  Result<image::Digest> baseline_of(Workload& workload, const TrackedSlot& slot,
                                    const Digests& running) {
    const image::Digest& now_served = *served(workload, slot, answers_);
    Digests old = running;
    old.erase(now_served);
    if (!old.empty()) {
      const auto platforms = platforms_of(workload, slot, now_served);
      if (!platforms) return fail(platforms.error());
      for (const image::Digest& platform : *platforms) old.erase(platform);
    }
    if (old.empty()) return now_served;
    if (running.size() > 1) workload.problems.push_back(skew(slot, running));
    return std::ranges::max_element(old, {}, [](const auto& entry) { return entry.second; })->first;
  }

  static std::string skew(const TrackedSlot& slot, const Digests& running) {
    std::string text;
    for (const auto& [digest, pods] : running) {
      append_part(text, ", ", std::to_string(pods) + " of " + std::string(digest.short_hex()));
    }
    return "pods run different digests of " + slot.id + ": " + text;
  }

  // Asked only where pods run another digest than the tag's: most often that is an old one, or that
  // of their platform's manifest.
  Result<std::vector<image::Digest>> platforms_of(const Workload& workload, const TrackedSlot& slot,
                                                  const image::Digest& now_served) {
    const auto [entry, is_new] =
        platforms_.try_emplace({slot.reference->tagged(), workload.pull_source()},
                               fail(ErrorKind::kInternal, "not asked"));
    if (!is_new) return entry->second;
    registry::Query query{.reference = *slot.reference,
                          .credentials = credentials_.of(workload).keyring.lookup(*slot.reference),
                          .with_platforms = true};
    const auto resolution = resolver_.resolve(query, deadline_, stop_);
    if (!resolution) {
      entry->second = fail(within("what its pods run cannot be told", resolution.error()));
    } else if (resolution->digest != now_served) {
      entry->second = fail(ErrorKind::kUnavailable, "its tag has moved just now");
    } else {
      entry->second = resolution->platforms;
    }
    return entry->second;
  }

  void write(Workload& workload, const std::vector<TrackedSlot*>& slots) {
    if (!options_.dry_run && writes_++ >= options_.max_writes) {
      for (TrackedSlot* slot : slots) refuse(*slot, "its baseline is for the next sweep to write");
      return;
    }
    const auto change = [&](const workload::Object& object) -> Result<StringMap> {
      return with_baselines(object, slots);
    };
    if (!options_.dry_run) {
      const auto written = annotate(api_, object_path(*workload.kind, workload.ns, workload.name),
                                    *workload.kind, change, /*dry_run=*/false, stop_);
      if (!written) {
        for (TrackedSlot* slot : slots) {
          refuse(*slot, "its baseline was not written: " + written.error().message);
        }
        return;
      }
    }
    for (const TrackedSlot* slot : slots) {
      report_.adopted.push_back({.ns = workload.ns,
                                 .label = workload.label(),
                                 .slot = slot->id,
                                 .baseline = *slot->stamp});
    }
  }

  // Of the slots that are still as they were read: apply plans again from what is stored.
  Result<StringMap> with_baselines(const workload::Object& object,
                                   const std::vector<TrackedSlot*>& slots) const {
    const Workload stored = track(object);
    auto baseline = workload::parse_baseline(value_of(object.annotations, workload::kBaselineKey));
    std::vector<workload::HistoryEntry> entries;
    for (const TrackedSlot* slot : slots) {
      const auto same = std::ranges::find_if(stored.slots, [&](const TrackedSlot& other) {
        const bool lacks = other.state == State::kNoStamp || other.adopted;
        return other.id == slot->id && lacks && other.written == slot->written;
      });
      if (same == stored.slots.end()) continue;
      entries.push_back({.time = to_rfc3339(now_),
                         .slot = slot->id,
                         .from = same->stamp ? same->stamp->str() : "",
                         .to = slot->stamp->str(),
                         .why = std::string(workload::kWhyAdopted),
                         .by = std::string(workload::kStampWriter)});
      baseline.insert_or_assign(slot->id, *slot->stamp);
    }
    if (entries.empty()) return object.annotations;
    StringMap wanted = object.annotations;
    workload::set_or_erase(wanted, workload::kBaselineKey, workload::dump_baseline(baseline));
    const auto before = workload::parse_history(value_of(wanted, workload::kHistoryKey));
    if (!put_history(wanted, workload::push_history(entries, before))) {
      return fail(ErrorKind::kTooLarge, "annotations are full (256 KiB)");
    }
    return wanted;
  }

  const Answers& answers_;
  registry::Resolver& resolver_;
  kube::Api& api_;
  PullCredentials& credentials_;
  const AdoptOptions& options_;
  const WallTime now_;
  const std::stop_token& stop_;
  const Deadline deadline_;
  std::map<std::string, Candidates> candidates_;  // by namespace
  std::map<std::pair<std::string, std::string>, Result<std::vector<image::Digest>>> platforms_;
  std::map<SharedWorkload*, Changed> changed_;  // in the workloads' order
  std::size_t writes_ = 0;
  AdoptReport report_;
};

}  // namespace

bool is_adoptable(const Workload& workload, const TrackedSlot& slot) {
  // Of a custom kind nobody knows whose its pods are, nor when all of them are up.
  if (workload.kind->custom || workload.settings.sweep == workload::SweepMode::kOff) return false;
  return slot.standing() == State::kNoStamp && slot.reference.has_value();
}

AdoptReport adopt(Workloads& workloads, const Answers& answers, registry::Resolver& resolver,
                  kube::Api& api, PullCredentials& credentials, const AdoptOptions& options,
                  WallTime now, const std::stop_token& stop) {
  if (!options.enabled) return {};
  return Adopter(answers, resolver, api, credentials, options, now, stop).adopt(workloads);
}

}  // namespace tidemark::sweeper
