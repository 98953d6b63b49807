// Pages of a LIST and lines of a WATCH: what is handed out is what a reader of the whole document
// finds there, however it arrives.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "kube/event_line.h"
#include "kube/list_stream.h"

namespace tidemark::fuzz {
namespace {

using nlohmann::json;

bool within(std::string_view part, std::string_view whole) {
  const std::less_equal<> before;
  return before(whole.data(), part.data()) &&
         before(part.data() + part.size(), whole.data() + whole.size());
}

struct Page {
  Result<kube::PageInfo> info;
  std::vector<std::string> items;
};

// `size`: of the pieces that it arrives in.
Page read_page(std::string_view body, std::size_t size) {
  Page page{.info = kube::PageInfo{}, .items = {}};
  const kube::Api::ItemSink sink = [&](std::string_view item) -> Status {
    require(item.starts_with('{') && item.ends_with('}'), "an item is an object");
    page.items.emplace_back(item);
    return {};
  };
  kube::ListStream stream(sink);
  for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
    if (!stream.push(body.substr(0, size))) break;
  }
  page.info = stream.finish();
  return page;
}

void compare(const Page& page, const std::string& body) {
  const json document = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return;  // a page whose items are broken: theirs to find
  require(document.contains("items"), "a list has items");
  const json& items = document["items"];
  require(items.size() == page.items.size(), "no item is left out");
  for (std::size_t i = 0; i < items.size(); ++i) {
    require(json::parse(page.items[i], nullptr, false) == items[i], "an item is handed out whole");
  }
}

}  // namespace

void run(std::string_view input) {
  const Page page = read_page(input, input.size() + 1);
  if (page.info) {
    require(page.info->items == page.items.size(), "items are counted");
    compare(page, std::string(input));
  }
  const Page in_pieces = read_page(input, 3);
  require(in_pieces.info.has_value() == page.info.has_value() && in_pieces.items == page.items,
          "pieces make the same page");

  kube::EventReader reader;
  std::string line(input);
  const auto event = reader.read(line);
  require(line == input, "a line is left as it is");
  if (event) {
    require(within(event->object, line), "an object is a span of its line");
    require(event->object.starts_with('{') && event->object.ends_with('}'),
            "what an event is about is an object");
    require(!event->error || !event->type, "an error is no event");
  } else {
    require(event.error().kind == ErrorKind::kInvalid, "a bad line is kInvalid");
  }
  std::string once_more(input);
  const auto again = reader.read(once_more);
  require(again.has_value() == event.has_value(), "a reader that was used reads the same");
}

}  // namespace tidemark::fuzz
