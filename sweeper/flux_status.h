// Flux's status: what a round found, as the merge patches of each object's status.
//
// Purpose: the other half of flux_objects.h; the fields and reasons are those that Flux's own
// controllers write, so that `flux get image ...`, kubectl's columns and alerts go on as they did.
// Thread-safety: pure functions. Errors: none. Source: image-reflector-controller and
// image-automation-controller, api/v1.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sweeper/flux_objects.h"
#include "sweeper/git_plan.h"

namespace tidemark::sweeper {

struct FluxStatus {
  std::string plural;  // "imagepolicies"
  std::string ns;
  std::string name;
  std::string patch;  // application/merge-patch+json, of the subresource
};

// `chosen`, `written`: what a round of the plan found, in the plan's order.
std::vector<FluxStatus> flux_statuses(const FluxObjects& objects, const FluxPlan& plan,
                                      std::span<const ChosenImage> chosen,
                                      std::span<const GitOutcome> written, WallTime now);

}  // namespace tidemark::sweeper
