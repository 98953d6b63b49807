// Settings: what users asked for on a workload or its namespace.
//
// Purpose: the one reader of the user-set keys. Order: workload annotation, workload label,
// namespace annotation, namespace label, the program's default; hold on any level holds, with the
// reason and the end that are given beside it.
// Thread-safety: values. Errors: an unknown value is not applied but told in `problems` (warnings
// at admission, `explain` at the sweeper): the next level decides, but for a window, which is
// closed then. A problem of the namespace's begins with "namespace: ".
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "workload/annotations.h"
#include "workload/object.h"
#include "workload/window.h"

namespace tidemark::workload {

enum class SweepMode { kRoll, kReport, kOff };
enum class StampMode { kAnnotate, kPin };
// What follows where a rollout of ours fails: its digest is rolled nowhere else; it is also taken
// back here; or it says nothing of other workloads.
enum class OnFailure { kHold, kUndo, kIgnore };
// Of a slot whose imagePullPolicy is IfNotPresent, where a node may keep the image that it has.
// (With Never a pin would keep pods from starting: such a slot is always reported.)
enum class OnCachedPolicy { kReport, kPin, kRoll };

std::string_view to_string(SweepMode mode);
std::string_view to_string(StampMode mode);
// The values as users write them; kInvalid names what is allowed.
Result<SweepMode> parse_sweep_mode(std::string_view text);             // roll, report, off
Result<StampMode> parse_stamp_mode(std::string_view text);             // annotate, pin
Result<OnFailure> parse_on_failure(std::string_view text);             // hold, undo, ignore
Result<OnCachedPolicy> parse_on_cached_policy(std::string_view text);  // report, pin, roll
Result<bool> parse_flag(std::string_view text);                        // true, false
Result<bool> parse_stamp_switch(std::string_view text);                // on, off
// RFC 1123 label: at most 63 of a-z, 0-9 and inner '-'. Containers, volumes, namespaces.
bool is_dns_label(std::string_view name);
// "istio-proxy, linkerd-proxy"; an empty text names none.
Result<std::set<std::string>> parse_container_names(std::string_view text);

// An order of a user not to roll, and not to change stamps: tidemark.dev/hold with its reason and
// its end. Other than tidemark.dev/held (records.h), which holds single digests.
struct HoldOrder {
  enum class Level { kWorkload, kNamespace, kCluster };

  std::set<std::string> slots{};    // Slot::id(); empty: all of them
  std::string reason{};             // "" where none is given
  std::optional<WallTime> until{};  // nullopt: until it is taken back
  Level level = Level::kWorkload;   // where it was given

  bool covers(std::string_view slot, WallTime now) const;
  // "tidemark.dev/hold is set until 2026-12-01T00:00:00Z: release freeze"
  std::string text() const;
};

// A tag policy that the configuration gives to what runs images of one repository.
struct PolicyRule {
  std::string repository;              // "docker.io/library/nginx"
  std::string policy;                  // TagPolicy, as it is written
  std::set<std::string> namespaces{};  // empty: all
  StringMap labels{};                  // that the workload has; empty: any
};
using PolicyRules = std::shared_ptr<const std::vector<PolicyRule>>;

struct Settings {
  SweepMode sweep = SweepMode::kReport;
  StampMode mode = StampMode::kAnnotate;
  bool stamp = true;
  bool peer_labels = false;   // other programs' labels opt in: see user_keys()
  bool restarted_at = false;  // a roll writes kubectl.kubernetes.io/restartedAt beside the stamp
  OnFailure on_failure = OnFailure::kHold;
  OnCachedPolicy on_cached_policy = OnCachedPolicy::kReport;
  std::vector<HoldOrder> holds{};  // of the workload, its namespace, and the defaults'
  std::chrono::seconds cooldown{0};
  std::optional<Windows> windows{};               // nullopt: at any time
  std::set<std::string> ignored_containers{};     // neither stamped nor swept
  std::map<std::string, std::string> policies{};  // Slot::id() -> TagPolicy, as it is written
  PolicyRules policy_rules{};                     // of the defaults alone; nullptr: none

  // Whether the image of a slot with this effective_pull_policy() is written as a pin.
  bool pins(std::string_view pull_policy) const;
  // The first order that covers the slot now; nullptr: none.
  const HoldOrder* hold_on(std::string_view slot, WallTime now) const;
};

// Of a workload, or of its namespace (empty where it is not known).
struct Metadata {
  StringMap annotations;
  StringMap labels;

  friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct EffectiveSettings {
  Settings settings;
  std::vector<std::string> problems;  // "tidemark.dev/mode: unknown value \"pinn\" (annotate, pin)"
};

// The keys that users set, which are all that the settings are read from; and the labels of other
// programs on the kinds that those look at: figwasp at Deployments, kube-autorollout also at
// StatefulSets and DaemonSets; and the labels that rules ask for.
Metadata user_keys(const Object& workload, const PolicyRules& rules = nullptr);

// Whose settings they are: what its own keys do not say.
struct Subject {
  struct Slot {
    std::string id;            // Slot::id()
    std::string repository{};  // of its image, as PolicyRule has it; "": no rule's
  };
  std::string ns{};
  std::vector<Slot> slots{};
};

// `own`: the workload's user_keys().
EffectiveSettings effective_settings(const Metadata& own, const Subject& subject,
                                     const Metadata& ns, const Settings& defaults);
EffectiveSettings effective_settings(const Object& workload, const Metadata& ns,
                                     const Settings& defaults);

}  // namespace tidemark::workload
