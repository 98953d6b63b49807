#include "gitops/message_templates.h"

#include <array>

namespace tidemark::gitops {
namespace {

constexpr std::array<std::string_view, 2> kSubjectValues = {"count", "images"};
constexpr std::array<std::string_view, 6> kChangeValues = {"file", "workload", "image",
                                                           "old",  "new",      "policy"};

}  // namespace

Result<Template> MessageTemplates::subject(std::string_view text) {
  return Template::parse(text, kSubjectValues);
}

Result<Template> MessageTemplates::change(std::string_view text) {
  return Template::parse(text, kChangeValues);
}

}  // namespace tidemark::gitops
