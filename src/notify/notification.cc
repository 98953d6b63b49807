#include "notify/notification.h"

#include <algorithm>
#include <chrono>

#include "base/fnv.h"
#include "base/text.h"

namespace tidemark::notify {

Result<std::string> parse_reason(std::string_view name) {
  if (std::ranges::find(kReasons, name) != kReasons.end()) return std::string(name);
  std::string known;
  for (const std::string_view reason : kReasons) append_part(known, ", ", reason);
  return fail(ErrorKind::kInvalid, "no such event: " + brief_quote(name) + " (" + known + ")");
}

std::string id_of(const Notification& notification) {
  const auto since_epoch = notification.time.time_since_epoch();
  const std::string once =
      notification.text + '\0' +
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count());
  std::string text;
  for (const std::string* part :
       {&notification.cluster, &notification.api_version, &notification.kind, &notification.ns,
        &notification.workload, &notification.uid, &notification.reason,
        notification.standing.empty() ? &once : &notification.standing}) {
    text.append(*part).push_back('\0');
  }
  return to_hex(fnv1a(text));
}

}  // namespace tidemark::notify
