#include "registry/tags.h"

#include <simdjson.h>

#include <algorithm>

#include "base/text.h"
#include "image/reference.h"

namespace tidemark::registry {
namespace {

// "rel=next" among a link's parameters; its value may be quoted, and name several relations.
bool leads_on(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view one = trimmed(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    const std::size_t equals = one.find('=');
    if (equals == std::string_view::npos || trimmed(one.substr(0, equals)) != "rel") continue;
    std::string_view value = trimmed(one.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    while (!value.empty()) {
      if (take_word(value) == "next") return true;
    }
  }
  return false;
}

}  // namespace

Result<std::vector<std::string>> parse_tag_page(std::string_view body) {
  const simdjson::padded_string text(body);
  simdjson::ondemand::parser parser;
  std::vector<std::string> tags;
  try {
    simdjson::ondemand::document document = parser.iterate(text);
    bool found = false;
    for (auto field : document.get_object()) {
      const std::string_view key = field.unescaped_key();
      if (key != "tags") continue;
      found = true;
      simdjson::ondemand::value value = field.value();
      if (value.is_null()) continue;  // a repository whose last tag is gone
      for (auto each : value.get_array()) {
        const std::string_view tag = each.get_string();
        if (image::is_tag(tag)) tags.emplace_back(tag);
      }
    }
    if (found) return tags;
  } catch (const simdjson::simdjson_error& error) {
    return fail(ErrorKind::kInvalid, std::string("the answer is no list of tags: ") + error.what());
  }
  return fail(ErrorKind::kInvalid, "the answer is no list of tags");
}

std::optional<std::string> next_tag_page(const net::Url& asked, const net::Headers& headers) {
  for (std::string_view header : net::find_headers(headers, "Link")) {
    while (true) {
      const std::size_t open = header.find('<');
      const std::size_t close = header.find('>', std::min(open, header.size()));
      if (close == std::string_view::npos) break;
      const std::string_view location = header.substr(open + 1, close - open - 1);
      header.remove_prefix(close + 1);
      const std::size_t next_link = std::min(header.find(','), header.size());
      const std::string_view parameters = header.substr(0, next_link);
      header.remove_prefix(next_link);
      if (!leads_on(parameters)) continue;
      const auto url = asked.resolve(location);
      return url ? std::optional(url->target) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace tidemark::registry
