#include "base/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

TEST(Version, IsToldWithItsCommit) {
  EXPECT_THAT(version_line("program"), MatchesRegex("program [0-9]+\\.[0-9]+\\.[0-9]+ "
                                                    "\\(([0-9a-f]{12}(-dirty)?|unknown)\\)"));
  EXPECT_EQ(version_line("program"),
            "program " + std::string(build_version()) + " (" + std::string(build_commit()) + ")");
}

TEST(Version, IsHowAProgramIntroducesItself) {
  EXPECT_EQ(user_agent("program"), "program/" + std::string(build_version()));
}

TEST(Version, IsAMetric) {
  Metrics metrics;
  export_build_info(metrics, "webhook");
  EXPECT_THAT(
      metrics.expose(),
      HasSubstr("tidemark_build_info{commit=\"" + std::string(build_commit()) +
                "\",program=\"webhook\",version=\"" + std::string(build_version()) + "\"} 1"));
}

}  // namespace
}  // namespace tidemark
