#include "policy/tag_policy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace tidemark::policy {
namespace {

using Tags = std::vector<std::string>;

std::string chosen(const std::string& policy, const Tags& tags) {
  const auto parsed = TagPolicy::parse(policy);
  if (!parsed) return "refused: " + parsed.error().message;
  const auto choice = parsed->choose(tags);
  return choice ? choice->tag : choice.error().message;
}

struct Example {
  std::string policy;
  Tags tags;
  std::string tag;
};

// ImagePolicy, v1 (fluxcd/image-reflector-controller docs/spec/v1/imagepolicies.md), example by
// example, and those of `flux create image policy`; the tags are of the images that they name.
TEST(TagPolicyTest, FluxDocumentedExamples) {
  const Tags podinfo = {"5.0.3", "5.1.0",      "5.1.4",  "5.2.0",
                        "6.0.0", "6.1.0-rc.1", "latest", "main-1a2b3c4-1694000000"};
  const std::vector<Example> examples = {
      {"semver: 5.1.x", podinfo, "5.1.4"},
      {"semver: '>=1.0.0'", podinfo, "6.0.0"},
      {"semver: ^1.x-0\nfilter: .*-rc.*",
       {"1.0.0", "1.4.0", "1.4.0-rc.1", "1.4.0-rc.2", "1.3.0-rc.9"},
       "1.4.0-rc.2"},
      {"alphabetical: asc", {"a", "c", "b"}, "c"},
      {"alphabetical: desc", {"b", "a", "c"}, "a"},
      {"alphabetical:", {"a", "c", "b"}, "c"},
      {"numerical: asc", {"1", "10", "9"}, "10"},
      {"numerical: desc", {"10", "1", "9"}, "1"},
      {"alphabetical: asc\nfilter: '^RELEASE\\.(?P<timestamp>.*)Z$'\nextract: '$timestamp'",
       {"RELEASE.2023-01-25T00-19-54Z", "RELEASE.2023-01-31T02-24-19Z",
        "RELEASE.2022-12-12T19-27-27Z", "RELEASE.2023-01-31T02-24-19Z.fips", "latest"},
       "RELEASE.2023-01-31T02-24-19Z"},
      {"numerical: asc\nfilter: '^main-[a-f0-9]+-(?P<ts>[0-9]+)'\nextract: '$ts'",
       {"main-1a2b3c4-1694000000", "main-ffffff0-1693000000", "main-0000000-1694000001",
        "dev-1a2b3c4-1795000000"},
       "main-0000000-1694000001"},
      {"semver: '>=1.0.0'\nfilter: '^v(?P<version>[0-9.]+)-debian$'\nextract: '${version}'",
       {"v1.2.0-debian", "v1.10.0-debian", "v1.11.0-alpine"},
       "v1.10.0-debian"}};
  for (const Example& each : examples) {
    EXPECT_EQ(chosen(each.policy, each.tags), each.tag) << each.policy;
  }
}

TEST(TagPolicyTest, WhatCannotBeComparedIsPassedOver) {
  EXPECT_EQ(chosen("numerical: asc", {"7", "latest", "inf", "nan", "1e3", ""}), "1e3");
  EXPECT_EQ(chosen("semver: '*'", {"latest", "1.0", "v1.0.0"}), "v1.0.0");
  EXPECT_EQ(chosen("calver: YY.0M", {"24.04", "26.10", "rolling", "26.04"}), "26.10");
  EXPECT_EQ(chosen("semver: ^2", {"1.0.0", "latest"}), "none of 2 tags fits the policy");
  EXPECT_EQ(chosen("semver: ^2", {}), "none of 0 tags fits the policy");
}

TEST(TagPolicyTest, TheLastOfEqualsIsChosen) {
  EXPECT_EQ(chosen("semver: 1.x", {"1.2.3", "v1.2.3", "1.2.3-rc.1"}), "v1.2.3");
  EXPECT_EQ(chosen("numerical: asc\nfilter: ^(\\d+)-\nextract: $1", {"3-a", "3-b", "2-c"}), "3-b");
}

TEST(TagPolicyTest, ExcludeTakesOutWhatTheFilterLetIn) {
  EXPECT_EQ(chosen("semver: 1.x\nexclude: ^1\\.4\\.", {"1.3.9", "1.4.0", "1.4.1"}), "1.3.9");
}

TEST(TagPolicyTest, CountsWhatItChoseFrom) {
  const auto choice =
      TagPolicy::parse("semver: 1.x").value().choose(Tags{"1.0.0", "1.1.0", "2.0.0", "x"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->tags, 4U);
  EXPECT_EQ(choice->fitting, 2U);
}

TEST(TagPolicyTest, TemplatesAsGoExpandsThem) {
  const auto from = [](const std::string& extract) {
    return chosen("alphabetical: asc\nfilter: ^(?P<a>\\w+)-(\\w+)$\nextract: " + extract,
                  {"x-1", "a-9"});
  };
  EXPECT_EQ(from("$2"), "a-9");
  EXPECT_EQ(from("${a}"), "x-1");
  EXPECT_EQ(from("$2$$"), "a-9");
  EXPECT_EQ(from("k${2}k"), "a-9");
  EXPECT_EQ(from("$2k"), R"(refused: extract: the filter has no group "2k" ($$ is a dollar))");
  EXPECT_EQ(from("${a"), "refused: extract: a ${ without its }");
}

// Never a downgrade: by the order alone, whatever the range.
TEST(TagPolicyTest, ComparesTagsOutsideOfTheRange) {
  const auto policy = TagPolicy::parse("semver: ^1.2").value();
  EXPECT_EQ(policy.compare("1.9.0", "2.0.0"), std::partial_ordering::less);
  EXPECT_EQ(policy.compare("1.9.0", "1.9.0"), std::partial_ordering::equivalent);
  EXPECT_EQ(policy.compare("1.9.0", "latest"), std::nullopt);
  const auto falling = TagPolicy::parse("numerical: desc").value();
  EXPECT_EQ(falling.compare("1", "2"), std::partial_ordering::greater);
  EXPECT_FALSE(policy.allows_downgrade());
  EXPECT_TRUE(TagPolicy::parse("semver: ^1.2\nallow-downgrade: true").value().allows_downgrade());
}

TEST(TagPolicyTest, NewestGoesByWhatItIsTold) {
  const auto policy = TagPolicy::parse("newest\nfilter: ^[0-9a-f]{7}$").value();
  EXPECT_TRUE(policy.by_creation());
  const Tags tags = {"latest", "3f1c9a7", "9b2e01c", "0d4fbb2"};
  EXPECT_EQ(policy.candidates(tags), (Tags{"3f1c9a7", "9b2e01c", "0d4fbb2"}));
  const auto at = [](int second) { return WallTime(std::chrono::seconds(second)); };
  const CreationTimes times = {{"3f1c9a7", at(5)}, {"9b2e01c", at(9)}, {"0d4fbb2", at(9)}};
  EXPECT_EQ(policy.choose(tags, times)->tag, "0d4fbb2") << "the last of equals";
  EXPECT_EQ(policy.choose(tags, times)->fitting, 3U);
  EXPECT_EQ(policy.compare("9b2e01c", "3f1c9a7", times), std::partial_ordering::greater);
  EXPECT_EQ(policy.compare("9b2e01c", "latest", times), std::nullopt);
  EXPECT_FALSE(policy.choose(tags)) << "without times it knows none";
  EXPECT_FALSE(TagPolicy::parse("newest: asc"));
}

TEST(TagPolicyTest, DigestChoosesNothing) {
  EXPECT_FALSE(TagPolicy::parse("digest").value().chooses());
  EXPECT_TRUE(TagPolicy::parse("semver: 1.x").value().chooses());
}

TEST(TagPolicyTest, WhatIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "an empty policy (semver, calver, numerical, alphabetical, newest, digest)"},
      {"newer: 1",
       R"(unknown policy "newer" (semver, calver, numerical, alphabetical, newest, digest))"},
      {"semver:", R"(semver: "" is not a range of versions: it is empty (* is any version))"},
      {"semver: 1.x\nsemver: 2.x",
       R"(unknown line "semver" (filter, extract, exclude, allow-downgrade))"},
      {"semver: 1.x\nfilter: a\nfilter: b", "filter: given twice"},
      {"semver: 1.x\nfilter: a(", R"(filter: "a(": missing ): a()"},
      {"semver: 1.x\nextract: $1", "extract: it takes its parts from a filter"},
      {"semver: 1.x\nallow-downgrade: maybe",
       R"(allow-downgrade: unknown value "maybe" (true, false))"},
      {"numerical: up", R"(numerical: unknown value "up" (asc, desc))"},
      {"digest: x", "digest: it takes no value"},
      {"digest\nfilter: x", "digest: it chooses no tag, so that filter says nothing"}};
  for (const auto& [text, message] : cases) {
    const auto policy = TagPolicy::parse(text);
    ASSERT_FALSE(policy) << text;
    EXPECT_EQ(policy.error().message, message) << text;
  }
  EXPECT_FALSE(TagPolicy::parse("semver: 1.x\nexclude: " + std::string(2000, 'x')));
  EXPECT_FALSE(TagPolicy::parse("semver: 1.x\nexclude: ((x{100}){100}){100}"));
  EXPECT_FALSE(TagPolicy::parse("semver: 1.x" + std::string(5000, '\n')));
}

}  // namespace
}  // namespace tidemark::policy
