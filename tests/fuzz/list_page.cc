// Pages of a LIST and lines of a WATCH: what is handed out lies in the body, and is what a reader
// of the whole document finds there.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "kube/page.h"

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

Page read_page(kube::PageReader& reader, std::string& body) {
  Page page{.info = kube::PageInfo{}, .items = {}};
  page.info = reader.read_page(body, [&](std::string_view item) -> Status {
    require(within(item, body), "an item is a span of the body");
    require(item.starts_with('{') && item.ends_with('}'), "an item is an object");
    page.items.emplace_back(item);
    return {};
  });
  return page;
}

// The items of the last array of that name are the last that were handed out. (A key twice is not
// refused: each array is an array of items then.)
void compare(const Page& page, const std::string& body) {
  const json document = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("items")) return;
  const json& items = document["items"];
  require(items.size() <= page.items.size(), "no item is left out");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string& mine = page.items[page.items.size() - items.size() + i];
    require(json::parse(mine, nullptr, false) == items[i], "an item is handed out whole");
  }
}

}  // namespace

void run(std::string_view input) {
  kube::PageReader reader;
  std::string body(input);
  const Page page = read_page(reader, body);
  require(body == input, "a page is left as it is");
  if (page.info) {
    require(page.info->items == page.items.size(), "items are counted");
    compare(page, body);
  } else {
    require(page.info.error().kind == ErrorKind::kInvalid, "a bad page is kInvalid");
  }

  std::string line(input);
  const auto event = reader.read_event(line);
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
  const Page again = read_page(reader, once_more);
  require(again.info.has_value() == page.info.has_value() && again.items == page.items,
          "a reader that was used reads the same");
}

}  // namespace tidemark::fuzz
