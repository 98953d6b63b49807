// ./dev bench policy: what it costs to choose from 10,000 tags of one repository, by each order.
// Prints milliseconds (the median of 21 runs) beside sorting the same tags by their bytes, which is
// what any list of tags costs that is shown to people. Exit code 1: over the goal of 50 ms.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "policy/tag_policy.h"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t kTags = 10'000;
constexpr int kRuns = 21;
constexpr double kGoal = 50;

// A repository of releases, candidates, builds, dates and names, as they grow over the years.
std::vector<std::string> tags_of_a_repository() {
  std::mt19937_64 random(1);
  const auto pick = [&](unsigned below) { return std::to_string(random() % below); };
  std::vector<std::string> tags;
  while (tags.size() < kTags) {
    const std::string version = pick(20) + "." + pick(50) + "." + pick(30);
    tags.push_back(version);
    tags.push_back("v" + version + "-rc." + pick(9));
    tags.push_back("main-" + pick(4'000'000'000U) + "-" +
                   std::to_string(1'600'000'000 + random() % 200'000'000));
    tags.push_back("20" + std::to_string(20 + random() % 7) + ".0" +
                   std::to_string(1 + random() % 9) + "." + pick(99));
    tags.push_back(version + "-alpine");
  }
  return tags;
}

template <typename Work>
double median_of(Work work) {
  std::vector<double> took;
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = Clock::now();
    work();
    took.push_back(Milliseconds(Clock::now() - begin).count());
  }
  std::ranges::sort(took);
  return took[took.size() / 2];
}

}  // namespace

int main() {
  const std::vector<std::string> tags = tags_of_a_repository();
  const double sorting = median_of([&] {
    auto copy = tags;
    std::ranges::sort(copy);
  });
  std::printf("%-44s %8s %8s\n", "10,000 tags", "ms", "x sort");
  std::printf("%-44s %8.2f %8.1f\n", "sorted by their bytes", sorting, 1.0);
  bool met = true;
  for (const char* text :
       {"semver: ^1.2", "semver: '>=1.2 <2 || 3.* || 4.0 - 4.5'", "semver: ^1.x-0\nfilter: rc",
        "semver: '*'\nfilter: ^(?P<v>[0-9.]+)-alpine$\nextract: $v", "calver: YYYY.0M.MICRO",
        "numerical: asc\nfilter: ^main-[a-f0-9]+-(?P<ts>[0-9]+)$\nextract: $ts",
        "alphabetical: desc\nexclude: (rc|alpine)"}) {
    const auto policy = tidemark::policy::TagPolicy::parse(text);
    if (!policy) {
      std::fprintf(stderr, "%s\n", policy.error().message.c_str());
      return 2;
    }
    std::string chosen;
    const double took = median_of([&] { chosen = policy->choose(tags).value().tag; });
    std::string shown(text);
    std::ranges::replace(shown, '\n', ' ');
    std::printf("%-44.44s %8.2f %8.1f  -> %s\n", shown.c_str(), took, took / sorting,
                chosen.c_str());
    met = met && took < kGoal;
  }
  std::printf("%s: each policy under %.0f ms\n", met ? "met" : "MISSED", kGoal);
  return met ? 0 : 1;
}
