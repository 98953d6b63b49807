#include "sweeper/roll_patch.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "workload/annotations.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using workload::StringMap;

constexpr std::string_view kAnnotations = "/metadata/annotations";

std::string_view value_of(const StringMap& map, std::string_view key) {
  const auto found = map.find(std::string(key));
  return found == map.end() ? std::string_view() : std::string_view(found->second);
}

// `text` as the API server itself writes it in JSON. Its patch library compares the two strings of
// a `test` as bytes, before it decodes them, and Go's encoding/json escapes what others do not: a
// value with ">" would never equal itself (gopkg.in/evanphx/json-patch.v4, lazyNode.equal).
std::string stored_string(std::string_view text) {
  static constexpr std::string_view kLineSeparator = "\xe2\x80\xa8";       // U+2028
  static constexpr std::string_view kParagraphSeparator = "\xe2\x80\xa9";  // U+2029
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const auto c = static_cast<unsigned char>(text[i]);
    if (rest.starts_with(kLineSeparator) || rest.starts_with(kParagraphSeparator)) {
      out += rest.starts_with(kLineSeparator) ? "\\u2028" : "\\u2029";
      i += kLineSeparator.size() - 1;
    } else if (c == '"' || c == '\\') {
      (out += '\\') += text[i];
    } else if (const auto known = std::string_view("\b\f\n\r\t").find(text[i]);
               known != std::string_view::npos) {
      (out += '\\') += std::string_view("bfnrt")[known];
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      ((out += "\\u00") += kHex[c >> 4U]) += kHex[c & 0xfU];
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

void set_or_erase(StringMap& map, std::string_view key, std::string value) {
  if (value.empty()) {
    map.erase(std::string(key));
  } else {
    map.insert_or_assign(std::string(key), std::move(value));
  }
}

const workload::Slot* slot_of(const workload::PodTemplate& pod_template, std::string_view id) {
  for (const workload::Slot& slot : pod_template.slots) {
    if (slot.id() == id) return &slot;
  }
  return nullptr;
}

// "/spec/.../containers/0/image" -> "/spec/.../containers/0/name"; an image volume's pointer ends
// with "/image/reference".
std::string name_pointer(const workload::Slot& slot) {
  const std::string_view tail =
      slot.type == workload::SlotType::kImageVolume ? "/image/reference" : "/image";
  std::string_view pointer = slot.image_pointer;
  pointer.remove_suffix(std::min(tail.size(), pointer.size()));
  return std::string(pointer) + "/name";
}

workload::Stamp new_stamp(const SlotPlan& slot) {
  // A stamp's reference parses, or it would not be a stamp.
  return workload::Stamp::make(image::Reference::parse(slot.from->reference()).value(), *slot.to);
}

void change_slot(workload::JsonPatch& patch, const workload::Object& object,
                 const workload::Slot& slot, const SlotPlan& planned) {
  const std::string stamp_pointer = object.kind->template_pointer + std::string(kAnnotations) +
                                    "/" + workload::escape_pointer_token(slot.stamp_key());
  patch.test(name_pointer(slot), stored_string(slot.name));
  patch.test(slot.image_pointer, stored_string(slot.image));
  patch.test(stamp_pointer, stored_string(planned.from->str()));
  patch.replace(stamp_pointer, json_quote(new_stamp(planned).str()));
  if (!planned.to_image.empty() && planned.to_image != slot.image) {
    patch.replace(slot.image_pointer, json_quote(planned.to_image));
  }
}

std::vector<workload::HistoryEntry> new_entries(const WorkloadPlan& plan, WallTime now) {
  std::vector<workload::HistoryEntry> entries;
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict != Verdict::kRoll) continue;
    entries.push_back({.time = to_rfc3339(now),
                       .slot = slot.slot,
                       .from = slot.from->str(),
                       .to = new_stamp(slot).str(),
                       .why = std::string(workload::kWhyMoved),
                       .by = std::string(workload::kStampWriter)});
  }
  return entries;
}

// The holds that are left: the tag of a rolled slot has moved on to a digest that is not held.
workload::Held remaining_holds(const StringMap& annotations, const WorkloadPlan& plan) {
  auto held = workload::parse_held(value_of(annotations, workload::kHeldKey));
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict == Verdict::kRoll) held.erase(slot.slot);
  }
  return held;
}

