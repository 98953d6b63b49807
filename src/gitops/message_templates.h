// MessageTemplates: what a commit says: a subject, an empty line, and a line for each change.
//
// Purpose: the one reader of these templates, for the configuration and for who writes commits. It
// stands alone, so that a program that only reads a configuration is not linked with libgit2.
// Thread-safety: values. Errors: kInvalid for a value that there is not.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/template.h"

namespace tidemark::gitops {

struct MessageTemplates {
  // {count}: of changes; {images}: "a:1.2 and 2 more".
  static constexpr std::string_view kSubject = "Update {images}";
  static constexpr std::string_view kChange = "{file}: {workload}: {old} -> {new} ({policy})";
  static Result<Template> subject(std::string_view text);
  static Result<Template> change(std::string_view text);
};

}  // namespace tidemark::gitops
