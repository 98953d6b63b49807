#include "gitops/yaml_events.h"

#include <yaml.h>

#include <algorithm>
#include <cctype>
#include <new>
#include <string>

namespace tidemark::gitops {
namespace {

std::string_view view(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

bool is_anchor_letter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

}  // namespace

std::size_t yaml_break(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at, 3);
  if (rest.starts_with('\n') || rest.starts_with('\r')) return 1;
  if (rest.starts_with("\xC2\x85")) return 2;
  return rest == "\xE2\x80\xA8" || rest == "\xE2\x80\xA9" ? 3 : 0;
}

std::size_t yaml_line_end(std::string_view text, std::size_t from) {
  while (from < text.size() && yaml_break(text, from) == 0) ++from;
  return from;
}

struct YamlEvents::Parser {
  explicit Parser(std::string_view text) {
    if (yaml_parser_initialize(&parser) == 0) throw std::bad_alloc();
    // Said and not guessed, so that UTF-16 is an error.
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Parser() {
    yaml_event_delete(&event);
    yaml_parser_delete(&parser);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  yaml_parser_t parser{};
  yaml_event_t event{};
};

YamlEvents::YamlEvents(std::string_view text)
    : text_(text), first_(text.starts_with("\xEF\xBB\xBF") ? 3 : 0), bytes_(first_) {
  parser_ = std::make_unique<Parser>(text.substr(first_));
}

YamlEvents::~YamlEvents() = default;

Result<YamlEvent> YamlEvents::next() {
  yaml_event_t& event = parser_->event;
  yaml_event_delete(&event);
  if (yaml_parser_parse(&parser_->parser, &event) == 0) return fail(error());
  YamlEvent out{.type = event.type, .line = event.start_mark.line + 1};
  switch (event.type) {
    case YAML_SCALAR_EVENT: {
      const auto& scalar = event.data.scalar;
      out.value = {reinterpret_cast<const char*>(scalar.value), scalar.length};
      out.anchor = view(scalar.anchor);
      out.tag = view(scalar.tag);
      out.style = scalar.style;
      break;
    }
    case YAML_ALIAS_EVENT:
      out.anchor = view(event.data.alias.anchor);
      break;
    case YAML_SEQUENCE_START_EVENT:
      out.anchor = view(event.data.sequence_start.anchor);
      out.tag = view(event.data.sequence_start.tag);
      out.style = event.data.sequence_start.style;
      return out;
    case YAML_MAPPING_START_EVENT:
      out.anchor = view(event.data.mapping_start.anchor);
      out.tag = view(event.data.mapping_start.tag);
      out.style = event.data.mapping_start.style;
      return out;
    case YAML_DOCUMENT_START_EVENT:
      out.implicit = event.data.document_start.implicit != 0;
      return out;
    case YAML_DOCUMENT_END_EVENT:
      out.implicit = event.data.document_end.implicit != 0;
      break;
    default:
      return out;
  }
  out.begin = byte_of(event.start_mark.index);
  out.end = byte_of(event.end_mark.index);
  if (out.type == YAML_SCALAR_EVENT) out.begin = behind_properties(out.begin, out.end);
  return out;
}

// Marks of one kind of event only go forward; whatever does not is counted from the beginning.
std::size_t YamlEvents::byte_of(std::size_t character) {
  if (character < characters_) {
    characters_ = 0;
    bytes_ = first_;
  }
  for (; bytes_ < text_.size(); ++bytes_) {
    if ((static_cast<unsigned char>(text_[bytes_]) & 0xC0) == 0x80) continue;  // not a first byte
    if (characters_ == character) break;
    ++characters_;
  }
  return bytes_;
}

// An anchor, a tag, or both; comments may stand behind them. A tag is ended by a blank or a break,
// an anchor by whatever is no letter of it: "&a:b" is the value ":b" with an anchor.
std::size_t YamlEvents::behind_properties(std::size_t begin, std::size_t end) const {
  const std::string_view text = text_.substr(0, end);
  const auto gap_at = [&](std::size_t at) {
    return text[at] == ' ' || text[at] == '\t' ? 1 : yaml_break(text, at);
  };
  while (begin < end && (text[begin] == '&' || text[begin] == '!')) {
    const bool anchor = text[begin++] == '&';
    while (begin < end && (anchor ? is_anchor_letter(text[begin]) : gap_at(begin) == 0)) ++begin;
    while (begin < end && (gap_at(begin) != 0 || text[begin] == '#')) {
      begin = text[begin] == '#' ? yaml_line_end(text, begin) : begin + gap_at(begin);
    }
  }
  return begin;
}

Error YamlEvents::error() const {
  const yaml_parser_t& parser = parser_->parser;
  std::size_t line = parser.problem_mark.line;
  if (parser.error == YAML_READER_ERROR) {  // which knows no line
    const auto read = text_.substr(0, std::min(first_ + parser.problem_offset, text_.size()));
    line = static_cast<std::size_t>(std::ranges::count(read, '\n'));
  }
  Error out{.kind = ErrorKind::kInvalid, .message = "line " + std::to_string(line + 1) + ": "};
  out.message += parser.problem == nullptr ? "out of memory" : parser.problem;
  if (parser.context != nullptr) {  // "while scanning a simple key"
    out.message.append(" (").append(parser.context).append(", from line ");
    out.message += std::to_string(parser.context_mark.line + 1) + ")";
  }
  return out;
}

}  // namespace tidemark::gitops
