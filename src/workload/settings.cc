#include "workload/settings.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "base/text.h"
#include "image/reference.h"
#include "workload/duration.h"

namespace tidemark::workload {
namespace {

constexpr std::string_view kVolumeSlot = "volume/";  // before an image volume's name, Slot::id()

template <typename T>
struct Named {
  std::string_view name;
  T value;
};

constexpr std::array kSweepModes = {Named<SweepMode>{"roll", SweepMode::kRoll},
                                    Named<SweepMode>{"report", SweepMode::kReport},
                                    Named<SweepMode>{"off", SweepMode::kOff}};
constexpr std::array kStampModes = {Named<StampMode>{"annotate", StampMode::kAnnotate},
                                    Named<StampMode>{"pin", StampMode::kPin}};
constexpr std::array kFailurePolicies = {Named<OnFailure>{"hold", OnFailure::kHold},
                                         Named<OnFailure>{"undo", OnFailure::kUndo},
                                         Named<OnFailure>{"ignore", OnFailure::kIgnore}};
constexpr std::array kCachedPolicies = {Named<OnCachedPolicy>{"report", OnCachedPolicy::kReport},
                                        Named<OnCachedPolicy>{"pin", OnCachedPolicy::kPin},
                                        Named<OnCachedPolicy>{"roll", OnCachedPolicy::kRoll}};
constexpr std::array kFlag = {Named<bool>{"true", true}, Named<bool>{"false", false}};
constexpr std::array kSwitch = {Named<bool>{"on", true}, Named<bool>{"off", false}};

template <typename T>
std::string_view name_of(std::span<const Named<T>> choices, T value) {
  return std::ranges::find(choices, value, &Named<T>::value)->name;
}

std::string unknown_value(std::string_view value) { return "unknown value " + brief_quote(value); }

template <typename T>
Result<T> choose(std::string_view value, std::span<const Named<T>> choices) {
  std::string known;
  for (const Named<T>& choice : choices) {
    if (choice.name == value) return choice.value;
    append_part(known, ", ", choice.name);
  }
  return fail(ErrorKind::kInvalid, unknown_value(value) + " (" + known + ")");
}

// "true", "false" (nullopt), or the slots that are held.
Result<std::optional<HoldOrder>> parse_hold(std::string_view text) {
  text = trimmed(text);
  if (text == "true") return HoldOrder{};
  if (text == "false") return std::nullopt;
  HoldOrder order;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view slot = trimmed(text.substr(0, comma));
    std::string_view name = slot;
    if (name.starts_with(kVolumeSlot)) name.remove_prefix(kVolumeSlot.size());
    if (!is_dns_label(name)) {
      return fail(ErrorKind::kInvalid, unknown_value(slot) + " (true, false, names of containers)");
    }
    order.slots.emplace(slot);
    if (comma == std::string_view::npos) return order;
    text.remove_prefix(comma + 1);
  }
}

Result<WallTime> parse_until(std::string_view text) {
  auto time = parse_rfc3339(trimmed(text));
  if (time) return time;
  return fail(ErrorKind::kInvalid, brief_quote(text) + " is not a time (2026-12-01T06:00:00Z)");
}

// Where a value may be given, in the order in which they decide.
struct Level {
  std::string_view prefix;  // of a problem
  const StringMap* map;
};

class Lookup {
 public:
  Lookup(const Metadata& own, const Metadata& ns, std::vector<std::string>& problems)
      : problems_(problems) {
    constexpr std::string_view kOfNamespace = "namespace: ";
    for (const Level& level :
         {Level{"", &own.annotations}, Level{"", &own.labels}, Level{kOfNamespace, &ns.annotations},
          Level{kOfNamespace, &ns.labels}}) {
      if (has_user_key(*level.map)) levels_.push_back(level);
    }
  }

