#include "kube/watch.h"

#include <utility>

#include "kube/status.h"

namespace tidemark::kube {

bool WatchStream::push(std::string_view piece) {
  while (!piece.empty()) {
    const auto end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (line_.size() + part.size() > kMaxWatchLineBytes) {
      failure_ = Error{.kind = ErrorKind::kTooLarge, .message = "watch event is too large"};
      return false;
    }
    line_ += part;
    if (end == std::string_view::npos) return true;
    piece.remove_prefix(end + 1);
    if (!take_line()) return false;
    line_.clear();
  }
  return true;
}

bool WatchStream::take_line() {
  if (line_.find_first_not_of(" \t\r") == std::string::npos) return true;
  const auto event = reader_.read(line_);
  if (!event) {
    failure_ = event.error();
    return false;
  }
  if (event->error) {
    failure_ = describe_failure(event->object).error;
    return false;
  }
  progressed_ = true;
  if (!event->resource_version.empty()) resource_version_ = event->resource_version;
  return !event->type || sink_(*event->type, event->object);
}

}  // namespace tidemark::kube
