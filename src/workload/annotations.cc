#include "workload/annotations.h"

#include <algorithm>

namespace tidemark::workload {

bool is_stamp_key(std::string_view key) {
  return key.starts_with(kStampPrefix) || key.starts_with(kVolumeStampPrefix);
}

bool is_written_key(std::string_view key) {
  return std::ranges::find(kWrittenKeys, key) != kWrittenKeys.end();
}

std::size_t annotations_bytes(const StringMap& annotations) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : annotations) bytes += key.size() + value.size();
  return bytes;
}

}  // namespace tidemark::workload
