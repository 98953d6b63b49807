#include "sweeper/git_plan.h"

#include <algorithm>
#include <numeric>

namespace tidemark::sweeper {

GitPlan plan_of(const std::vector<config::NamedPolicy>& policies, const config::GitConfig& git) {
  GitPlan out;
  for (const config::NamedPolicy& policy : policies) out.policies.push_back({.named = policy});
  std::vector<std::size_t> all(policies.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (const config::GitRepository& repository : git.repositories) {
    out.targets.push_back({.repository = repository, .policies = all});
  }
  return out;
}

bool GitReport::failed() const {
  return std::ranges::any_of(policies, [](const auto& each) { return !each.choice; }) ||
         std::ranges::any_of(repositories, [](const auto& each) {
           return !each.outcome || !each.outcome->troubles.empty();
         });
}

bool GitReport::changed() const {
  return std::ranges::any_of(repositories, [](const auto& each) {
    return each.outcome && !each.outcome->changes.empty();
  });
}

}  // namespace tidemark::sweeper
