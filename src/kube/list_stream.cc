#include "kube/list_stream.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "kube/watch.h"

namespace tidemark::kube {
namespace {

using nlohmann::json;

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view without_blanks_at_end(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// True where the next value of the outermost object is that of its key "items".
bool at_items(std::string_view frame) {
  constexpr std::string_view kKey = "\"items\"";
  frame = without_blanks_at_end(frame);
  if (!frame.ends_with(':')) return false;
  frame = without_blanks_at_end(frame.substr(0, frame.size() - 1));
  if (!frame.ends_with(kKey)) return false;
  frame.remove_suffix(kKey.size());
  return !frame.ends_with('\\');  // a longer key with a quote in it
}

Error invalid(std::string_view what) {
  return {.kind = ErrorKind::kInvalid, .message = "list page: " + std::string(what)};
}

// A string, or "" for null and for nothing.
Result<std::string> text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  if (!found->is_string()) return fail(invalid(std::string(key) + " is no string"));
  return found->get<std::string>();
}

}  // namespace

bool ListStream::push(std::string_view piece) {
  while (!piece.empty() && !failure_) {
    if (place_ == Place::kItem) {
      piece.remove_prefix(take_item(piece));
      continue;
    }
    if (place_ == Place::kItems) {
      take_between(piece.front());
    } else {
      take_frame(piece.front());
    }
    piece.remove_prefix(1);
  }
  return !failure_;
}

void ListStream::take_frame(char c) {
  if (frame_.size() == kMaxFrameBytes) {
    failure_ = Error{.kind = ErrorKind::kTooLarge, .message = "list page: too much beside items"};
    return;
  }
  if (!quotes_.take(c)) {
    if (c == '[' && frame_depth_ == 1 && at_items(frame_)) place_ = Place::kItems;
    if (c == '[' || c == '{') ++frame_depth_;
    if ((c == ']' || c == '}') && frame_depth_ > 0) --frame_depth_;
  }
  frame_.push_back(c);
}

void ListStream::take_between(char c) {
  if (kBlanks.find(c) != std::string_view::npos) return;
  if (c == '{') {
    if (items_ == 0 && head_) hand_out_head();
    place_ = Place::kItem;
    item_.assign(1, c);
    item_depth_ = 1;
  } else if (c == ',') {
    frame_.push_back(c);
    if (frame_.size() > kMaxFrameBytes) failure_ = invalid("too many commas");
  } else if (c == ']') {
    place_ = Place::kFrame;
    take_frame(c);
  } else {
    failure_ = invalid("an item is no object");
  }
}

// How much of `piece` was taken: up to the item's end at most.
std::size_t ListStream::take_item(std::string_view piece) {
  std::size_t taken = 0;
  // Copies, which stay in registers: nearly all of a page goes through here.
  Quotes quotes = quotes_;
  std::size_t depth = item_depth_;
  while (taken < piece.size() && depth > 0) {
    const char c = piece[taken++];
    if (quotes.take(c)) continue;
    if (c == '{') ++depth;
    if (c == '}') --depth;
  }
  quotes_ = quotes;
  item_depth_ = depth;
  if (item_.size() + taken > kMaxWatchLineBytes) {
    failure_ = Error{.kind = ErrorKind::kTooLarge, .message = "list page: an item is too large"};
    return taken;
  }
  item_ += piece.substr(0, taken);
  if (item_depth_ == 0) hand_out();
  return taken;
}

void ListStream::hand_out_head() const {
  const json page = json::parse(frame_ + "]}", nullptr, /*allow_exceptions=*/false);
  const auto metadata = page.find("metadata");
  if (!page.is_object() || metadata == page.end() || !metadata->is_object()) return head_("");
  head_(text_of(*metadata, "continue").value_or(""));
}

void ListStream::hand_out() {
  if (Status status = sink_(item_); !status) {
    failure_ = std::move(status.error());
    return;
  }
  ++items_;
  frame_.push_back('0');
  place_ = Place::kItems;
}

Result<PageInfo> ListStream::finish() const {
  if (failure_) return fail(*failure_);
  if (place_ != Place::kFrame) return fail(invalid("it ends within the items"));
  std::size_t lists = 0;
  const auto count_lists = [&lists](int depth, json::parse_event_t event, const json& key) {
    if (event == json::parse_event_t::key && depth == 1 && key == "items") ++lists;
    return true;
  };
  const json page = json::parse(frame_, count_lists, /*allow_exceptions=*/false);
  if (!page.is_object()) return fail(invalid("no JSON object"));
  if (lists != 1) return fail(invalid(lists == 0 ? "no items" : "items are given twice"));
  const json& items = page["items"];
  // null: an empty list of some aggregated servers.
  if ((!items.is_array() && !items.is_null()) || items.size() != items_) {
    return fail(invalid("items are no list"));
  }
  PageInfo info{.resource_version = {}, .continue_token = {}, .items = items_};
  const auto metadata = page.find("metadata");
  if (metadata == page.end() || metadata->is_null()) return info;
  if (!metadata->is_object()) return fail(invalid("metadata is no object"));
  auto version = text_of(*metadata, "resourceVersion");
  if (!version) return fail(std::move(version.error()));
  auto token = text_of(*metadata, "continue");
  if (!token) return fail(std::move(token.error()));
  info.resource_version = *std::move(version);
  info.continue_token = *std::move(token);
  return info;
}

}  // namespace tidemark::kube
