// find_keel: Keel's annotations and labels, today's and those of its first releases.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "image/reference.h"
#include "policy/tag_policy.h"
#include "sweeper/migrate_findings.h"

namespace tidemark::sweeper {
namespace {

using workload::StringMap;
using workload::value_of;

constexpr std::string_view kPrefix = "keel.sh/";
constexpr std::string_view kFormerPrefix = "keel.observer/";
constexpr std::string_view kPolicy = "keel.sh/policy";
constexpr std::string_view kFormerPolicy = "keel.observer/policy";

struct Note {
  std::string_view key;
  std::string_view note;  // "": nothing is to be said
};
// What is not of the policy.
constexpr std::array kNotes = {
    Note{"keel.sh/trigger", "no counterpart: the sweeper asks for every tag, and takes pushes"},
    Note{"keel.sh/pollSchedule",
         "no counterpart: sweeper.interval or sweeper.schedule is that of all workloads"},
    Note{"keel.sh/approvals", "no counterpart: nobody is asked before a roll"},
    Note{"keel.sh/approvalDeadline", "no counterpart: nobody is asked before a roll"},
    Note{"keel.sh/notify", "no counterpart: Events of the workload tell of its rolls"},
    Note{"keel.sh/releaseNotes", "no counterpart"},
    Note{"keel.sh/imagePullSecret",
         "no counterpart: the pod's own pull secrets are used, or its service account's"},
    Note{"keel.sh/matchPreRelease", "no counterpart: a range names the pre-releases it takes"},
    Note{"keel.sh/digest", ""},
    Note{"keel.sh/update-time", ""},
    Note{"keel.sh/matchTag", ""},
    Note{"keel.sh/match-tag", ""},
    Note{"keel.sh/monitorContainers", ""},
    Note{"keel.sh/initContainers", ""},
    Note{"keel.sh/imageVolumes", ""}};

bool is_keels(std::string_view key) {
  return key.starts_with(kPrefix) || key.starts_with(kFormerPrefix);
}

std::vector<Migration> keys_of(const workload::Object& object) {
  std::vector<Migration> keys;
  const auto add = [&](std::string_view place, const StringMap& map) {
    for (const auto& [key, value] : map) {
      if (!is_keels(key)) continue;
      keys.push_back({.place = place, .key = key, .found = value, .from = Peer::kKeel});
    }
  };
  add("annotation", object.annotations);
  add("label", object.labels);
  return keys;
}

// Annotations decide before labels, today's key before the former one.
const Migration* policy_of(const std::vector<Migration>& keys) {
  for (const std::string_view place : {"annotation", "label"}) {
    for (const std::string_view key : {kPolicy, kFormerPolicy}) {
      const auto found = std::ranges::find_if(
          keys, [&](const Migration& k) { return k.place == place && k.key == key; });
      if (found != keys.end()) return &*found;
    }
  }
  return nullptr;
}

bool matches_tag(const StringMap& beside_policy) {
  const std::string_view now = value_of(beside_policy, "keel.sh/matchTag");
  return (now.empty() ? value_of(beside_policy, "keel.sh/match-tag") : now) == "true";
}

std::string_view value_anywhere(const workload::Object& object, std::string_view key) {
  const std::string_view value = value_of(object.annotations, key);
  return value.empty() ? value_of(object.labels, key) : value;
}

bool asks_somebody(const workload::Object& object) {
  const std::string_view approvals = value_anywhere(object, "keel.sh/approvals");
  return !approvals.empty() && approvals != "0";
}

bool chooses_tags(std::string_view policy) {
  return policy == "all" || policy == "major" || policy == "minor" || policy == "patch" ||
         policy.starts_with("glob:") || policy.starts_with("regexp:");
}

bool is_keels_kind(const workload::Kind& kind) {
  return !kind.custom && (kind.group == "apps" || kind.kind == "CronJob");
}

// One alternative of an expression that is names alone: "web", "^web$".
struct NamePattern {
  std::string_view name;
  bool from_start = false;
  bool to_end = false;

