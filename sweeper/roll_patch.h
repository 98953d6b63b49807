// make_roll_patch: one workload's roll as one JSON Patch.
//
// Purpose: stamp, history, holds and change-cause change in one write, so that a sweeper that is
// killed at any instant has either rolled or not, and never rolled without saying so. Its `test`
// operations pin the object, container names, images, old stamps and every annotation that it
// changes: a concurrent edit makes the patch fail, it is never overwritten.
// Thread-safety: pure functions. Errors: none.
// Source: design section 4 (4); RFC 6902; KEP-555 (server-side apply). `replace` of a missing key
// answers 200 at the API server: hence a `test` before every change (of a missing key: for null).
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "sweeper/plan.h"
#include "workload/json_patch.h"
#include "workload/object.h"

namespace tidemark::sweeper {

// `object`: what `plan` was made from. The slots of `plan` that change are rolled, or rolled back.
workload::JsonPatch make_roll_patch(const workload::Object& object, const WorkloadPlan& plan,
                                    WallTime now);

// A written image is owned by its writer, and the next server-side apply by the image's real owner
// would end with a conflict. So the sweeper gives up its entry in managedFields once the roll is
// done. Nullopt where `object` shows no image of ours.
std::optional<workload::JsonPatch> make_release_patch(const workload::Object& object);

// "tidemark: app moved 3f1c9a7e2b40 -> 9b2e01c4d5f6"
std::string change_cause(const WorkloadPlan& plan);

}  // namespace tidemark::sweeper