  // The first value that `parse` accepts, else `fallback`; what it refuses becomes a problem.
  template <typename T, typename Parse>
  T first(std::string_view key, T fallback, Parse parse) const {
    for (const Level& level : levels_) {
      if (auto value = at(level, key, parse)) return std::move(*value);
    }
    return fallback;
  }

  std::optional<Windows> windows(const std::optional<Windows>& fallback) const {
    const std::size_t before = problems_.size();
    auto found =
        first(kWindowKey, fallback, [](std::string_view text) -> Result<std::optional<Windows>> {
          auto parsed = Windows::parse(text);
          if (!parsed) return fail(parsed.error());
          return std::optional<Windows>(std::move(*parsed));
        });
    return problems_.size() == before ? std::move(found) : Windows();
  }

  // Every level's own order, with what stands beside it there.
  std::vector<HoldOrder> holds() const {
    std::vector<HoldOrder> orders;
    for (const Level& level : levels_) {
      auto order = at(level, kHoldKey, parse_hold);
      if (!order || !*order) continue;
      HoldOrder& added = orders.emplace_back(std::move(**order));
      const auto whole = [](std::string_view text) { return Result<std::string>(trimmed(text)); };
      added.reason = at(level, kHoldReasonKey, whole).value_or("");
      // An end that cannot be read is none: better held for too long than not at all.
      added.until = at(level, kHoldUntilKey, parse_until);
      added.level =
          level.prefix.empty() ? HoldOrder::Level::kWorkload : HoldOrder::Level::kNamespace;
    }
    return orders;
  }

 private:
  template <typename Parse>
  auto at(const Level& level, std::string_view key, Parse parse) const
      -> std::optional<typename decltype(parse(key))::value_type> {
    const auto entry = level.map->find(key);
    if (entry == level.map->end()) return std::nullopt;
    auto value = parse(std::string_view(entry->second));
    if (value) return std::move(*value);
    problems_.push_back(std::string(level.prefix) + std::string(key) + ": " +
                        value.error().message);
    return std::nullopt;
  }

  static bool has_user_key(const StringMap& map) {
    const auto found = map.lower_bound(kUserPrefix);
    return found != map.end() && found->first.starts_with(kUserPrefix);
  }

