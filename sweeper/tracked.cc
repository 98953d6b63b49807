#include "sweeper/tracked.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "kube/api.h"
#include "workload/annotations.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using workload::SlotImage;
using workload::Stamp;
using workload::value_of;

// What the template says of the slot's image: its reference without our pin, and the stamp for it.
void read_image(TrackedSlot& tracked, const workload::Slot& slot, const std::optional<Stamp>& stamp,
                const workload::Baseline& baseline) {
  if (stamp) {
    if (auto written = workload::unpinned_image(slot.image, *stamp); written) {
      tracked.pinned = *written != slot.image;
      tracked.written = std::move(*written);
    }
  }
  const SlotImage image = workload::read_slot_image(tracked.written);
  switch (image.kind) {
    case SlotImage::Kind::kLeftAlone:
      tracked.state = TrackedSlot::State::kLeftAlone;
      return;
    case SlotImage::Kind::kDigest:
      tracked.state = TrackedSlot::State::kByDigest;
      tracked.problem = "given by digest";
      return;
    case SlotImage::Kind::kUnreadable:
      tracked.state = TrackedSlot::State::kUnreadable;
      tracked.problem = image.problem;
      return;
    case SlotImage::Kind::kTag:
      break;
  }
  tracked.reference = image.reference;
  const auto adopted = baseline.find(tracked.id);
  if (stamp && stamp->is_for(*tracked.reference)) {
    tracked.state = TrackedSlot::State::kSweepable;
    tracked.stamp = stamp;
  } else if (adopted != baseline.end() && adopted->second.is_for(*tracked.reference)) {
    tracked.state = TrackedSlot::State::kSweepable;
    tracked.stamp = adopted->second;
    tracked.adopted = true;
  } else {
    tracked.state = TrackedSlot::State::kNoStamp;
    tracked.problem = stamp ? "its stamp is for " + stamp->reference() : "no stamp";
  }
}

// The newest history entry of this slot: when it was, and the digest to which it led, if that is of
// this reference, or of one that a policy may have chosen.
void read_newest_entry(SlotRecords& records, const TrackedSlot& slot,
                       const std::vector<workload::HistoryEntry>& history) {
  const auto newest = std::ranges::find(history, slot.id, &workload::HistoryEntry::slot);
  if (newest == history.end()) return;
  records.since = newest->time;
  const auto to = Stamp::parse(newest->to);
  if (!to || !slot.reference) return;
  const bool by_policy =
      newest->why == workload::kWhyPolicy && to->is_of_repository(*slot.reference);
  if (by_policy || to->is_for(*slot.reference)) records.last_recorded = to->digest();
}

// Where the last roll found this slot, if that roll is what made its stamp.
std::optional<Stamp> last_roll_from(const std::vector<workload::HistoryEntry>& history,
                                    const TrackedSlot& slot) {
  if (!slot.stamp) return std::nullopt;
  for (const workload::HistoryEntry& entry : history) {
    if (!workload::is_roll(entry) || entry.time != history.front().time) break;
    if (entry.slot != slot.id || entry.to != slot.stamp->str()) continue;
    auto from = Stamp::parse(entry.from);
    if (from && from->is_of_repository(*slot.reference)) return std::move(*from);
  }
  return std::nullopt;
}

SlotRecords records_of(const TrackedSlot& slot, const std::vector<workload::HistoryEntry>& history,
                       const workload::Held& held) {
  SlotRecords out;
  read_newest_entry(out, slot, history);
  out.rolled_from = last_roll_from(history, slot);
  const auto holds = held.find(slot.id);
  if (holds == held.end()) return out;
  for (const workload::Hold& hold : holds->second) {
    out.held.push_back(hold.digest);
    if (hold.reason == workload::kHeldByFailure) out.failed.push_back(hold.digest);
  }
  return out;
}

}  // namespace

const SlotRecords& TrackedSlot::records() const {
  static const SlotRecords kNone;
  return kept != nullptr ? *kept : kNone;
}

