#include "sweeper/running.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace tidemark::sweeper {
namespace {

void count(RunningSlot& slot, const std::optional<image::Digest>& digest) {
  if (digest) {
    ++slot.pods[*digest];
  } else {
    ++slot.without;
  }
}

const workload::PodContainer* container_of(const workload::Pod& pod, const std::string& slot) {
  const auto found = std::ranges::find(pod.containers, slot, &workload::PodContainer::slot);
  return found == pod.containers.end() ? nullptr : &*found;
}

bool has_stamp(const workload::Pod& pod, const TrackedSlot& slot) {
  const auto found = pod.stamps.find(slot.id);
  return found != pod.stamps.end() && found->second == *slot.stamp;
}

bool is_stamped(const image::Digest& digest, const TrackedSlot& slot,
                const PlatformsBySlot& platforms) {
  if (digest == slot.stamp->digest()) return true;
  const auto of_slot = platforms.find(slot.id);
  return of_slot != platforms.end() &&
         std::ranges::find(of_slot->second, digest) != of_slot->second.end();
}

std::string cause(const TrackedSlot& slot) {
  if (slot.pull_policy == "Always") {
    return "a mirror that nodes pull from may lag behind, or the tag moved while they pulled";
  }
  return "imagePullPolicy is " + slot.pull_policy + ": a node keeps the image that it has";
}

std::optional<std::string> skew_of(const TrackedSlot& slot, const std::vector<workload::Pod>& pods,
                                   const PlatformsBySlot& platforms) {
  std::map<image::Digest, std::vector<std::string>> others;  // to the nodes where they run
  for (const workload::Pod& pod : pods) {
    if (!pod.live || !has_stamp(pod, slot)) continue;
    const workload::PodContainer* container = container_of(pod, slot.id);
    if (container == nullptr || !container->digest) continue;
    if (is_stamped(*container->digest, slot, platforms)) continue;
    others[*container->digest].push_back(pod.name + (pod.node.empty() ? "" : " on " + pod.node));
  }
  if (others.empty()) return std::nullopt;
  std::string text = slot.id + " is stamped " + std::string(slot.stamp->digest().short_hex());
  for (const auto& [digest, where] : others) {
    text += ", but " + std::string(digest.short_hex()) + " runs in " + where.front();
    if (where.size() > 1) text += " and " + std::to_string(where.size() - 1) + " more";
  }
  return text + ": " + cause(slot);
}

}  // namespace

std::string running_key(std::string_view ns, std::string_view kind, std::string_view name) {
  return std::string(ns) + "/" + std::string(kind) + "/" + std::string(name);
}

std::optional<PodImages> images_of(const workload::Pod& pod) {
  const auto maker = workload::workload_of(pod);
  if (!pod.live || !maker) return std::nullopt;
  PodImages out{.workload = running_key(pod.ns, maker->first, maker->second), .slots = {}};
  out.slots.reserve(pod.containers.size());
  for (const workload::PodContainer& container : pod.containers) {
    out.slots.emplace_back(container.slot, container.digest);
  }
  return out;
}

void count(const PodImages& pod, RunningByWorkload& out) {
  auto& slots = out[pod.workload];
  for (const auto& [slot, digest] : pod.slots) {
    RunningSlot& running = slots[slot];
    running.slot = slot;
    count(running, digest);
  }
}

std::vector<RunningSlot> running_slots(const Workload& workload,
                                       const std::vector<workload::Pod>& pods) {
  std::vector<RunningSlot> out;
  for (const TrackedSlot& slot : workload.slots) {
    RunningSlot running{.slot = slot.id, .pods = {}};
    bool any = false;
    for (const workload::Pod& pod : pods) {
      const workload::PodContainer* container = pod.live ? container_of(pod, slot.id) : nullptr;
      if (container == nullptr) continue;
      any = true;
      count(running, container->digest);
    }
    if (any) out.push_back(std::move(running));
  }
  return out;
}

std::vector<std::string> skews(const Workload& workload, const std::vector<workload::Pod>& pods,
                               const PlatformsBySlot& platforms) {
  std::vector<std::string> out;
  for (const TrackedSlot& slot : workload.slots) {
    if (!slot.stamp) continue;
    if (auto skew = skew_of(slot, pods, platforms); skew) out.push_back(std::move(*skew));
  }
  return out;
}

}  // namespace tidemark::sweeper
