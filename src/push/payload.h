// What registries post when an image is pushed: from a request's body to the references that may
// have moved.
//
// Purpose: the one place that knows the payloads of vendors. What comes out is a hint and nothing
// more: which references to ask the registry about now instead of later. That is why no digest of a
// payload comes out, whatever it claims, and why a name too many costs one question.
// Thread-safety: pure functions. Ownership: values. Units: bytes, levels, references.
// Errors: kInvalid for what is not the format (no JSON, wrong types, names that are none);
// kTooLarge for more than the bounds below. Messages quote names, briefly, and nothing else.
// Source: the vendors' documentation, page by page in src/push/README.md.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/reference.h"

namespace tidemark::push {

enum class Format {
  kDistribution,  // CNCF distribution, and what is built on it (GitLab's own registry)
  kDockerHub,
  kGhcr,
  kHarbor,
  kQuay,
  kNexus,
  kArtifactory,
  kGar,  // Google Artifact Registry, by Pub/Sub
  kAcr,  // Azure Container Registry
  kEcr,  // Amazon ECR, by EventBridge
  kCloudEvents,
  kGeneric,  // {"image": "name:tag"}: a line of a build script
};
inline constexpr std::array kFormats = {
    Format::kDistribution, Format::kDockerHub, Format::kGhcr,        Format::kHarbor,
    Format::kQuay,         Format::kNexus,     Format::kArtifactory, Format::kGar,
    Format::kAcr,          Format::kEcr,       Format::kCloudEvents, Format::kGeneric};

// "distribution", "dockerhub", "ghcr", "harbor", "quay", "nexus", "artifactory", "gar", "acr",
// "ecr", "cloudevents", "generic": as settings, paths and metrics write them.
std::string_view to_string(Format format);
// kInvalid names what is allowed.
Result<Format> parse_format(std::string_view text);

// GitHub sends some 30 KiB for a package, an envelope of distribution holds a handful of events of
// 1 KiB. GitHub's own bound is 25 MiB, which no event about a package comes near.
inline constexpr std::size_t kMaxBodyBytes = std::size_t{1024} * 1024;
// The deepest documented payload (GHCR's package) has 7, two more in a batch of CloudEvents.
inline constexpr std::size_t kMaxNesting = 32;
// Quay names all tags of a push in one payload; nobody else names more than an envelope's events.
inline constexpr std::size_t kMaxReferences = 1000;

struct Options {
  // What pods write before the repository: a host, with a port and a path where there are
  // ("registry.example.com:5000", "repo.example.com/docker"). It stands in where a payload names no
  // registry, and for docker.io and ghcr.io where a vendor's payload implies them.
  std::string registry = {};
  // Also where the payload does name one: behind a proxy a registry names itself as it was asked,
  // which need not be what pods write. Names of kGeneric are whole and stay.
  bool registry_wins = false;
};

// In the payload's order, each once; all have a tag and none has a digest. Empty for events that
// push no tag: pulls, deletions, blobs, manifests by digest, charts, pings, other packages.
Result<std::vector<image::Reference>> parse_push(Format format, std::string_view body,
                                                 const Options& options);

}  // namespace tidemark::push
