#include "registry/challenge.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::registry {
namespace {

std::vector<Challenge> parse(std::string value) {
  return parse_challenges({{"Content-Type", "x"}, {"www-authenticate", std::move(value)}});
}

TEST(Challenge, ReadsDockerHubs) {
  const auto challenges =
      parse(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
            R"(scope="repository:library/nginx:pull")");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameter("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].parameter("service"), "registry.docker.io");
  EXPECT_EQ(challenges[0].parameter("scope"), "repository:library/nginx:pull");
  EXPECT_EQ(challenges[0].parameter("error"), "");
}

TEST(Challenge, KeepsCommasAndEscapesInsideQuotes) {
  const auto challenges = parse(R"(Bearer scope="repository:a/b:pull,push", error="a \"b\" \\c")");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].parameter("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenges[0].parameter("error"), R"(a "b" \c)");
}

TEST(Challenge, SeparatesSeveralInOneHeaderAndInSeveral) {
  const auto challenges = parse_challenges(
      {{"WWW-Authenticate", R"(Basic realm="x", BEARER Realm=https, service = "s" , Digest)"},
       {"WWW-Authenticate", "Negotiate YWJj, Basic realm=y"}});
  ASSERT_GE(challenges.size(), 4U);
  EXPECT_EQ(challenges[0].scheme, "basic");
  EXPECT_EQ(challenges[0].parameter("realm"), "x");
  EXPECT_EQ(challenges[1].scheme, "bearer");
  EXPECT_EQ(challenges[1].parameter("realm"), "https");
  EXPECT_EQ(challenges[1].parameter("service"), "s");
  EXPECT_EQ(challenges[2].scheme, "digest");
  EXPECT_EQ(challenges[3].scheme, "negotiate");
  EXPECT_EQ(challenges.back().scheme, "basic");
  EXPECT_EQ(challenges.back().parameter("realm"), "y");
}

TEST(Challenge, SurvivesWhatIsNoChallenge) {
  for (const std::string value :
       {"", ",", ", ,", "=", "=x", "\"", "realm=\"x\"", "Bearer realm=\"open",
        "Bearer realm=", "Bearer realm=,service=s", "Bearer =x", "\x01\x02", "Bearer realm=\"x\\",
        "Negotiate a==", "Bearer \xff\xfe"}) {
    for (const Challenge& challenge : parse(value)) {
      EXPECT_EQ(challenge.parameter("realm"), "") << value;
    }
  }
  // What follows a broken parameter is still read.
  const auto challenges = parse(R"(Bearer realm=,service="s", realm="r")");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].parameter("service"), "s");
  EXPECT_EQ(challenges[0].parameter("realm"), "r");
}

TEST(Challenge, ParametersOfOneHeaderNeverJoinAnothersChallenge) {
  const auto challenges = parse_challenges(
      {{"WWW-Authenticate", "Bearer service=s"}, {"WWW-Authenticate", R"(realm="https://evil")"}});
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].parameter("realm"), "");
}

TEST(Challenge, IsBounded) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "scheme" + std::to_string(i) + " a=b,";
  EXPECT_EQ(parse(many).size(), kMaxChallenges);

  std::string parameters = "Bearer ";
  for (int i = 0; i < 1000; ++i) parameters += "p" + std::to_string(i) + "=v,";
  ASSERT_EQ(parse(parameters).size(), 1U);
  EXPECT_EQ(parse(parameters)[0].parameters.size(), kMaxChallengeParameters);

  EXPECT_EQ(parse("Bearer realm=\"" + std::string(5000, 'r') + "\"")[0].parameter("realm"), "");
}

}  // namespace
}  // namespace tidemark::registry
