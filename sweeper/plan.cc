#include "sweeper/plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tidemark::sweeper {
namespace {

struct Ruling {
  Verdict verdict;
  std::string reason = {};
};

std::optional<Ruling> not_sweepable(const TrackedSlot& slot) {
  switch (slot.standing()) {
    case TrackedSlot::State::kSweepable:
      return std::nullopt;
    case TrackedSlot::State::kNoStamp:
      return Ruling{Verdict::kNoStamp, slot.problem};
    case TrackedSlot::State::kByDigest:
      return Ruling{Verdict::kByDigest, slot.problem};
    case TrackedSlot::State::kLeftAlone:
      return Ruling{Verdict::kLeftAlone, slot.problem};
    case TrackedSlot::State::kIgnored:
      return Ruling{Verdict::kIgnored, std::string(slot.left_out)};
    case TrackedSlot::State::kUnreadable:
      return Ruling{Verdict::kUnreadable, slot.problem};
  }
  return Ruling{Verdict::kUnreadable, slot.problem};
}

bool failed_here(const TrackedSlot& slot, const image::Digest& target) {
  return std::ranges::find(slot.records().failed, target) != slot.records().failed.end();
}

std::optional<Ruling> held(const Workload& workload, const TrackedSlot& slot,
                           const image::Digest& target, WallTime now) {
  if (const auto* order = workload.settings.hold_on(slot.id, now); order != nullptr) {
    return Ruling{Verdict::kHeld, order->text()};
  }
  if (std::ranges::find(slot.records().held, target) != slot.records().held.end()) {
    return Ruling{Verdict::kHeld, failed_here(slot, target) ? "its rollout to this digest failed"
                                                            : "this digest is held"};
  }
  // The newest entry says that the slot was brought to this digest, yet the stamp is another one:
  // somebody took the roll back while no webhook saw it. One digest is rolled to at most once.
  if (slot.records().last_recorded == target) {
    return Ruling{Verdict::kHeld, "it was rolled to this digest before, and taken back"};
  }
  return std::nullopt;
}

bool is_cooling_down(const Workload& workload, WallTime now) {
  const auto cooldown = workload.settings.cooldown;
  // RFC 3339 times in UTC of one precision compare as text. A time to come is that of another
  // clock: near, it counts; far, one of the two is wrong, and must not delay rolls for as long.
  return cooldown.count() > 0 && workload.last_roll > to_rfc3339(now - cooldown) &&
         workload.last_roll <= to_rfc3339(now + cooldown);
}

std::optional<Ruling> rollout_in_the_way(const Workload& workload, WallTime now) {
  if (workload.paused) return Ruling{Verdict::kPaused, "its rollout is paused"};
  if (workload.on_delete) return Ruling{Verdict::kOnDelete, "updateStrategy is OnDelete"};
  if (workload.partitioned) return Ruling{Verdict::kPartitioned, "its rollout has a partition"};
  if (const auto& windows = workload.settings.windows; windows && !windows->open(now)) {
    const auto next = windows->next_opening(now);
    return Ruling{Verdict::kWindow, next ? "tidemark.dev/window opens at " + to_rfc3339(*next)
                                         : std::string("tidemark.dev/window never opens")};
  }
  if (is_cooling_down(workload, now)) {
    return Ruling{Verdict::kCooldown, "last rolled at " + workload.last_roll};
  }
  return std::nullopt;
}

bool always_pulled(const TrackedSlot& slot) { return slot.pull_policy == "Always"; }

// The image that a roll writes. A pin follows its tag in pin mode, and where only the pin makes the
// node pull; else a pin (of a rollback that is over) is taken back.
std::string image_to_write(const Workload& workload, const TrackedSlot& slot,
                           const Destination& towards, const image::Digest& digest) {
  const std::string written =
      towards.chosen ? image::with_tag(slot.written, *towards.chosen->tag()) : slot.written;
  if (workload.settings.pins(slot.pull_policy) || (slot.pinned && !always_pulled(slot))) {
    return workload::pinned_image(written, digest);
  }
  return slot.pinned || towards.chosen ? written : "";
}

// The slot was stamped after the registry was asked: by admission, which saw what came since. To
// roll then would go back. (A roll goes on with its sweep's answers, and so do its later waves.)
// History has seconds. What is later than now comes from a clock that is wrong, and says nothing.
bool is_newer(const TrackedSlot& slot, WallTime asked, WallTime now) {
  if (slot.records().since.empty() || asked == WallTime::max()) return false;
  const auto since = parse_rfc3339(slot.records().since);
  return since && *since > asked && *since <= now;
}

// `asked`: when the answer was.
Ruling rule_on(const Workload& workload, const TrackedSlot& slot, const Destination& towards,
               const Result<image::Digest>* answer, WallTime asked, const Answers& answers,
               WallTime now) {
  if (auto ruling = not_sweepable(slot)) return std::move(*ruling);
  if (workload.settings.sweep == workload::SweepMode::kOff) {
    return {Verdict::kOff, "tidemark.dev/sweep is off"};
  }
  if (!towards.known) return {Verdict::kUnresolved, towards.note};
  if (answer == nullptr) return {Verdict::kUnresolved, "not asked in this sweep"};
  if (!answer->has_value()) return {Verdict::kUnresolved, answer->error().message};
  const image::Digest& target = answer->value();
  if (slot.stamp->digest() == target) {
    // Another tag of the same content is no reason to replace pods.
    if (towards.chosen) {
      return {Verdict::kUpToDate,
              std::string(*towards.chosen->tag()) + " has the digest that stands"};
    }
    return {Verdict::kUpToDate, towards.note};
  }
  if (answers.same_images(workload.pull_source(), slot.stamp->digest(), target)) {
    return {Verdict::kUpToDate, "its tag names another index of the same images"};
  }
  if (is_newer(slot, asked, now)) {
    return {Verdict::kUnresolved, "its stamp is newer than the registry's answer"};
  }
  if (auto ruling = held(workload, slot, target, now)) return std::move(*ruling);
  if (workload.settings.sweep == workload::SweepMode::kReport) {
    return {Verdict::kReported, "tidemark.dev/sweep is report"};
  }
  if (auto ruling = rollout_in_the_way(workload, now)) return std::move(*ruling);
  const bool careless = slot.pull_policy == "IfNotPresent" &&
                        workload.settings.on_cached_policy == workload::OnCachedPolicy::kRoll;
  if (!always_pulled(slot) && !careless &&
      image_to_write(workload, slot, towards, target).empty()) {
    return {Verdict::kNotAlways, "imagePullPolicy is not Always: nodes may keep the old image"};
  }
  return {Verdict::kRoll};
}

// True where replacing the pods now would, in this slot, run what was not seen or must not run.
bool blocks_rolls(const TrackedSlot& slot, const Destination& towards, Verdict verdict) {
  // With another tag to come, the one that stands still names what runs.
  return verdict == Verdict::kUnresolved ||
         (verdict == Verdict::kHeld && always_pulled(slot) && !slot.pinned && !towards.chosen);
}

// A rollout of ours failed, and its owner wants it taken back: at once, whatever registries say and
// windows allow. A pin, for the tag itself still leads to what failed. False: nothing to undo.
bool undo(const Workload& workload, WorkloadPlan& plan, WallTime now) {
  const workload::Settings& settings = workload.settings;
  if (workload.rollout != workload::RolloutState::kFailed || !workload.rolled_last ||
      workload.paused || settings.on_failure != workload::OnFailure::kUndo ||
      settings.sweep != workload::SweepMode::kRoll) {
    return false;
  }
  bool any = false;
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const TrackedSlot& slot = workload.slots[i];
    SlotPlan& planned = plan.slots[i];
    if (slot.standing() != TrackedSlot::State::kSweepable || !slot.records().rolled_from ||
        settings.hold_on(slot.id, now) != nullptr) {
      continue;
    }
    planned.verdict = Verdict::kUndo;
    planned.reason = "its rollout failed: " + workload.failure;
    planned.to = slot.records().rolled_from->digest();
    // As its owner, or a policy, had it before.
    const auto back = image::Reference::parse(slot.records().rolled_from->reference()).value();
    const bool same_tag = back == *slot.reference;
    const std::string written =
        same_tag ? slot.written : image::with_tag(slot.written, *back.tag());
    planned.to_reference = same_tag ? "" : back.tagged();
    planned.to_image = workload::pinned_image(written, *planned.to);
    any = true;
  }
  for (SlotPlan& planned : plan.slots) {
    if (!any || planned.verdict != Verdict::kRoll) continue;
    planned.verdict = Verdict::kWaits;
    planned.reason = "a failed rollout is taken back first";
    planned.to_image.clear();
  }
  return any;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRoll:
      return "roll";
    case Verdict::kUndo:
      return "undo";
    case Verdict::kUpToDate:
      return "up-to-date";
    case Verdict::kReported:
      return "reported";
    case Verdict::kHeld:
      return "held";
    case Verdict::kWaits:
      return "waits";
    case Verdict::kNotAlways:
      return "not-always";
    case Verdict::kPaused:
      return "paused";
    case Verdict::kOnDelete:
      return "on-delete";
    case Verdict::kPartitioned:
      return "partitioned";
    case Verdict::kPaced:
      return "paced";
    case Verdict::kCooldown:
      return "cooldown";
    case Verdict::kWindow:
      return "window";
    case Verdict::kUnresolved:
      return "unresolved";
    case Verdict::kNoStamp:
      return "no-stamp";
    case Verdict::kByDigest:
      return "by-digest";
    case Verdict::kLeftAlone:
      return "left-alone";
    case Verdict::kIgnored:
      return "ignored";
    case Verdict::kUnreadable:
      return "unreadable";
    case Verdict::kOff:
      return "off";
  }
  return "unknown";
}

