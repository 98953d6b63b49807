// Template: what an operator wants a message to say.
//
//   "{workload} in {namespace}: {text}"
//
// Purpose: names in braces stand for values of the notification: workload, namespace, kind, reason,
// text, time, cluster. "{{" stands for a brace; everything else for itself. Thread-safety: values.
// Errors: kInvalid for an unknown name, a brace that is not closed, and more than
// kMaxTemplateBytes.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "notify/notification.h"

namespace tidemark::notify {

inline constexpr std::size_t kMaxTemplateBytes = 1000;

class Template {
 public:
  static Result<Template> parse(std::string_view text);

  // `escape` is applied to values, not to what the operator wrote.
  using Escape = std::function<std::string(std::string_view value)>;
  std::string render(const Notification& notification, const Escape& escape) const;

 private:
  struct Part {
    std::string literal;
    std::string (*value)(const Notification&) = nullptr;  // comes after the literal
  };
  std::vector<Part> parts_;
};

}  // namespace tidemark::notify
