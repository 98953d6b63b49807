// Pod: what a running pod says of its images and how it fares, as far as adoption, the judging of
// rollouts and `explain` need it.
//
// Purpose: the only reader of imageID. Of it only the digest counts: its repository is any that the
// node knows this image under, and it has no tag. Without a repository it is the
// digest of a local configuration, which no registry serves. Thread-safety: pure functions.
// Errors: kInvalid where the text is no object; a field that is missing or of another type is as if
// it were not there. Source: core/v1 PodStatus; CRI ContainerStatus.image_ref.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "image/digest.h"
#include "workload/object.h"
#include "workload/stamp.h"

namespace tidemark::workload {

// The digest that a container's image was pulled by: of the index, or of the platform's manifest.
std::optional<image::Digest> digest_of_image_id(std::string_view image_id);

struct PodContainer {
  std::string slot;                     // Slot::id()
  std::optional<image::Digest> digest;  // nullopt: not started yet, or not from a registry
  std::string waiting{};                // state.waiting.reason: "CrashLoopBackOff", "" otherwise
  std::int64_t restarts = 0;
  bool ready = false;
};

struct Pod {
  std::string ns;
  std::string name;
  std::string node;
  std::optional<Owner> controller;
  std::string template_hash;            // label pod-template-hash, of a Deployment's pods
  std::map<std::string, Stamp> stamps;  // of the template that it was made from, by slot
  // RFC 3339, when its condition Ready became False; "" where it is not. A node that is lost makes
  // its pods' condition False, and leaves PodContainer::ready as it was.
  std::string unready_since;
  // Its containers count: not being deleted, not over.
  bool live = true;
  std::vector<PodContainer> containers;  // init containers first
};

// `json`: one item of a list of pods.
Result<Pod> parse_pod(std::string_view json);

// Kind and name of what made `pod`: its controller, or the Deployment behind its ReplicaSet.
std::optional<std::pair<std::string, std::string>> workload_of(const Pod& pod);

}  // namespace tidemark::workload
