#include "workload/annotations.h"

#include <algorithm>
#include <utility>

namespace tidemark::workload {

bool is_stamp_key(std::string_view key) {
  return key.starts_with(kStampPrefix) || key.starts_with(kVolumeStampPrefix);
}

bool is_written_key(std::string_view key) {
  return std::ranges::find(kWrittenKeys, key) != kWrittenKeys.end();
}

bool is_policy_key(std::string_view key) {
  return key.starts_with(kPolicyPrefix) || key.starts_with(kVolumePolicyPrefix);
}

std::size_t annotations_bytes(const StringMap& annotations) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : annotations) bytes += key.size() + value.size();
  return bytes;
}

std::string_view value_of(const StringMap& annotations, std::string_view key) {
  const auto found = annotations.find(key);
  return found == annotations.end() ? std::string_view() : std::string_view(found->second);
}

void set_or_erase(StringMap& annotations, std::string_view key, std::string value) {
  if (value.empty()) {
    if (const auto found = annotations.find(key); found != annotations.end()) {
      annotations.erase(found);
    }
  } else {
    annotations.insert_or_assign(std::string(key), std::move(value));
  }
}

}  // namespace tidemark::workload
