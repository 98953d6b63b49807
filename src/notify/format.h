// Formats: notifications as the bodies of requests.
//
// Purpose: what goes over the wire, and nothing of how. Values of workloads and registries are
// data in every format: JSON quotes them, and for Slack nothing of them is markup or a mention.
// Bytes that are not UTF-8 become U+FFFD. Thread-safety: pure functions. Errors: kInvalid for a
// format that does not exist. Source: deploy/README.md, "Notifications"; Slack, "Formatting text
// for app surfaces" (escaping; messages up to 4,000 characters); CloudEvents 1.0.2, JSON format.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "notify/notification.h"
#include "notify/template.h"

namespace tidemark::notify {

enum class Format { kWebhook, kSlack, kCloudEvents };

// "webhook", "slack", "cloudevents".
Result<Format> parse_format(std::string_view name);

inline constexpr std::size_t kMaxSlackBytes = 4000;
// A standing state's text holds what a registry answered; an Event's has the same bound.
inline constexpr std::size_t kMaxTextBytes = 1024;
// Of 10,000 that wait: 300 bytes each, so that none holds more than 16 KiB.
inline constexpr std::size_t kMaxMoves = 50;

// What is sent as it is queued: text and moves within their bounds.
Notification bounded(Notification notification);

struct Message {
  std::string content_type;
  std::string body;
  std::size_t count = 0;  // of the notifications it holds, from the first on
};

using Queued = std::shared_ptr<const Notification>;

// How many of a queue one message may hold.
std::size_t max_joined(Format format);

// `waiting`: the oldest first, at least one. `text`: the operator's template, or the format's own.
Message message_of(Format format, const std::optional<MessageTemplate>& text,
                   std::span<const Queued> waiting);

}  // namespace tidemark::notify