// Annotations of an object are bounded (stamp contract, rule 8): history gives way, oldest first.
void fit_history(StringMap& annotations, std::vector<workload::HistoryEntry> entries) {
  while (!entries.empty() &&
         workload::annotations_bytes(annotations) > workload::kMaxAnnotationsBytes) {
    entries.pop_back();
    set_or_erase(annotations, workload::kHistoryKey,
                 entries.empty() ? "" : workload::dump_history(entries));
  }
}

StringMap wanted_annotations(const workload::Object& object, const WorkloadPlan& plan,
                             WallTime now) {
  StringMap wanted = object.annotations;
  const auto history = workload::push_history(
      new_entries(plan, now),
      workload::parse_history(value_of(object.annotations, workload::kHistoryKey)));
  wanted.insert_or_assign(std::string(workload::kHistoryKey), workload::dump_history(history));
  const auto old_held = workload::parse_held(value_of(object.annotations, workload::kHeldKey));
  if (const auto held = remaining_holds(object.annotations, plan); held != old_held) {
    set_or_erase(wanted, workload::kHeldKey, workload::dump_held(held));
  }
  const std::string_view cause = value_of(object.annotations, workload::kChangeCauseKey);
  if (cause.empty() || cause.starts_with(workload::kChangeCausePrefix)) {
    wanted.insert_or_assign(std::string(workload::kChangeCauseKey), change_cause(plan));
  }
  fit_history(wanted, history);
  return wanted;
}

// A `test` for every key that differs: its old value, or null where it was missing.
void pin_annotations(workload::JsonPatch& patch, const workload::Object& object,
                     const StringMap& wanted) {
  if (!object.has_annotations) {
    patch.test(kAnnotations, "null");
    return;
  }
  const auto pin = [&](const std::string& key) {
    const auto old = object.annotations.find(key);
    const auto next = wanted.find(key);
    const bool had = old != object.annotations.end();
    if (had && next != wanted.end() && old->second == next->second) return;
    patch.test(std::string(kAnnotations) + "/" + workload::escape_pointer_token(key),
               had ? stored_string(old->second) : "null");
  };
  for (const auto& [key, value] : object.annotations) pin(key);
  for (const auto& [key, value] : wanted) {
    if (!object.annotations.contains(key)) pin(key);
  }
}

}  // namespace

std::string change_cause(const WorkloadPlan& plan) {
  std::string text(workload::kChangeCausePrefix);
  bool first = true;
  for (const SlotPlan& slot : plan.slots) {
    if (slot.verdict != Verdict::kRoll) continue;
    if (!first) text += ", ";
    first = false;
    text += move_text(slot);
  }
  return text;
}

workload::JsonPatch make_roll_patch(const workload::Object& object, const WorkloadPlan& plan,
                                    WallTime now) {
  workload::JsonPatch patch;
  patch.test("/metadata/uid", stored_string(object.uid));
  const StringMap wanted = wanted_annotations(object, plan, now);
  pin_annotations(patch, object, wanted);
  for (const SlotPlan& planned : plan.slots) {
    if (planned.verdict != Verdict::kRoll) continue;
    const workload::Slot* slot = slot_of(object.pod_template, planned.slot);
    if (slot != nullptr) change_slot(patch, object, *slot, planned);
  }
  patch.change_map(kAnnotations, /*parent_exists=*/true, object.has_annotations, object.annotations,
                   wanted);
  return patch;
}

std::optional<workload::JsonPatch> make_release_patch(const workload::Object& object) {
  const auto ours = std::ranges::find_if(object.managed, workload::is_image_of_stamp_writer);
  // An empty list would mean "as before" to the API server; it cannot come to that, for somebody
  // else created the object.
  if (ours == object.managed.end() || object.managed.size() == 1) return std::nullopt;
  const std::string entry =
      "/metadata/managedFields/" + std::to_string(ours - object.managed.begin());
  workload::JsonPatch patch;
  patch.test("/metadata/uid", stored_string(object.uid));
  patch.test(entry + "/manager", stored_string(ours->manager));
  patch.test(entry + "/operation", stored_string(ours->operation));
  patch.remove(entry);
  return patch;
}

}  // namespace tidemark::sweeper
