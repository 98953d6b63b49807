// Template: a text of an operator's with values in it.
//
//   "{workload} in {namespace}: {text}"
//
// Purpose: names in braces stand for values that the caller knows; "{{" stands for a brace,
// everything else for itself. Thread-safety: values. Errors: kInvalid for an unknown name, a brace
// that is not closed, and more than kMaxBytes.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidemark {

class Template {
 public:
  static constexpr std::size_t kMaxBytes = 1000;

  // `names`: of the values that there are.
  static Result<Template> parse(std::string_view text, std::span<const std::string_view> names);

  // `value`: of a name.
  std::string render(const std::function<std::string(std::string_view name)>& value) const;

 private:
  struct Part {
    std::string literal;
    std::string name{};  // whose value comes after the literal; "" for none
  };
  std::vector<Part> parts_;
};

}  // namespace tidemark
