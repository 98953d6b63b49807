#include "kube/event_line.h"

#include <simdjson.h>

namespace tidemark::kube {
namespace {

namespace ondemand = simdjson::ondemand;

simdjson::padded_string_view padded(std::string& text) {
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  return simdjson::padded_string_view(text.data(), text.size(), text.capacity());
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

struct EventReader::State {
  ondemand::parser parser;
};

EventReader::EventReader() : state_(std::make_unique<State>()) {}
EventReader::~EventReader() = default;
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;

Result<EventLine> EventReader::read(std::string& line) {
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
    return fail(ErrorKind::kInvalid, std::string("watch event: ") + error.what());
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
