// YamlEvents: what libyaml reads of a text, event by event, with the bytes where it stands.
//
// Purpose: libyaml's marks count characters and begin a scalar at its anchor or tag; these count
// bytes and begin it at itself. Text is UTF-8, with a byte order mark or without: anything else is
// no YAML here. Thread-safety: one thread; `text` must outlive it. Errors: kInvalid with the line
// and libyaml's words. Source: libyaml 0.2.5; yaml.org/spec/1.1.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace tidemark::gitops {

struct YamlEvent {
  int type = 0;              // libyaml's yaml_event_type_t
  std::string_view value{};  // of a scalar, as it is read; these views live until the next event
  std::string_view anchor{};
  std::string_view tag{};
  int style = 0;          // of a scalar or a collection: libyaml's number
  bool implicit = false;  // of a document's start or end
  // Where it stands, in bytes; of scalars, aliases and a document's end alone.
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t line = 0;  // from 1
};

// The bytes of the character at `at` where it breaks a line, else 0. Breaks are those of YAML 1.1,
// which libyaml and go-yaml have: U+0085, U+2028 and U+2029 are among them.
std::size_t yaml_break(std::string_view text, std::size_t at);
// The first line break at or behind `from`, or the text's end.
std::size_t yaml_line_end(std::string_view text, std::size_t from);

class YamlEvents {
 public:
  explicit YamlEvents(std::string_view text);
  ~YamlEvents();
  YamlEvents(const YamlEvents&) = delete;
  YamlEvents& operator=(const YamlEvents&) = delete;

  // Not to be asked for what follows an error or YAML_STREAM_END_EVENT.
  Result<YamlEvent> next();

 private:
  struct Parser;

  std::size_t byte_of(std::size_t character);
  std::size_t behind_properties(std::size_t begin, std::size_t end) const;
  Error error() const;

  std::string_view text_;
  std::unique_ptr<Parser> parser_;
  std::size_t first_;           // byte behind the byte order mark
  std::size_t characters_ = 0;  // before bytes_
  std::size_t bytes_;
};

}  // namespace tidemark::gitops
