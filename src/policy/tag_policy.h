// TagPolicy: which tag of a repository an image follows.
//
// Purpose: the reader of a policy's text, and the choice itself. The text is lines of "key: value",
// of which the first names the order:
//
//   semver: ^1.2                 the newest version in a range (version.h)
//   calver: YYYY.0M.MICRO        the latest date (calendar_version.h)
//   numerical: asc | desc        the largest number, or the smallest
//   alphabetical: asc | desc     the last tag by its bytes, or the first
//   newest                       the tag whose image was made last, by what the image says itself
//   digest                       none: the tag stays, and is rolled where it moves
//
//   filter, extract, exclude     tag_filter.h
//   allow-downgrade: true        also to an older tag than the one that stands
//
// `newest` needs to be told when the images of its candidates were made; all other orders read
// their tags alone. Thread-safety: immutable; copies are cheap. Errors: kInvalid naming the line;
// kNotFound where no tag fits. Source: Flux "ImagePolicy" for the meaning of each order.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/calendar_version.h"
#include "policy/tag_filter.h"
#include "policy/version.h"

namespace tidemark::policy {

struct TagChoice {
  std::string tag;
  std::size_t tags = 0;     // of the repository
  std::size_t fitting = 0;  // of these, under the policy
};

// When the images were made, by tag.
using CreationTimes = std::map<std::string, WallTime, std::less<>>;

class TagPolicy {
 public:
  static Result<TagPolicy> parse(std::string_view text);

  // False for `digest`, which chooses nothing.
  bool chooses() const { return !std::holds_alternative<Digest>(order_); }
  // True for `newest`: choose() and compare() know no tag that is not among the `times`.
  bool by_creation() const { return std::holds_alternative<Newest>(order_); }
  // What `filter` and `exclude` leave, in the list's order.
  std::vector<std::string> candidates(std::span<const std::string> tags) const;
  // Of tags that compare equal the last one in the list.
  Result<TagChoice> choose(std::span<const std::string> tags,
                           const CreationTimes& times = {}) const;
  // How `a` compares with `b`, by the policy's order: greater is what it would rather choose. A
  // range counts no bound here: "2.0.0" is greater than "1.9.0" for "^1.2", too. Nullopt where one
  // of them is nothing that it can compare.
  std::optional<std::partial_ordering> compare(std::string_view a, std::string_view b,
                                               const CreationTimes& times = {}) const;
  bool allows_downgrade() const { return allow_downgrade_; }

 private:
  struct Digest {};
  struct Newest {};
  struct Numerical {
    bool descending = false;
  };
  struct Alphabetical {
    bool descending = false;
  };
  using Order = std::variant<Digest, Newest, VersionRange, CalendarFormat, Numerical, Alphabetical>;
  using Rank = std::variant<Version, CalendarVersion, double, std::string, WallTime>;

  static Result<Order> parse_order(std::string_view key, std::string_view value);
  // Nullopt: not a tag of this order. `in_range`: also not one outside of its range.
  std::optional<Rank> rank(std::string_view tag, bool in_range, const CreationTimes& times) const;
  bool descending() const;

  Order order_;
  TagFilter filter_;
  bool allow_downgrade_ = false;
};

}  // namespace tidemark::policy
