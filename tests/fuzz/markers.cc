// Files of a Git repository, which anybody who can push to it writes. What comes out is the same
// document but for the values that are told as changed, and it has nothing left to change.
#include "gitops/markers.h"

#include <yaml.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/target.h"

namespace tidemark::fuzz {
namespace {

// Each scalar's value, and for every other event its kind. Empty for what is no YAML.
std::vector<std::string> outline(std::string_view text) {
  std::vector<std::string> out;
  yaml_parser_t parser;
  require(yaml_parser_initialize(&parser) != 0, "there is memory");
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()),
                               text.size());
  for (bool more = true; more;) {
    yaml_event_t event;
    if (yaml_parser_parse(&parser, &event) == 0) {
      out.clear();
      break;
    }
    more = event.type != YAML_STREAM_END_EVENT;
    out.emplace_back(1, static_cast<char>('A' + event.type));
    if (event.type == YAML_SCALAR_EVENT) {
      out.back().append(reinterpret_cast<const char*>(event.data.scalar.value),
                        event.data.scalar.length);
    }
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return out;
}

const gitops::PolicyImages& images() {
  static const gitops::PolicyImages kImages = {
      {"a:b", {.name = "ghcr.io/x/app", .tag = "1.10"}},
      {"a:c", {.name = "y", .tag = "v2", .digest = "sha256:00"}},
      {"a:bad", {.name = "no image", .tag = "\n"}}};
  return kImages;
}

}  // namespace

void run(std::string_view input) {
  const auto result = gitops::rewrite_markers(input, images());
  const auto without = gitops::rewrite_markers(input, {});
  require(result.has_value() == without.has_value(), "images do not decide what can be read");
  if (!result) {
    require(
        result.error().kind == ErrorKind::kInvalid || result.error().kind == ErrorKind::kTooLarge,
        "a bad file is kInvalid or kTooLarge");
    require(!result.error().message.empty(), "an error says why");
    return;
  }
  require(without->text == input && without->changes.empty(), "without images nothing changes");
  require(result->changes.empty() == (result->text == input), "a change is a change of the text");
  const std::vector<std::string> before = outline(input);
  const std::vector<std::string> after = outline(result->text);
  require(before.size() == after.size() && !after.empty(), "the documents have the same shape");
  auto change = result->changes.begin();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    require(change != result->changes.end(), "what differs is told");
    require(before[i].substr(1) == change->before && after[i].substr(1) == change->after,
            "what is told is what differs");
    require(before[i].front() == after[i].front(), "a scalar stays one");
    ++change;
  }
  require(change == result->changes.end(), "what is told differs");
  const auto lines = static_cast<std::size_t>(std::ranges::count(input, '\n')) + 1;
  for (const auto& each : result->changes) {
    require(each.line >= 1 && each.line <= lines, "a change is on a line of the file");
  }
  const auto again = gitops::rewrite_markers(result->text, images());
  require(again.has_value() && again->text == result->text, "once more changes nothing");
  require(again->troubles.size() == result->troubles.size() &&
              again->unknown.size() == result->unknown.size(),
          "and tells the same");
}

}  // namespace tidemark::fuzz
