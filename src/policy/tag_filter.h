// TagFilter: which tags a policy looks at, and which part of them it compares.
//
// Purpose: `filter`, `extract` and `exclude` of a policy. Expressions are RE2's, which take time
// linear in the tag whatever they say; they match anywhere in a tag unless they are anchored.
// `extract` is a template as Go's Regexp.Expand has it: $1, $name, ${name}, $$.
// Thread-safety: immutable, shared by copies. Errors: kInvalid with RE2's own words.
// Source: Flux "ImagePolicy" (filterTags), Go regexp.Expand.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark::policy {

class TagFilter {
 public:
  // "" for what is not given.
  static Result<TagFilter> make(std::string_view filter, std::string_view extract,
                                std::string_view exclude);
  // What is compared of this tag; nullopt: it is left out.
  std::optional<std::string> apply(std::string_view tag) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace tidemark::policy
