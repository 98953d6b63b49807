// Stage 4: Assessment + Answers + time -> Decision.
//
// Purpose: the rest of the stamp contract, and the patch that carries it out. Pure: the same input
// gives the same patch, byte for byte; only history and holds carry a time, and they stand on the
// workload's own metadata, never on its template.
// Thread-safety: a pure function over values. Errors: none; failures of lookups are part of the
// input.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "webhook/assess.h"
#include "webhook/decode_review.h"
#include "webhook/resolve_slots.h"
#include "workload/json_patch.h"
#include "workload/records.h"

namespace tidemark::webhook {

struct Policy {
  bool require = false;         // rule 8: deny what would go without a stamp
  bool pin_on_rollback = true;  // rule 5
  // Of the tag latest, written or implied, where images are pinned.
  bool warn_on_latest = false;
};

// How an admission ended, for metrics and logs.
enum class Outcome {
  kUntouched,   // passed without a look at its slots, or nothing had to be changed
  kCarried,     // rule 2: stamps were put back
  kStamped,     // all slots that want a stamp have one, resolved now
  kUnstamped,   // some lookup failed
  kRolledBack,  // rule 5
  kDenied       // --require
};
std::string_view to_string(Outcome outcome);  // "untouched", ...

// What a platform engineer wants to hear of an admission afterwards; becomes an Event.
struct Note {
  bool warning = false;
  std::string reason;  // "NotStamped", "RolledBack" or "Denied" (deploy/README.md)
  std::string action;
  std::string text;  // for people
};

struct Decision {
  Outcome outcome = Outcome::kUntouched;
  workload::JsonPatch patch;
  std::vector<std::string> warnings;  // one line each, for people
  std::optional<std::string> denial;  // set: the request is refused with this message
  std::vector<Note> notes;            // at most one of each reason
};

Decision decide(const Review& review, const Assessment& assessment, const Answers& answers,
                const Policy& policy, WallTime now);

}  // namespace tidemark::webhook
