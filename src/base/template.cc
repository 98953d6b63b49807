#include "base/template.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace tidemark {

Result<Template> Template::parse(std::string_view text, std::span<const std::string_view> names) {
  if (text.size() > kMaxBytes) {
    return fail(ErrorKind::kInvalid, "has more than " + std::to_string(kMaxBytes) + " bytes");
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
      if (std::ranges::find(names, name) == names.end()) {
        std::string known;
        for (const std::string_view each : names) append_part(known, ", ", each);
        return fail(ErrorKind::kInvalid,
                    "no such value: " + brief_quote(name) + " (" + known + "; {{ is a plain {)");
      }
      part.name = name;
      made.parts_.push_back(std::exchange(part, {}));
      text.remove_prefix(end + 1);
    }
  }
  made.parts_.push_back(std::move(part));
  return made;
}

std::string Template::render(const std::function<std::string(std::string_view name)>& value) const {
  std::string out;
  for (const Part& part : parts_) {
    out += part.literal;
    if (!part.name.empty()) out += value(part.name);
  }
  return out;
}

}  // namespace tidemark
