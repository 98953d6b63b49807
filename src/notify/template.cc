#include "notify/template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace tidemark::notify {
namespace {

struct Name {
  std::string_view name;
  std::string (*value)(const Notification&);
};

constexpr std::array<Name, 7> kNames = {{
    {"workload", [](const Notification& n) { return n.workload; }},
    {"namespace", [](const Notification& n) { return n.ns; }},
    {"kind", [](const Notification& n) { return n.kind; }},
    {"reason", [](const Notification& n) { return n.reason; }},
    {"text", [](const Notification& n) { return n.text; }},
    {"time", [](const Notification& n) { return to_rfc3339(n.time); }},
    {"cluster", [](const Notification& n) { return n.cluster; }},
}};

std::string known_names() {
  std::string known;
  for (const Name& each : kNames) append_part(known, ", ", each.name);
  return known;
}

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) {
    return fail(ErrorKind::kInvalid,
                "has more than " + std::to_string(kMaxTemplateBytes) + " bytes");
  }
  Template made;
  Part part;
  while (!text.empty()) {
    const std::size_t brace = std::min(text.find('{'), text.size());
    part.literal += text.substr(0, brace);
    text.remove_prefix(brace);
    if (text.starts_with("{{")) {
      part.literal += '{';
      text.remove_prefix(2);
    } else if (!text.empty()) {
      const std::size_t end = text.find('}');
      if (end == std::string_view::npos) {
        return fail(ErrorKind::kInvalid, "a { without its } (write {{ for a plain {)");
      }
      const std::string_view name = text.substr(1, end - 1);
      const auto found = std::ranges::find(kNames, name, &Name::name);
      if (found == kNames.end()) {
        return fail(ErrorKind::kInvalid, "no such value: " + brief_quote(name) + " (" +
                                             known_names() + "; {{ is a plain {)");
      }
      part.value = found->value;
      made.parts_.push_back(std::exchange(part, {}));
      text.remove_prefix(end + 1);
    }
  }
  made.parts_.push_back(std::move(part));
  return made;
}

std::string Template::render(const Notification& notification, const Escape& escape) const {
  std::string out;
  for (const Part& part : parts_) {
    out += part.literal;
    if (part.value != nullptr) out += escape(part.value(notification));
  }
  return out;
}

}  // namespace tidemark::notify