std::optional<Verdict> parse_verdict(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Verdict::kOff); ++i) {
    if (const auto verdict = static_cast<Verdict>(i); to_string(verdict) == name) return verdict;
  }
  return std::nullopt;
}

bool is_moved(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRoll:
    case Verdict::kReported:
    case Verdict::kHeld:
    case Verdict::kWaits:
    case Verdict::kNotAlways:
    case Verdict::kPaused:
    case Verdict::kOnDelete:
    case Verdict::kPartitioned:
    case Verdict::kPaced:
    case Verdict::kCooldown:
    case Verdict::kWindow:
      return true;
    default:
      return false;
  }
}

bool WorkloadPlan::rolls() const {
  return std::ranges::any_of(slots, [](const SlotPlan& slot) { return slot.changes(); });
}

workload::Stamp SlotPlan::target_stamp() const {
  // A stamp's reference parses, or it would not be a stamp; so does what a tag was put into.
  return workload::Stamp::make(image::Reference::parse(target_reference()).value(), *to);
}

std::string move_text(const SlotPlan& slot) {
  const auto side = [&](const std::string& reference, const image::Digest& digest) {
    const std::string hex(digest.short_hex());
    return slot.to_reference.empty() ? hex : reference.substr(reference.rfind(':') + 1) + "@" + hex;
  };
  return slot.slot() + (slot.verdict == Verdict::kUndo ? " rolled back " : " moved ") +
         side(slot.from()->reference(), slot.from()->digest()) + " -> " +
         side(slot.to_reference, *slot.to);
}

