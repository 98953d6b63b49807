// MessageTemplate: what an operator wants a message to say (base/template.h).
//
// Purpose: its values are the notification's: workload, namespace, kind, reason, text, time,
// cluster. Thread-safety: values. Errors: kInvalid, as Template's.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/template.h"
#include "notify/notification.h"

namespace tidemark::notify {

class MessageTemplate {
 public:
  static Result<MessageTemplate> parse(std::string_view text);

  // `escape` is applied to values, not to what the operator wrote.
  using Escape = std::function<std::string(std::string_view value)>;
  std::string render(const Notification& notification, const Escape& escape) const;

 private:
  explicit MessageTemplate(Template text) : text_(std::move(text)) {}
  Template text_;
};

}  // namespace tidemark::notify
