// A page of a LIST taken apart without a document of the whole page, and a line of a WATCH.
//
// Purpose: a page of 500 objects may be tens of megabytes; its items are handed out as spans of the
// body that was read, so memory stays at the page's size (design 7.2).
// Thread-safety: one PageReader belongs to one thread (it reuses a parser's memory).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/api.h"

namespace tidemark::kube {

struct PageInfo {
  std::string resource_version;
  std::string continue_token;
  std::size_t items = 0;
};

struct EventLine {
  // nullopt for ERROR (`object` is a Status then) and for types that are not known.
  std::optional<WatchEvent> type;
  bool error = false;
  std::string_view object;  // a span of the line
  std::string resource_version;
};

class PageReader {
 public:
  PageReader();
  ~PageReader();
  PageReader(PageReader&&) noexcept;
  PageReader& operator=(PageReader&&) noexcept;

  // `body` gets the spare capacity that the parser needs and is otherwise left alone; the spans
  // given to `item` end with the call. kInvalid where the body is no List; items before the defect
  // were handed out by then.
  Result<PageInfo> read_page(std::string& body, const Api::ItemSink& item);

  // {"type": "ADDED", "object": {...}}
  Result<EventLine> read_event(std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::kube