WorkloadPlan plan_workload(const SharedWorkload& shared, const Answers& answers, WallTime now) {
  const Workload& workload = *shared;
  WorkloadPlan out{.of = shared, .problems = workload.problems};
  if (workload.rolled_last && !workload.failure.empty()) {
    out.problems.push_back("its last roll failed: " + workload.failure);
  }
  const std::string pull_source = workload.pull_source();
  std::string blocked_by;
  for (const TrackedSlot& slot : workload.slots) {
    const Destination towards =
        slot.reference ? destination_of(workload, slot, answers) : Destination{};
    const Result<image::Digest>* answer = slot.reference && towards.known
                                              ? answers.find(towards.reference(slot), pull_source)
                                              : nullptr;
    const WallTime asked =
        answer == nullptr ? WallTime::max() : answers.asked(towards.reference(slot), pull_source);
    Ruling ruling = rule_on(workload, slot, towards, answer, asked, answers, now);
    if (blocked_by.empty() && blocks_rolls(slot, towards, ruling.verdict)) blocked_by = slot.id;
    SlotPlan& planned = out.slots.emplace_back();
    planned.of = std::shared_ptr<const TrackedSlot>(shared, &slot);
    planned.verdict = ruling.verdict;
    planned.reason = std::move(ruling.reason);
    planned.followed = towards.followed;
    planned.unasked = ruling.verdict == Verdict::kUnresolved && answer == nullptr &&
                      (towards.known || !towards.asked);
    if (answer != nullptr && answer->has_value()) planned.to = answer->value();
    if (planned.to && towards.chosen) planned.to_reference = towards.chosen->tagged();
    planned.failed =
        ruling.verdict == Verdict::kHeld && planned.to && failed_here(slot, *planned.to);
    if (ruling.verdict == Verdict::kRoll) {
      planned.to_image = image_to_write(workload, slot, towards, *planned.to);
    }
  }
  if (undo(workload, out, now)) return out;
  if (blocked_by.empty()) return out;
  for (SlotPlan& planned : out.slots) {
    if (planned.verdict != Verdict::kRoll) continue;
    planned.verdict = Verdict::kWaits;
    planned.reason = "new pods would pull " + blocked_by + ", which is held or without an answer";
    planned.to_image.clear();
  }
  return out;
}

std::vector<WorkloadPlan> plan(const Workloads& workloads, const Answers& answers, WallTime now) {
  std::vector<WorkloadPlan> plans;
  plans.reserve(workloads.size());
  for (const SharedWorkload& workload : workloads) {
    plans.push_back(plan_workload(workload, answers, now));
  }
  std::ranges::sort(plans, {}, [](const WorkloadPlan& entry) {
    return std::tie(entry.ns(), entry.kind().kind, entry.name());
  });
  return plans;
}

}  // namespace tidemark::sweeper