  std::vector<Level> levels_;  // those that say something
  std::vector<std::string>& problems_;
};

Result<std::chrono::seconds> parse_cooldown(std::string_view text) {
  const auto duration = parse_duration(trimmed(text));
  if (!duration) return fail(duration.error());
  return std::chrono::ceil<std::chrono::seconds>(*duration);
}

bool has_slot(const Subject& subject, const std::string& id) {
  return std::ranges::find(subject.slots, id, &Subject::Slot::id) != subject.slots.end();
}

// Of the workload's own orders; others may name what only some of its workloads have.
void tell_unknown_slots(const Subject& subject, EffectiveSettings& effective) {
  for (const HoldOrder& order : effective.settings.holds) {
    if (order.level != HoldOrder::Level::kWorkload) continue;
    for (const std::string& slot : order.slots) {
      if (has_slot(subject, slot)) continue;
      effective.problems.push_back(std::string(kHoldKey) + ": there is no container " +
                                   brief_quote(slot));
    }
  }
}

// Of the workload alone: who names a container has seen the template.
void read_policies(const Metadata& own, const Subject& subject, EffectiveSettings& effective) {
  for (const auto& [key, text] : own.annotations) {
    if (!is_policy_key(key)) continue;
    const bool volume = key.starts_with(kVolumePolicyPrefix);
    std::string slot = volume ? std::string(kVolumeSlot) : std::string();
    slot += std::string_view(key).substr((volume ? kVolumePolicyPrefix : kPolicyPrefix).size());
    if (!has_slot(subject, slot)) {
      effective.problems.push_back(key + ": there is no such " +
                                   (volume ? "image volume" : "container"));
      continue;
    }
    effective.settings.policies.emplace(std::move(slot), text);
  }
}

bool applies(const PolicyRule& rule, const std::string& repository, const Metadata& own,
             const std::string& ns) {
  return rule.repository == repository &&
         (rule.namespaces.empty() || rule.namespaces.contains(ns)) &&
         std::ranges::all_of(rule.labels, [&](const auto& label) {
           const auto has = own.labels.find(label.first);
           return has != own.labels.end() && has->second == label.second;
         });
}

// To slots that have no policy of their own; the first rule that fits is the one.
void apply_rules(const Metadata& own, const Subject& subject, const PolicyRules& rules,
                 EffectiveSettings& effective) {
  if (rules == nullptr) return;
  for (const Subject::Slot& slot : subject.slots) {
    if (slot.repository.empty() || effective.settings.policies.contains(slot.id)) continue;
    const auto found = std::ranges::find_if(*rules, [&](const PolicyRule& rule) {
      return applies(rule, slot.repository, own, subject.ns);
    });
    if (found != rules->end()) effective.settings.policies.emplace(slot.id, found->policy);
  }
}

// A pin of ours has the same.
std::string repository_of(const Slot& slot) {
  const auto reference = image::Reference::parse(slot.image);
  return reference ? reference->name() : "";
}

// Those of the programs that look at this kind.
std::span<const std::string_view> peer_labels(const Kind* kind) {
  static constexpr std::array kLabels{kAutorolloutLabel, kFigwaspLabel};
  if (kind == nullptr || kind->group != "apps") return {};
  if (kind->kind == "Deployment") return kLabels;
  if (kind->kind == "StatefulSet" || kind->kind == "DaemonSet") {
    return std::span(kLabels).first(1);
  }
  return {};
}

// A label of another program says the same as `tidemark.dev/sweep: roll`, unless the workload says
// otherwise in Tidemark's own words.
bool opted_in_by_peer(const Metadata& own, const Settings& defaults) {
  if (!defaults.peer_labels || own.annotations.contains(kSweepKey) ||
      own.labels.contains(kSweepKey)) {
    return false;
  }
  return value_of(own.labels, kFigwaspLabel) == "true" ||
         value_of(own.labels, kAutorolloutLabel) == "true";
}

}  // namespace

bool HoldOrder::covers(std::string_view slot, WallTime now) const {
  if (until && *until <= now) return false;
  return slots.empty() || slots.contains(std::string(slot));
}

std::string HoldOrder::text() const {
  std::string out = std::string(kHoldKey) + " is set";
  if (level == Level::kNamespace) out += " on the namespace";
  if (level == Level::kCluster) out += " for the whole cluster";
  if (until) out += " until " + to_rfc3339(*until);
  return reason.empty() ? out : out + ": " + reason;
}

bool Settings::pins(std::string_view pull_policy) const {
  return mode == StampMode::kPin ||
         (pull_policy == "IfNotPresent" && on_cached_policy == OnCachedPolicy::kPin);
}

const HoldOrder* Settings::hold_on(std::string_view slot, WallTime now) const {
  const auto found =
      std::ranges::find_if(holds, [&](const HoldOrder& order) { return order.covers(slot, now); });
  return found == holds.end() ? nullptr : &*found;
}

std::string_view to_string(SweepMode mode) {
  return name_of(std::span<const Named<SweepMode>>(kSweepModes), mode);
}

std::string_view to_string(StampMode mode) {
  return name_of(std::span<const Named<StampMode>>(kStampModes), mode);
}

Result<SweepMode> parse_sweep_mode(std::string_view text) {
  return choose(text, std::span<const Named<SweepMode>>(kSweepModes));
}

Result<StampMode> parse_stamp_mode(std::string_view text) {
  return choose(text, std::span<const Named<StampMode>>(kStampModes));
}

Result<OnFailure> parse_on_failure(std::string_view text) {
  return choose(text, std::span<const Named<OnFailure>>(kFailurePolicies));
}

Result<OnCachedPolicy> parse_on_cached_policy(std::string_view text) {
  return choose(text, std::span<const Named<OnCachedPolicy>>(kCachedPolicies));
}

