#include "workload/records.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json_text.h"

namespace tidemark::workload {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// A slot is held to the few digests that were rolled back from; users may have edited the record.
constexpr std::size_t kMaxHoldsPerSlot = 16;
// More slots than a template has in practice; the API server's bound on a whole object's
// annotations keeps the text itself small.
constexpr std::size_t kMaxSlots = 1000;
// A history entry's JSON, but for long image names.
constexpr std::size_t kUsualEntryBytes = 448;

// A discarded value where `text` is empty, not JSON or larger than any annotation can be.
json parse_lenient(std::string_view text) {
  if (text.empty() || text.size() > kMaxAnnotationsBytes) return json(json::value_t::discarded);
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::optional<std::string> text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// Bytes that are not UTF-8 (a name in a stored record can only come from us) become U+FFFD.
std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

std::optional<HistoryEntry> read_entry(const json& value) {
  if (!value.is_object()) return std::nullopt;
  auto time = text_of(value, "time");
  auto slot = text_of(value, "slot");
  auto to = text_of(value, "to");
  auto why = text_of(value, "why");
  if (!time || !slot || !to || !why) return std::nullopt;
  return HistoryEntry{.time = std::move(*time),
                      .slot = std::move(*slot),
                      .from = text_of(value, "from").value_or(""),
                      .to = std::move(*to),
                      .why = std::move(*why),
                      .by = text_of(value, "by").value_or("")};
}

std::optional<Hold> read_hold(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const auto text = text_of(value, "digest");
  if (!text) return std::nullopt;
  auto digest = image::Digest::parse(*text);
  if (!digest) return std::nullopt;
  return Hold{.digest = std::move(*digest),
              .reason = text_of(value, "reason").value_or(""),
              .since = text_of(value, "since").value_or("")};
}

// The members of a JSON object whose values `read` can make something of.
template <typename Value, typename Read>
std::map<std::string, Value> read_map(std::string_view text, Read read) {
  std::map<std::string, Value> out;
  const json parsed = parse_lenient(text);
  if (!parsed.is_object()) return out;
  for (const auto& [slot, value] : parsed.items()) {
    if (out.size() == kMaxSlots) break;
    if (auto item = read(value)) out.emplace(slot, std::move(*item));
  }
  return out;
}

std::map<std::string, std::string> read_strings(std::string_view text) {
  return read_map<std::string>(text, [](const json& value) {
    return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
  });
}

std::string dump_strings(const std::map<std::string, std::string>& strings) {
  ordered_json out = ordered_json::object();
  for (const auto& [key, value] : strings) out[key] = value;
  return out.empty() ? std::string() : dump(out);
}

}  // namespace

std::vector<HistoryEntry> parse_history(std::string_view text) {
  std::vector<HistoryEntry> entries;
  const json parsed = parse_lenient(text);
  if (!parsed.is_array()) return entries;
  for (const json& value : parsed) {
    if (entries.size() == kMaxHistoryEntries) break;
    if (auto entry = read_entry(value)) entries.push_back(std::move(*entry));
  }
  return entries;
}

std::vector<HistoryEntry> push_history(std::vector<HistoryEntry> newer,
                                       const std::vector<HistoryEntry>& older) {
  newer.insert(newer.end(), older.begin(), older.end());
  if (newer.size() > kMaxHistoryEntries) {
    newer.erase(newer.begin() + static_cast<std::ptrdiff_t>(kMaxHistoryEntries), newer.end());
  }
  return newer;
}

std::string dump_history(const std::vector<HistoryEntry>& entries) {
  HistoryWriter writer(entries.size());
  for (const HistoryEntry& entry : entries) writer.add(entry);
  return std::move(writer).take();
}

HistoryWriter::HistoryWriter(std::size_t entries) {
  text_.reserve(std::min(entries, kMaxHistoryEntries) * kUsualEntryBytes);
}

// Written as text: it is the one record of every admission.
void HistoryWriter::add(const Entry& entry) {
  if (count_ == kMaxHistoryEntries) return;
  const auto member = [this](std::string_view key, std::string_view value) {
    append_json_quoted(text_.append(key), value);
  };
  text_.push_back(count_++ == 0 ? '[' : ',');
  member(R"({"time":)", entry.time);
  member(R"(,"slot":)", entry.slot);
  if (!entry.from.empty()) member(R"(,"from":)", entry.from);
  member(R"(,"to":)", entry.to);
  member(R"(,"why":)", entry.why);
  if (!entry.by.empty()) member(R"(,"by":)", entry.by);
  text_.push_back('}');
}

void HistoryWriter::add(const HistoryEntry& entry) {
  add(Entry{.time = entry.time,
            .slot = entry.slot,
            .from = entry.from,
            .to = entry.to,
            .why = entry.why,
            .by = entry.by});
}

std::string HistoryWriter::take() && {
  if (count_ > 0) text_.push_back(']');
  return std::move(text_);
}

bool is_roll(const HistoryEntry& entry) {
  return entry.why == kWhyMoved || entry.why == kWhyPolicy;
}

bool history_lists(const std::vector<HistoryEntry>& entries, std::string_view slot,
                   const image::Digest& digest) {
  const auto names = [&](const std::string& value) {
    const auto stamp = Stamp::parse(value);
    return stamp && stamp->digest() == digest;
  };
  return std::ranges::any_of(entries, [&](const HistoryEntry& entry) {
    return entry.slot == slot && (names(entry.to) || names(entry.from));
  });
}

std::map<std::string, Stamp> pinned_stamps(const PodTemplate& pod_template,
                                           const std::vector<HistoryEntry>& entries) {
  std::map<std::string, Stamp> stamps;
  for (const Slot& slot : pod_template.slots) {
    const auto reference = image::Reference::parse(slot.image);
    if (!reference || !reference->tag() || !reference->digest()) continue;
    Stamp stamp = Stamp::make(*reference, *reference->digest());
    const std::string text = stamp.str();
    const bool known = std::ranges::any_of(entries, [&](const HistoryEntry& entry) {
      return entry.slot == slot.id() && (entry.to == text || entry.from == text);
    });
    if (known) stamps.emplace(slot.stamp_key(), std::move(stamp));
  }
  return stamps;
}

Held parse_held(std::string_view text) {
  return read_map<std::vector<Hold>>(text, [](const json& value) {
    std::vector<Hold> holds;
    if (value.is_array()) {
      for (const json& item : value) {
        if (holds.size() == kMaxHoldsPerSlot) break;
        if (auto hold = read_hold(item)) holds.push_back(std::move(*hold));
      }
    }
    return holds.empty() ? std::nullopt : std::optional(std::move(holds));
  });
}

std::string dump_held(const Held& held) {
  ordered_json out = ordered_json::object();
  for (const auto& [slot, holds] : held) {
    if (holds.empty()) continue;
    ordered_json items = ordered_json::array();
    for (const Hold& hold : holds) {
      items.push_back(
          {{"digest", hold.digest.str()}, {"reason", hold.reason}, {"since", hold.since}});
    }
    out[slot] = std::move(items);
  }
  return out.empty() ? std::string() : dump(out);
}

bool is_held(const Held& held, std::string_view slot, const image::Digest& digest) {
  const auto holds = held.find(std::string(slot));
  return holds != held.end() &&
         std::ranges::find(holds->second, digest, &Hold::digest) != holds->second.end();
}

Unstamped parse_unstamped(std::string_view text) { return read_strings(text); }

std::string dump_unstamped(const Unstamped& unstamped) { return dump_strings(unstamped); }

WrittenImages parse_written_images(std::string_view text) { return read_strings(text); }

std::string dump_written_images(const WrittenImages& images) { return dump_strings(images); }

bool is_left_behind(const WrittenImages& images, const std::vector<HistoryEntry>& entries,
                    std::string_view slot, const image::Reference& reference) {
  const auto written = images.find(std::string(slot));
  if (written == images.end()) return false;
  if (const auto owners = image::Reference::parse(written->second); owners == reference)
    return true;
  return std::ranges::any_of(entries, [&](const HistoryEntry& entry) {
    if (entry.slot != slot || entry.why != kWhyPolicy) return false;
    const auto from = Stamp::parse(entry.from);
    return from && from->is_for(reference);
  });
}

Baseline parse_baseline(std::string_view text) {
  return read_map<Stamp>(text, [](const json& value) -> std::optional<Stamp> {
    if (!value.is_string()) return std::nullopt;
    auto stamp = Stamp::parse(value.get_ref<const std::string&>());
    return stamp ? std::optional(std::move(*stamp)) : std::nullopt;
  });
}

std::string dump_baseline(const Baseline& baseline) {
  ordered_json out = ordered_json::object();
  for (const auto& [slot, stamp] : baseline) out[slot] = stamp.str();
  return out.empty() ? std::string() : dump(out);
}

}  // namespace tidemark::workload
