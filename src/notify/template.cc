#include "notify/template.h"

#include <algorithm>
#include <array>

namespace tidemark::notify {
namespace {

struct Name {
  std::string_view name;
  std::string (*value)(const Notification&);
};

constexpr std::array<Name, 7> kValues = {{
    {"workload", [](const Notification& n) { return n.workload; }},
    {"namespace", [](const Notification& n) { return n.ns; }},
    {"kind", [](const Notification& n) { return n.kind; }},
    {"reason", [](const Notification& n) { return n.reason; }},
    {"text", [](const Notification& n) { return n.text; }},
    {"time", [](const Notification& n) { return to_rfc3339(n.time); }},
    {"cluster", [](const Notification& n) { return n.cluster; }},
}};

}  // namespace

Result<MessageTemplate> MessageTemplate::parse(std::string_view text) {
  std::array<std::string_view, kValues.size()> names;
  std::ranges::transform(kValues, names.begin(), &Name::name);
  auto parsed = Template::parse(text, names);
  if (!parsed) return fail(parsed.error());
  return MessageTemplate(std::move(*parsed));
}

std::string MessageTemplate::render(const Notification& notification, const Escape& escape) const {
  return text_.render([&](std::string_view name) {
    return escape(std::ranges::find(kValues, name, &Name::name)->value(notification));
  });
}

}  // namespace tidemark::notify
