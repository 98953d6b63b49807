// Tag policies: an annotation that anybody with a workload may write. The input's first line that
// is empty ends the policy; what follows are tags.
#include "policy/tag_policy.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/target.h"

namespace tidemark::fuzz {
namespace {

constexpr std::size_t kMaxTags = 64;
// A message quotes 60 bytes twice at most, each of which may become six, and RE2's own words.
constexpr std::size_t kMaxMessageBytes = 4096;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < kMaxTags) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

void run(std::string_view input) {
  const std::size_t end = std::min(input.find("\n\n"), input.size());
  const auto policy = policy::TagPolicy::parse(input.substr(0, end));
  if (!policy) {
    require(policy.error().kind == ErrorKind::kInvalid, "a bad policy is kInvalid");
    require(policy.error().message.size() <= kMaxMessageBytes, "a message is short");
    return;
  }
  if (!policy->chooses()) return;
  const std::vector<std::string> tags = lines_of(input.substr(std::min(end + 2, input.size())));
  const auto choice = policy->choose(tags);
  if (!choice) {
    require(choice.error().kind == ErrorKind::kNotFound, "no tag fits");
    return;
  }
  require(std::ranges::find(tags, choice->tag) != tags.end(), "a choice is one of the tags");
  require(choice->fitting >= 1 && choice->fitting <= tags.size(), "what fits is among the tags");
  require(policy->compare(choice->tag, choice->tag) == std::partial_ordering::equivalent,
          "a choice compares with itself");
  // The order of the list decides between equals alone.
  std::vector<std::string> reversed(tags.rbegin(), tags.rend());
  const auto other = policy->choose(reversed);
  require(other.has_value() &&
              policy->compare(choice->tag, other->tag) == std::partial_ordering::equivalent,
          "every order of the tags leads to an equal choice");
}

}  // namespace tidemark::fuzz
