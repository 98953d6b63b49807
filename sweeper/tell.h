// tell: what of a sweep becomes an Event, and a notification.
//
// Purpose: the stage after apply, and the one place that chooses. Pure. What was rolled, what
// should have been and was not, and what moved without being rolled: the last of these once for
// each digest and reason, however many sweeps see it. Reasons: deploy/README.md. Thread-safety: a
// pure function. Errors: none.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/events.h"
#include "notify/notification.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

struct Note {
  kube::EventNote event;
  std::vector<notify::Move> moves;
  // As notify::Notification has it. Of a roll that fails at every sweep, too: its Events are a
  // series, for which decisions would be in the way.
  std::string standing;
};

std::vector<Note> notes_of(const SweepReport& report);

notify::Notification notification_of(const Note& note, WallTime now);

}  // namespace tidemark::sweeper
