// WatchStream: pieces of a watch's body -> events.
//
// Purpose: joins the pieces to lines, bounds them, keeps the resourceVersion where the watch can go
// on. Thread-safety: one stream belongs to one thread.
// Source: Kubernetes API concepts, "Efficient detection of changes" (one JSON object a line).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/api.h"
#include "kube/event_line.h"

namespace tidemark::kube {

// An object is at most 3 MiB at the API server (its request bound); escaped in JSON and with
// managedFields it stays below this.
inline constexpr std::size_t kMaxWatchLineBytes = std::size_t{8} * 1024 * 1024;

class WatchStream {
 public:
  WatchStream(std::string resource_version, const Api::EventSink& sink)
      : sink_(sink), resource_version_(std::move(resource_version)) {}

  // False where the stream must end: the sink had enough, or failure() says why.
  bool push(std::string_view piece);

  const std::optional<Error>& failure() const { return failure_; }
  const std::string& resource_version() const { return resource_version_; }
  bool progressed() const { return progressed_; }

 private:
  bool take_line();

  const Api::EventSink& sink_;
  std::string resource_version_;
  std::string line_;
  EventReader reader_;
  std::optional<Error> failure_;
  bool progressed_ = false;
};

}  // namespace tidemark::kube
