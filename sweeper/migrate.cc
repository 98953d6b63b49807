#include "sweeper/migrate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "sweeper/guarded_patch.h"
#include "sweeper/hold.h"
#include "sweeper/migrate_findings.h"
#include "workload/annotations.h"

namespace tidemark::sweeper {
namespace {

using workload::value_of;

constexpr std::string_view kImagoRestartedAt = "imago/restartedAt";

struct NamedPeer {
  std::string_view name;
  Peer peer;
};
constexpr std::array kPeers = {
    NamedPeer{"figwasp", Peer::kFigwasp}, NamedPeer{"kube-autorollout", Peer::kAutorollout},
    NamedPeer{"imago", Peer::kImago}, NamedPeer{"k8s-digester", Peer::kDigester},
    NamedPeer{"keel", Peer::kKeel}};
constexpr std::string_view kFormerImago = "kubernetes-image-sync";

// What programs leave in templates. It asks for nothing, and cannot be taken away without a roll.
constexpr std::array<std::pair<std::string_view, Peer>, 3> kTemplateTraces = {
    {{kImagoRestartedAt, Peer::kImago},
     {"kube-autorollout/restartedAt", Peer::kAutorollout},
     {"keel.sh/update-time", Peer::kKeel}}};

// figwasp and kube-autorollout: a label opts in, where it is "true", kinds that they look at.
void find_opt_in(Findings& findings, Peer peer, std::string_view label) {
  if (!findings.request().wants(peer)) return;
  const workload::Object& object = findings.object();
  const auto found = object.labels.find(label);
  if (found == object.labels.end()) return;
  const Migration finding{
      .place = "label", .key = found->first, .found = found->second, .from = peer};
  const auto seen = workload::user_keys(object).labels;
  if (!seen.contains(label)) {
    findings.tell(finding,
                  std::string(to_string(peer)) + " does not look at a " + object.kind->kind);
  } else if (found->second != "true") {
    findings.tell(finding, std::string(to_string(peer)) + " looks for \"true\" alone");
  } else {
    findings.write(finding, workload::kSweepKey, "roll");
  }
  findings.remove(finding);
}

void find_imago(Findings& findings) {
  if (!findings.request().wants(Peer::kImago)) return;
  const workload::Object& object = findings.object();
  const auto in_template = object.pod_template.annotations.find(kImagoRestartedAt);
  const auto recorded = object.annotations.find(kImagoKey);
  if (recorded != object.annotations.end()) {
    const Migration finding{.place = "annotation",
                            .key = recorded->first,
                            .found = recorded->second,
                            .from = Peer::kImago};
    findings.write(finding, workload::kSweepKey, "roll");
    findings.write(finding, workload::kModeKey, "pin");
    // It is the only place that says which images were pinned.
    if (!findings.has_pins_of(Peer::kImago)) findings.remove(finding);
  } else if (in_template != object.pod_template.annotations.end()) {
    findings.write({.place = "template annotation",
                    .key = in_template->first,
                    .found = in_template->second,
                    .from = Peer::kImago},
                   workload::kSweepKey, "roll");
  }
}

void find_traces(Findings& findings) {
  if (!findings.request().remove) return;
  const workload::StringMap& annotations = findings.object().pod_template.annotations;
  for (const auto& [key, peer] : kTemplateTraces) {
    const auto found = annotations.find(key);
    if (found == annotations.end() || !findings.request().wants(peer)) continue;
    findings.tell(
        {.place = "template annotation", .key = found->first, .found = found->second, .from = peer},
        "stays: to take it out of the template would roll");
  }
}

void find_digester_switch(Findings& findings) {
  const workload::Object& ns = findings.object();
  const auto found = ns.labels.find(kDigesterLabel);
  if (found == ns.labels.end() || !findings.request().wants(Peer::kDigester)) return;
  const Migration finding{
      .place = "label", .key = found->first, .found = found->second, .from = Peer::kDigester};
  if (is_digester_on({.annotations = {}, .labels = ns.labels})) {
    findings.write(finding, workload::kModeKey, "pin");
  } else {
    findings.tell(finding, "k8s-digester looks for \"enabled\" alone");
  }
  findings.remove(finding);
}

}  // namespace

std::string_view to_string(Peer peer) {
  return std::ranges::find(kPeers, peer, &NamedPeer::peer)->name;
}

std::string_view to_string(Migration::Action action) {
  switch (action) {
    case Migration::Action::kNone:
      return "none";
    case Migration::Action::kWrite:
      return "write";
    case Migration::Action::kRemove:
      return "remove";
    case Migration::Action::kByHand:
      return "by-hand";
    case Migration::Action::kUnpin:
      return "unpin";
  }
  return "none";
}

Result<std::set<Peer>> parse_peers(const std::vector<std::string>& names) {
  std::set<Peer> peers;
  for (const std::string& name : names) {
    const auto found =
        std::ranges::find(kPeers, name == kFormerImago ? "imago" : name, &NamedPeer::name);
    if (found == kPeers.end()) {
      return fail(ErrorKind::kInvalid,
                  "unknown program " + brief_quote(name) + " (" + std::string(kPeerNames) + ")");
    }
    peers.insert(found->peer);
  }
  return peers;
}

std::vector<Migration> migrations_of(const workload::Object& object, const workload::Metadata& ns,
                                     const MigrateRequest& request) {
  Findings findings(object, ns, request);
  if (object.kind == &namespace_kind()) {
    find_digester_switch(findings);
    return findings.take();
  }
  find_opt_in(findings, Peer::kFigwasp, workload::kFigwaspLabel);
  find_opt_in(findings, Peer::kAutorollout, workload::kAutorolloutLabel);
  find_pins(findings);
  find_imago(findings);
  find_keel(findings);
  find_traces(findings);
  return findings.take();
}

std::optional<workload::JsonPatch> migration_patch(const workload::Object& object,
                                                   const std::vector<Migration>& changes) {
  if (std::ranges::none_of(changes, &Migration::writes)) return std::nullopt;
  workload::JsonPatch patch = patch_of(object);
  workload::StringMap annotations = object.annotations;
  workload::StringMap labels = object.labels;
  for (const Migration& change : changes) {
    if (change.action == Migration::Action::kWrite) {
      annotations.insert_or_assign(change.target, change.value);
    } else if (change.action == Migration::Action::kRemove) {
      (change.place == "label" ? labels : annotations).erase(change.key);
    } else if (change.action == Migration::Action::kUnpin) {
      const workload::Slot* slot = slot_of(object.pod_template, change.key);
      if (slot != nullptr) change_image(patch, *object.kind, *slot, change.value);
    }
  }
  if (annotations != object.annotations) change_annotations(patch, object, annotations);
  if (labels != object.labels) change_labels(patch, object, labels);
  return patch;
}

}  // namespace tidemark::sweeper
