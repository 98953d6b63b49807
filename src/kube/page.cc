#include "kube/page.h"

#include <simdjson.h>

namespace tidemark::kube {
namespace {

namespace ondemand = simdjson::ondemand;

simdjson::padded_string_view padded(std::string& text) {
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  return simdjson::padded_string_view(text.data(), text.size(), text.capacity());
}

std::unexpected<Error> broken(std::string_view what, const simdjson::simdjson_error& error) {
  return fail(ErrorKind::kInvalid, std::string(what) + ": " + error.what());
}

// A string field, or "" for null.
std::string text_of(ondemand::value value) {
  if (value.is_null()) return "";
  return std::string(std::string_view(value.get_string()));
}

// simdjson's span of an object lasts until the next token: blanks, and whatever else is no token.
std::string_view trimmed(std::string_view raw) {
  const auto end = raw.rfind('}');
  return end == std::string_view::npos ? std::string_view() : raw.substr(0, end + 1);
}

}  // namespace

struct PageReader::State {
  ondemand::parser parser;
};

PageReader::PageReader() : state_(std::make_unique<State>()) {}
PageReader::~PageReader() = default;
PageReader::PageReader(PageReader&&) noexcept = default;
PageReader& PageReader::operator=(PageReader&&) noexcept = default;

Result<PageInfo> PageReader::read_page(std::string& body, const Api::ItemSink& item) {
  PageInfo page;
  bool has_items = false;
  try {
    ondemand::document document = state_->parser.iterate(padded(body));
    for (ondemand::field field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key == "metadata") {
        for (ondemand::field entry : field.value().get_object()) {
          const std::string_view name = entry.unescaped_key();
          if (name == "resourceVersion") page.resource_version = text_of(entry.value());
          if (name == "continue") page.continue_token = text_of(entry.value());
        }
      } else if (key == "items") {
        has_items = true;
        if (field.value().is_null()) continue;  // an empty list of some aggregated servers
        for (ondemand::value element : field.value().get_array()) {
          ondemand::object object = element.get_object();
          const std::string_view text = trimmed(object.raw_json());
          if (text.empty()) return fail(ErrorKind::kInvalid, "list page: an item has no end");
          if (Status status = item(text); !status) return fail(std::move(status.error()));
          ++page.items;
        }
      }
    }
  } catch (const simdjson::simdjson_error& error) {
    return broken("list page", error);
  }
  if (!has_items) return fail(ErrorKind::kInvalid, "list page: no items");
  return page;
}

Result<EventLine> PageReader::read_event(std::string& line) {
  EventLine event;
  std::string type;
  try {
    ondemand::document document = state_->parser.iterate(padded(line));
    for (ondemand::field field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key == "type") {
        type = text_of(field.value());
      } else if (key == "object") {
        ondemand::object object = field.value().get_object();
        for (ondemand::field entry : object) {
          const std::string_view name = entry.unescaped_key();
          if (name != "metadata") continue;
          for (ondemand::field detail : entry.value().get_object()) {
            const std::string_view part = detail.unescaped_key();
            if (part == "resourceVersion") event.resource_version = text_of(detail.value());
          }
        }
        static_cast<void>(object.reset());
        event.object = trimmed(object.raw_json());
      }
    }
  } catch (const simdjson::simdjson_error& error) {
    return broken("watch event", error);
  }
  if (event.object.empty()) return fail(ErrorKind::kInvalid, "watch event: no object");
  if (type == "ADDED") event.type = WatchEvent::kAdded;
  if (type == "MODIFIED") event.type = WatchEvent::kModified;
  if (type == "DELETED") event.type = WatchEvent::kDeleted;
  if (type == "BOOKMARK") event.type = WatchEvent::kBookmark;
  event.error = type == "ERROR";
  return event;
}

}  // namespace tidemark::kube
