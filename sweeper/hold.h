// hold, resume: a person's orders about one workload, or one namespace, as changed annotations.
//
// Purpose: `hold` writes the user's own keys (tidemark.dev/hold with reason and end), or adds one
// digest to tidemark.dev/held; `resume` takes both back, and what a rollback or a lost roll had
// left. Pure functions: the commands (commands.h) read and patch.
// Thread-safety: pure functions. Errors: kInvalid with what to do instead.
// Source: design sections 2 and 3 (4).
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "image/digest.h"
#include "workload/annotations.h"
#include "workload/object.h"

namespace tidemark::sweeper {

struct HoldRequest {
  std::set<std::string> slots{};          // Slot::id(); empty: all of them
  std::optional<image::Digest> digest{};  // hold only this one, of the one slot that is named
  std::string reason{};
  std::optional<WallTime> until{};
};

// A namespace's own metadata carries the same keys; it has no template.
const workload::Kind& namespace_kind();

// The annotations that `object` should have. A hold replaces the reason and the end of an earlier
// one and adds to its slots.
Result<workload::StringMap> hold_annotations(const workload::Object& object,
                                             const HoldRequest& request, WallTime now);
Result<workload::StringMap> resume_annotations(const workload::Object& object,
                                               const std::set<std::string>& slots, WallTime now);

}  // namespace tidemark::sweeper