  bool matches(std::string_view container) const {
    if (from_start && to_end) return container == name;
    if (from_start) return container.starts_with(name);
    return to_end ? container.ends_with(name) : container.contains(name);
  }
};

// nullopt: an expression of another kind. It is not evaluated: who wrote it may want it to take for
// ever.
std::optional<std::vector<NamePattern>> parse_patterns(std::string_view text) {
  std::vector<NamePattern> patterns;
  while (true) {
    const std::size_t bar = text.find('|');
    NamePattern pattern{.name = text.substr(0, bar)};
    if (pattern.name.starts_with('^')) {
      pattern.from_start = true;
      pattern.name.remove_prefix(1);
    }
    if (pattern.name.ends_with('$')) {
      pattern.to_end = true;
      pattern.name.remove_suffix(1);
    }
    if (!workload::is_dns_label(pattern.name)) return std::nullopt;
    patterns.push_back(pattern);
    if (bar == std::string_view::npos) return patterns;
    text.remove_prefix(bar + 1);
  }
}

// The containers that Keel does not monitor, "a,b"; nullopt where that cannot be told.
std::optional<std::string> ignored_containers(const workload::Object& object) {
  const std::string_view monitored = value_anywhere(object, "keel.sh/monitorContainers");
  if (monitored.empty()) return "";
  const auto patterns = parse_patterns(monitored);
  if (!patterns) return std::nullopt;
  std::string ignored;
  for (const workload::Slot& slot : object.pod_template.slots) {
    if (slot.type == workload::SlotType::kImageVolume) continue;
    const auto matches = [&](const NamePattern& p) { return p.matches(slot.name); };
    if (std::ranges::none_of(*patterns, matches)) append_part(ignored, ",", slot.name);
  }
  return ignored;
}

std::string note_of_force(const workload::Object& object, const StringMap& beside_policy) {
  std::string note;
  if (!matches_tag(beside_policy)) {
    append_part(note, "; ", "Keel took any tag that was pushed, Tidemark follows the written one");
  }
  const bool has_init =
      std::ranges::count(object.pod_template.slots, workload::SlotType::kInitContainer,
                         &workload::Slot::type) > 0;
  if (has_init && value_anywhere(object, "keel.sh/initContainers") != "true") {
    append_part(note, "; ", "init containers are followed too");
  }
  return note;
}

// "1.2.3", "v1.2": the numbers of a tag that Keel takes for a version; empty: it does not, or it is
// a pre-release, which Keel moves to pre-releases of the same name alone.
struct Numbers {
  std::string major;
  std::string minor;
};
std::optional<Numbers> numbers_of(std::string_view tag) {
  if (tag.starts_with('v')) tag.remove_prefix(1);
  std::vector<std::string> parts(1);
  for (const char c : tag.substr(0, tag.find('+'))) {
    if (c == '.') {
      parts.emplace_back();
    } else if (c >= '0' && c <= '9') {
      parts.back() += c;
    } else {
      return std::nullopt;
    }
  }
  if (parts.size() > 3 || std::ranges::any_of(parts, [](const auto& part) {
        return part.empty() || part.size() > 9;
      })) {
    return std::nullopt;
  }
  parts.resize(2, "0");
  return Numbers{.major = parts[0], .minor = parts[1]};
}

// RE2 of a glob, whose only sign is the star.
std::string expression_of(std::string_view glob) {
  std::string out = "^";
  for (const char c : glob) {
    if (c == '*') {
      out += ".*";
    } else {
      if (std::string_view("\\.+?()|[]{}^$").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out + "$";
}

// Keel's policy, in the words of a TagPolicy, for a container with this tag; nullopt: none.
std::optional<std::string> tag_policy_of(std::string_view policy, std::string_view tag) {
  if (policy.starts_with("glob:")) {
    return "alphabetical: asc\nfilter: " + expression_of(policy.substr(5));
  }
  if (policy.starts_with("regexp:")) {
    const std::string expression(policy.substr(7));
    const bool compares = expression.find("(?P<compare>") != std::string::npos;
    return "alphabetical: asc\nfilter: " + expression + (compares ? "\nextract: $compare" : "");
  }
  const auto numbers = numbers_of(tag);
  if (!numbers) return std::nullopt;
  if (policy == "patch") return "semver: ~" + numbers->major + "." + numbers->minor;
  if (policy == "minor") return "semver: " + numbers->major + ".x";
  return "semver: *";
}

// True where Tidemark does in its place what the policy asks for.
bool translate_force(Findings& findings, Migration policy) {
  const workload::Object& object = findings.object();
  if (asks_somebody(object)) {
    policy.note = "not \"roll\": Keel asks somebody first";
    findings.write(std::move(policy), workload::kSweepKey, "report");
    return true;
  }
  const auto ignored = ignored_containers(object);
  if (!ignored) {
    findings.tell(std::move(policy),
                  "keel.sh/monitorContainers is an expression: set tidemark.dev/ignore-containers "
                  "and tidemark.dev/sweep yourself");
    return false;
  }
  if (!ignored->empty()) findings.write(policy, workload::kIgnoreContainersKey, *ignored);
  policy.note = note_of_force(object, policy.place == "label" ? object.labels : object.annotations);
  findings.write(std::move(policy), workload::kSweepKey, "roll");
  return true;
}

// The same, for policies that choose among tags.
bool translate_choice(Findings& findings, Migration policy) {
  const workload::Object& object = findings.object();
  const auto ignored = ignored_containers(object);
  if (!ignored) {
    findings.tell(std::move(policy),
                  "keel.sh/monitorContainers is an expression: set policy.tidemark.dev/CONTAINER "
                  "and tidemark.dev/sweep yourself");
    return false;
  }
  const bool init_too = value_anywhere(object, "keel.sh/initContainers") == "true";
  std::string left_out;
  std::vector<std::pair<std::string, std::string>> chosen;
  for (const workload::Slot& slot : object.pod_template.slots) {
    if (slot.type == workload::SlotType::kImageVolume) continue;
    if (slot.type == workload::SlotType::kInitContainer && !init_too) continue;
    if (("," + *ignored + ",").find("," + slot.name + ",") != std::string::npos) continue;
    const auto reference = image::Reference::parse(slot.image);
    const std::string tag(reference ? reference->tag().value_or("") : "");
    auto text = tag_policy_of(policy.found, tag);
    const auto read = text ? policy::TagPolicy::parse(*text)
                           : Result<policy::TagPolicy>(fail(ErrorKind::kInvalid, ""));
    if (read) {
      chosen.emplace_back(std::string(workload::kPolicyPrefix) + slot.name, std::move(*text));
    } else {
      append_part(left_out, ", ", slot.name);
    }
  }
  if (chosen.empty()) {
    findings.tell(std::move(policy),
                  "not translated: its tags are no versions, or its expression is none of RE2's");
    return false;
  }
  if (!ignored->empty()) findings.write(policy, workload::kIgnoreContainersKey, *ignored);
  for (const auto& [key, text] : chosen) findings.write(policy, key, text);
  if (!left_out.empty()) {
    policy.note = left_out + ": followed under the written tag, which is no version";
  }
  const bool asks = asks_somebody(object);
  if (asks) append_part(policy.note, "; ", "not \"roll\": Keel asks somebody first");
  findings.write(std::move(policy), workload::kSweepKey, asks ? "report" : "roll");
  return left_out.empty();
}

bool translate_policy(Findings& findings, const Migration& policy) {
  const std::string& value = policy.found;
  const workload::Kind& kind = *findings.object().kind;
  if ((value == "force" || chooses_tags(value)) && !is_keels_kind(kind)) {
    findings.tell(policy, "Keel does not look at a " + kind.kind);
    return true;
  }
  if (value == "force") return translate_force(findings, policy);
  if (value == "never" || value.empty()) {
    findings.write(policy, workload::kSweepKey, "off");
    return true;
  }
  if (chooses_tags(value)) return translate_choice(findings, policy);
  findings.tell(policy, "Keel knows no such policy, and does nothing");
  return true;
}

void tell_other_key(Findings& findings, const Migration& key, const Migration* policy) {
  if (key.key == kPolicy || key.key == kFormerPolicy) {
    return findings.tell(
        key, "Keel reads the " + std::string(policy->place) + " " + policy->key + " instead");
  }
  const auto known = std::ranges::find(kNotes, key.key, &Note::key);
  if (known == kNotes.end()) return findings.tell(key, "no counterpart is known");
  if (!known->note.empty()) findings.tell(key, known->note);
}

}  // namespace

void find_keel(Findings& findings) {
  if (!findings.request().wants(Peer::kKeel)) return;
  const std::vector<Migration> keys = keys_of(findings.object());
  const Migration* policy = policy_of(keys);
  const bool replaced = policy == nullptr || translate_policy(findings, *policy);
  for (const Migration& key : keys) {
    if (&key != policy) tell_other_key(findings, key, policy);
  }
  if (!replaced) return;
  for (const Migration& key : keys) findings.remove(key);
}

}  // namespace tidemark::sweeper
