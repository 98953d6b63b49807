// find_pins: images that another program gave a digest, and how their owner wrote them.
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "sweeper/migrate_findings.h"
#include "workload/pointer.h"
#include "workload/stamp.h"

namespace tidemark::sweeper {
namespace {

using nlohmann::json;
using Images = std::map<std::string, std::string, std::less<>>;  // by container

// kubectl's record of the manifest as it was applied.
constexpr std::string_view kLastAppliedKey = "kubectl.kubernetes.io/last-applied-configuration";

json parsed(const workload::StringMap& annotations, std::string_view key) {
  return json::parse(workload::value_of(annotations, key), nullptr, /*allow_exceptions=*/false);
}

const json* member(const json& value, const std::string& name) {
  if (!value.is_object()) return nullptr;
  const auto found = value.find(name);
  return found == value.end() ? nullptr : &*found;
}

// Of anything that has the two lists of containers.
void add_images(const json& spec, Images& out) {
  for (const char* list : {"initContainers", "containers"}) {
    const json* containers = member(spec, list);
    if (containers == nullptr || !containers->is_array()) continue;
    for (const json& container : *containers) {
      const json* name = member(container, "name");
      const json* image = member(container, "image");
      if (name == nullptr || image == nullptr || !name->is_string() || !image->is_string())
        continue;
      out.insert_or_assign(name->get<std::string>(), image->get<std::string>());
    }
  }
}

Images applied_images(const workload::Object& object) {
  const json manifest = parsed(object.annotations, kLastAppliedKey);
  const json* spec = &manifest;
  for (const std::string& token :
       workload::split_pointer(object.kind->template_pointer + "/spec")) {
    spec = member(*spec, token);
    if (spec == nullptr) return {};
  }
  Images images;
  add_images(*spec, images);
  return images;
}

Images imago_images(const workload::Object& object) {
  Images images;
  add_images(parsed(object.annotations, kImagoKey), images);
  return images;
}

// An image without the digest that another program added.
struct Original {
  std::string image;
  std::string_view known_by;  // "" where nothing tells the pin from its owner's
};

std::optional<Original> original_of(const workload::Slot& slot, const image::Reference& pin,
                                    const Images& recorded, const Images& applied) {
  if (const auto found = recorded.find(slot.name); found != recorded.end()) {
    return Original{.image = found->second, .known_by = kImagoKey};
  }
  if (const auto found = applied.find(slot.name); found != applied.end()) {
    return Original{.image = found->second, .known_by = "the manifest that was applied"};
  }
  if (!pin.tag()) return std::nullopt;
  return Original{.image = slot.image.substr(0, slot.image.find('@')), .known_by = {}};
}

bool same_image(const image::Reference& pin, const image::Reference& original) {
  return pin.registry() == original.registry() && pin.repository() == original.repository() &&
         (!pin.tag() || pin.tag() == original.tag());
}

bool is_tidemarks_own(const workload::Object& object, const workload::Slot& slot) {
  const auto stamps = workload::read_stamps(object.pod_template.annotations);
  const auto stamp = stamps.find(slot.stamp_key());
  return stamp != stamps.end() && workload::unpinned_image(slot.image, stamp->second);
}

void judge_pin(Findings& findings, Migration finding, const image::Reference& pin,
               const Original& original) {
  const auto reference = image::Reference::parse(original.image);
  if (reference && reference->digest()) return;  // its owner's own digest
  if (!reference || !same_image(pin, *reference)) {
    return findings.tell(std::move(finding),
                         std::string(original.known_by) + " names another image: look at it");
  }
  const MigrateRequest& request = findings.request();
  const bool may = !original.known_by.empty() || request.from.contains(finding.from);
  finding.value = original.image;
  if (request.unpin && may) {
    finding.action = Migration::Action::kUnpin;
    finding.note = "ROLLS: new pods run what the tag names then";
  } else {
    finding.action = Migration::Action::kByHand;
    finding.note =
        original.known_by.empty()
            ? "leave it where the pin is your own; else apply its manifest without it, which rolls"
            : "apply its manifest once more when " + std::string(to_string(finding.from)) +
                  " is off, which rolls (as --unpin does)";
  }
  findings.add(std::move(finding));
}

}  // namespace

void find_pins(Findings& findings) {
  const workload::Object& object = findings.object();
  std::optional<Images> recorded;
  std::optional<Images> applied;
  for (const workload::Slot& slot : object.pod_template.slots) {
    if (slot.type == workload::SlotType::kImageVolume || !slot.image.contains('@')) continue;
    const auto pin = image::Reference::parse(slot.image);
    if (!pin || !pin->digest() || is_tidemarks_own(object, slot)) continue;
    if (!recorded) recorded = imago_images(object);
    if (!applied) applied = applied_images(object);
    const bool digester = !recorded->contains(slot.name) && is_digester_on(findings.ns());
    const Peer peer = digester ? Peer::kDigester : Peer::kImago;
    const auto original = original_of(slot, *pin, *recorded, *applied);
    if (!original || !findings.request().wants(peer)) continue;
    judge_pin(findings, {.place = "image", .key = slot.id(), .found = slot.image, .from = peer},
              *pin, *original);
  }
}

}  // namespace tidemark::sweeper
