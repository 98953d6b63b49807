#include "sweeper/hold.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "sweeper/tracked.h"
#include "workload/records.h"
#include "workload/settings.h"

namespace tidemark::sweeper {
namespace {

using workload::set_or_erase;
using workload::StringMap;
using workload::value_of;

constexpr std::string_view kByHand = "held by hand";
// Who a history entry of `resume` names: the API server does not tell a client who it is.
constexpr std::string_view kWriter = "kubectl-tidemark";

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) append_part(text, ",", name);
  return text;
}

Status check_slots(const workload::Object& object, const std::set<std::string>& slots) {
  if (object.kind == &namespace_kind()) return {};  // whatever its workloads name
  std::set<std::string> known;
  for (const workload::Slot& slot : object.pod_template.slots) known.insert(slot.id());
  for (const std::string& slot : slots) {
    if (known.contains(slot)) continue;
    return fail(ErrorKind::kInvalid,
                "it has no container \"" + slot + "\" (" + joined(known) + ")");
  }
  return {};
}

// The order that stands in the annotations themselves, whether it is over or not.
std::optional<workload::HoldOrder> standing_order(const workload::Object& object) {
  const workload::Metadata own{.annotations = object.annotations, .labels = {}};
  auto holds = workload::effective_settings(own, {}, {}, {}).settings.holds;
  if (holds.empty()) return std::nullopt;
  return std::move(holds.front());
}

StringMap hold_digest(const workload::Object& object, const HoldRequest& request, WallTime now) {
  StringMap wanted = object.annotations;
  auto held = workload::parse_held(value_of(object.annotations, workload::kHeldKey));
  const std::string& slot = *request.slots.begin();
  if (workload::is_held(held, slot, *request.digest)) return wanted;
  held[slot].push_back({.digest = *request.digest,
                        .reason = request.reason.empty() ? std::string(kByHand) : request.reason,
                        .since = to_rfc3339(now)});
  wanted.insert_or_assign(std::string(workload::kHeldKey), workload::dump_held(held));
  return wanted;
}

// The newest history entry of a slot may lead to another digest than the stamp: a roll that was
// taken back while no webhook looked, which the planner does not repeat. Told in the history, the
// way is free again.
std::vector<workload::HistoryEntry> taken_back(const workload::Object& object,
                                               const std::set<std::string>& slots, WallTime now) {
  std::vector<workload::HistoryEntry> entries;
  const auto history = workload::parse_history(value_of(object.annotations, workload::kHistoryKey));
  for (const TrackedSlot& slot : track(object).slots) {
    if (!slots.empty() && !slots.contains(slot.id)) continue;
    const auto& recorded = slot.records().last_recorded;
    if (!slot.stamp || !recorded || *recorded == slot.stamp->digest()) continue;
    const auto newest = std::ranges::find(history, slot.id, &workload::HistoryEntry::slot);
    entries.push_back({.time = to_rfc3339(now),
                       .slot = slot.id,
                       .from = newest->to,
                       .to = slot.stamp->str(),
                       .why = std::string(workload::kWhyRolledBack),
                       .by = std::string(kWriter)});
  }
  return entries;
}

void end_order(StringMap& wanted) {
  for (const auto key : {workload::kHoldKey, workload::kHoldReasonKey, workload::kHoldUntilKey}) {
    wanted.erase(std::string(key));
  }
}

}  // namespace

const workload::Kind& namespace_kind() {
  static const workload::Kind kind{.group = "",
                                   .version = "v1",
                                   .kind = "Namespace",
                                   .plural = "namespaces",
                                   .template_pointer = ""};
  return kind;
}

Result<StringMap> hold_annotations(const workload::Object& object, const HoldRequest& request,
                                   WallTime now) {
  if (auto known = check_slots(object, request.slots); !known) return fail(known.error());
  if (request.digest) return hold_digest(object, request, now);
  std::set<std::string> slots = request.slots;
  const auto standing = standing_order(object);
  const bool in_force = standing && (!standing->until || *standing->until > now);
  if (in_force && standing->slots.empty()) slots.clear();
  if (in_force && !slots.empty()) slots.insert(standing->slots.begin(), standing->slots.end());
  StringMap wanted = object.annotations;
  set_or_erase(wanted, workload::kHoldKey, slots.empty() ? "true" : joined(slots));
  set_or_erase(wanted, workload::kHoldReasonKey, request.reason);
  set_or_erase(wanted, workload::kHoldUntilKey, request.until ? to_rfc3339(*request.until) : "");
  return wanted;
}

Result<StringMap> resume_annotations(const workload::Object& object,
                                     const std::set<std::string>& slots, WallTime now) {
  if (auto known = check_slots(object, slots); !known) return fail(known.error());
  StringMap wanted = object.annotations;
  auto held = workload::parse_held(value_of(object.annotations, workload::kHeldKey));
  if (slots.empty()) {
    end_order(wanted);
    held.clear();
  } else {
    if (const auto standing = standing_order(object); standing) {
      std::set<std::string> left = standing->slots;
      if (left.empty()) {
        return fail(ErrorKind::kInvalid, "all of it is held: resume it without --slot");
      }
      std::erase_if(left, [&](const std::string& slot) { return slots.contains(slot); });
      if (left.empty()) end_order(wanted);
      if (!left.empty()) set_or_erase(wanted, workload::kHoldKey, joined(left));
    }
    for (const std::string& slot : slots) held.erase(slot);
  }
  if (wanted.contains(std::string(workload::kHeldKey))) {
    set_or_erase(wanted, workload::kHeldKey, workload::dump_held(held));
  }
  if (auto entries = taken_back(object, slots, now); !entries.empty()) {
    const auto history = workload::push_history(
        std::move(entries), workload::parse_history(value_of(wanted, workload::kHistoryKey)));
    set_or_erase(wanted, workload::kHistoryKey, workload::dump_history(history));
  }
  return wanted;
}

}  // namespace tidemark::sweeper
