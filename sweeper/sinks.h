// sinks: the configured notification sinks, with what their files hold.
//
// Purpose: reads URLs, headers and roots once, at the start, and makes the notifier of them.
// Thread-safety: a free function. Ownership: clock and metrics must outlive the notifier. Errors:
// kInvalid and kNotFound name sink and file, and nothing that a file holds.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/notifications.h"
#include "notify/notifier.h"

namespace tidemark::sweeper {

Result<std::unique_ptr<notify::Notifier>> make_notifier(const config::NotificationsConfig& config,
                                                        const std::string& user_agent,
                                                        const Clock& clock, Metrics& metrics,
                                                        const Logger& log);

}  // namespace tidemark::sweeper
