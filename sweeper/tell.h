// tell: what of a sweep becomes an Event.
//
// Purpose: the stage after apply, and the one place that chooses. Pure. What was rolled, what
// should have been and was not, and what moved without being rolled: the last of these once for
// each digest and reason, however many sweeps see it. Reasons: deploy/README.md. Thread-safety: a
// pure function. Errors: none.
#pragma once

#include <vector>

#include "kube/events.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

std::vector<kube::EventNote> notes_of(const SweepReport& report);

}  // namespace tidemark::sweeper
