#include "kube/timestamp.h"

namespace tidemark::kube {

std::string to_micro_time(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time - whole).count();
  std::string text = to_rfc3339(whole);
  const std::string digits = std::to_string(1'000'000 + micros).substr(1);
  text.replace(text.size() - 1, 1, "." + digits + "Z");
  return text;
}

}  // namespace tidemark::kube
