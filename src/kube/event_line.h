// A line of a WATCH, taken apart without a document of its object.
//
// Thread-safety: one EventReader belongs to one thread (it reuses a parser's memory).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/api.h"

namespace tidemark::kube {

struct EventLine {
  // nullopt for ERROR (`object` is a Status then) and for types that are not known.
  std::optional<WatchEvent> type;
  bool error = false;
  std::string_view object;  // a span of the line
  std::string resource_version;
};

class EventReader {
 public:
  EventReader();
  ~EventReader();
  EventReader(EventReader&&) noexcept;
  EventReader& operator=(EventReader&&) noexcept;

  // {"type": "ADDED", "object": {...}}. `line` gets the spare capacity that the parser needs and is
  // otherwise left alone. kInvalid where it is no event.
  Result<EventLine> read(std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::kube
