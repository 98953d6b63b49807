// ListStream: pieces of a LIST's page -> its items, each as soon as it is whole.
//
// Purpose: a page of 500 objects may be tens of megabytes. Only the item that is arriving is kept,
// and items are worked on while the API server still writes the rest.
// Thread-safety: one stream belongs to one thread. Ownership: refers to `item`, which outlives it.
// Errors: kInvalid where the page is no List, kTooLarge, and the sink's own; items before the
// defect were handed out by then. What is wrong within an item is for its reader to find.
// Source: Kubernetes API concepts, "Retrieving large results sets in chunks".
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "kube/api.h"

namespace tidemark::kube {

// What a page has beside its items: a version, a continue token, commas.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{64} * 1024;

struct PageInfo {
  std::string resource_version;
  std::string continue_token;
  std::size_t items = 0;
};

class ListStream {
 public:
  // Called before the first item, with the continue token that the page begins with; "" where it
  // comes after the items, or never.
  using HeadSink = std::function<void(const std::string& continue_token)>;
  explicit ListStream(const Api::ItemSink& item, HeadSink head = nullptr)
      : sink_(item), head_(std::move(head)) {}

  // False where the page must be given up: finish() says why.
  bool push(std::string_view piece);
  // After the last piece.
  Result<PageInfo> finish() const;

 private:
  enum class Place {
    kFrame,  // outside the items
    kItems,  // between two of them
    kItem,   // in one
  };

  // Where the text is within a string, quotes included.
  struct Quotes {
    bool open = false;
    bool escaped = false;  // the next character of the string has no meaning of its own
    bool take(char c) {
      if (!open) return open = c == '"';
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        open = false;
      }
      return true;
    }
  };

  void take_frame(char c);
  void take_between(char c);
  std::size_t take_item(std::string_view piece);
  void hand_out();

  void hand_out_head() const;

  const Api::ItemSink& sink_;
  const HeadSink head_;
  Place place_ = Place::kFrame;
  Quotes quotes_;
  std::size_t frame_depth_ = 0;  // of brackets
  std::size_t item_depth_ = 0;
  std::string frame_;  // the page, with a 0 for each item
  std::string item_;   // what has arrived of it
  std::size_t items_ = 0;
  std::optional<Error> failure_;
};

}  // namespace tidemark::kube