std::string object_path(const workload::Kind& kind, std::string_view ns, std::string_view name) {
  return kube::resource_path(kind.api_version(), kind.plural, ns, name);
}

std::string object_label(const workload::Kind& kind, std::string_view name) {
  return ascii_lower(kind.kind) + (kind.custom ? "." + kind.group : "") + "/" + std::string(name);
}

std::string Workload::label() const { return object_label(*kind, name); }

std::string Workload::pull_source() const {
  // As the ServiceAccount admission plugin does it: a pod with pull secrets of its own does not get
  // its account's (kubernetes plugin/pkg/admission/serviceaccount).
  if (pull_secrets.empty()) return ns + "/account/" + service_account;
  std::string source = ns + "/secrets";
  for (const std::string& secret : pull_secrets) source += "/" + secret;
  return source;
}

void settle(Workload& workload, const workload::Metadata& ns, const workload::Settings& defaults) {
  workload::Subject subject{.ns = workload.ns};
  for (const TrackedSlot& slot : workload.slots) {
    const bool by_rule = defaults.policy_rules != nullptr && slot.reference;
    subject.slots.push_back({.id = slot.id, .repository = by_rule ? slot.reference->name() : ""});
  }
  auto effective = workload::effective_settings(workload.user_keys, subject, ns, defaults);
  workload.settings = std::move(effective.settings);
  workload.problems = std::move(effective.problems);
  for (TrackedSlot& slot : workload.slots) {
    // An image volume's id has a slash, which no container's name has.
    const bool ignored = workload.settings.ignored_containers.contains(slot.id);
    if (ignored) {
      slot.left_out = "named by tidemark.dev/ignore-containers";
    } else {
      slot.left_out = workload.settings.stamp ? "" : "tidemark.dev/stamp is off";
    }
  }
}

Workload track(const workload::Object& object, const workload::PolicyRules& rules) {
  Workload out;
  out.kind = object.kind;
  out.ns = object.ns;
  out.name = object.name;
  out.uid = object.uid;
  out.user_keys = workload::user_keys(object, rules);
  out.paused = object.paused;
  out.on_delete = object.update_strategy == "OnDelete";
  out.partitioned = object.partition.value_or(0) > 0;
  out.owns_image = std::ranges::any_of(object.managed, workload::is_image_of_stamp_writer);
  out.pull_secrets = object.pod_template.image_pull_secrets;
  out.service_account =
      object.pod_template.service_account.empty() ? "default" : object.pod_template.service_account;

  const auto history = workload::parse_history(value_of(object.annotations, workload::kHistoryKey));
  const auto held = workload::parse_held(value_of(object.annotations, workload::kHeldKey));
  const auto baseline =
      workload::parse_baseline(value_of(object.annotations, workload::kBaselineKey));
  const auto stamps = workload::read_stamps(object.pod_template.annotations);
  out.rollout = workload::rollout_state(object);
  if (out.rollout == workload::RolloutState::kFailed) {
    out.failure =
        object.rollout.deadline_exceeded ? "it passed its progress deadline" : "its status says so";
  }
  out.rolled_last = !history.empty() && workload::is_roll(history.front());
  for (const workload::HistoryEntry& entry : history) {
    if (!workload::is_roll(entry)) continue;
    out.last_roll = entry.time;
    break;
  }
  for (const workload::Slot& slot : object.pod_template.slots) {
    TrackedSlot& tracked = out.slots.emplace_back();
    tracked.id = slot.id();
    tracked.written = slot.image;
    tracked.pull_policy = workload::effective_pull_policy(slot);
    const auto stamp = stamps.find(slot.stamp_key());
    read_image(tracked, slot,
               stamp == stamps.end() ? std::nullopt : std::optional<Stamp>(stamp->second),
               baseline);
    if (!history.empty() || !held.empty()) {
      tracked.kept = std::make_shared<SlotRecords>(records_of(tracked, history, held));
    }
  }
  return out;
}

}  // namespace tidemark::sweeper