Result<bool> parse_flag(std::string_view text) {
  return choose(text, std::span<const Named<bool>>(kFlag));
}

Result<bool> parse_stamp_switch(std::string_view text) {
  return choose(text, std::span<const Named<bool>>(kSwitch));
}

bool is_dns_label(std::string_view name) {
  const auto inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, inner);
}

Result<std::set<std::string>> parse_container_names(std::string_view text) {
  std::set<std::string> names;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view name = trimmed(text.substr(0, comma));
    if (!name.empty()) {
      if (!is_dns_label(name)) {
        return fail(ErrorKind::kInvalid, brief_quote(name) + " is not a container's name");
      }
      names.emplace(name);
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return names;
}

Metadata user_keys(const Object& workload, const PolicyRules& rules) {
  Metadata out;
  const auto keep = [](const StringMap& from, StringMap& to) {
    for (const auto& [key, value] : from) {
      if (key.starts_with(kUserPrefix) && !is_written_key(key)) to.emplace(key, value);
    }
  };
  keep(workload.annotations, out.annotations);
  for (const auto& [key, value] : workload.annotations) {
    if (is_policy_key(key)) out.annotations.emplace(key, value);
  }
  keep(workload.labels, out.labels);
  for (const std::string_view label : peer_labels(workload.kind)) {
    if (const auto found = workload.labels.find(label); found != workload.labels.end()) {
      out.labels.insert(*found);
    }
  }
  if (rules == nullptr) return out;
  for (const PolicyRule& rule : *rules) {
    for (const auto& [label, value] : rule.labels) {
      const auto found = workload.labels.find(label);
      if (found != workload.labels.end()) out.labels.insert(*found);
    }
  }
  return out;
}

EffectiveSettings effective_settings(const Object& workload, const Metadata& ns,
                                     const Settings& defaults) {
  const PolicyRules& rules = defaults.policy_rules;
  Subject subject{.ns = workload.ns};
  subject.slots.reserve(workload.pod_template.slots.size());
  for (const Slot& slot : workload.pod_template.slots) {
    subject.slots.push_back({.id = slot.id(), .repository = rules ? repository_of(slot) : ""});
  }
  return effective_settings(user_keys(workload, rules), subject, ns, defaults);
}

EffectiveSettings effective_settings(const Metadata& own, const Subject& subject,
                                     const Metadata& ns, const Settings& defaults) {
  EffectiveSettings out;
  const Lookup lookup(own, ns, out.problems);
  out.settings = {
      .sweep = opted_in_by_peer(own, defaults)
                   ? SweepMode::kRoll
                   : lookup.first(kSweepKey, defaults.sweep, parse_sweep_mode),
      .mode = lookup.first(kModeKey, defaults.mode, parse_stamp_mode),
      .stamp = lookup.first(kStampKey, defaults.stamp, parse_stamp_switch),
      .peer_labels = defaults.peer_labels,
      .restarted_at = lookup.first(kRestartedAtOptionKey, defaults.restarted_at, parse_flag),
      .on_failure = lookup.first(kOnFailureKey, defaults.on_failure, parse_on_failure),
      .on_cached_policy =
          lookup.first(kOnCachedPolicyKey, defaults.on_cached_policy, parse_on_cached_policy),
      .holds = lookup.holds(),
      .cooldown = lookup.first(kCooldownKey, defaults.cooldown, parse_cooldown),
      .windows = lookup.windows(defaults.windows),
      .ignored_containers =
          lookup.first(kIgnoreContainersKey, defaults.ignored_containers, parse_container_names)};
  out.settings.holds.insert(out.settings.holds.end(), defaults.holds.begin(), defaults.holds.end());
  tell_unknown_slots(subject, out);
  read_policies(own, subject, out);
  apply_rules(own, subject, defaults.policy_rules, out);
  return out;
}

}  // namespace tidemark::workload
