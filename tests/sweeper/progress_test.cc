#include "sweeper/progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "sweeper/cluster.h"
#include "sweeper/commands.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using std::chrono::milliseconds;
using std::chrono::seconds;
using tidemark::testing::FakeClock;

TEST(ProgressLine, IsNeverWiderThanItsTerminal) {
  EXPECT_EQ(progress_line(5, 20, seconds{3}, {}),
            "[##########..............................] 5/20 references, 3s");
  EXPECT_EQ(progress_line(5, 20, seconds{3}, {.width = 40}),
            "[####.............] 5/20 references, 3s");
  EXPECT_EQ(progress_line(5, 20, seconds{3}, {.width = 30}), "5/20 references, 3s");
  EXPECT_EQ(progress_line(5, 20, seconds{3}, {.width = 10}), "5/20 refe");
  EXPECT_EQ(progress_line(20, 20, seconds{3}, {.colours = true, .width = 36}),
            "[\x1b[32m############\x1b[0m] 20/20 references, 3s");
  for (std::size_t width = 1; width < 100; ++width) {
    EXPECT_LT(progress_line(1999, 2000, seconds{99}, {.width = width}).size(), width);
  }
}

TEST(Progress, DrawsOnlyWhatTakesTimeAndErasesIt) {
  FakeClock clock;
  std::ostringstream out;
  {
    Progress progress(out, {}, clock);
    progress.update(1, 4);
    EXPECT_EQ(out.str(), "");
    clock.advance(milliseconds{500});
    progress.update(2, 4);
    EXPECT_EQ(out.str(), "\r\x1b[K[####################....................] 2/4 references, 0s");
    out.str("");
    progress.update(3, 4);
    EXPECT_EQ(out.str(), "") << "too soon to be seen";
    clock.advance(milliseconds{1'500});
    progress.update(1, 4);
    EXPECT_NE(out.str().find("3/4 references, 2s"), std::string::npos) << "never backwards";
    out.str("");
    progress.update(4, 4);
    EXPECT_EQ(out.str(), "\r\x1b[K");
    out.str("");
  }
  EXPECT_EQ(out.str(), "");
}

TEST(Progress, ShowsThatTimePassesBeforeAndBetweenAnswers) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress(out, {}, clock);
  clock.advance(seconds{2});
  progress.tick();
  EXPECT_EQ(out.str(), "\r\x1b[Kreading workloads, 2s");
  progress.update(1, 2);
  clock.advance(seconds{2});
  progress.tick();
  EXPECT_TRUE(out.str().ends_with("1/2 references, 4s")) << out.str();
  progress.update(2, 2);
  const std::string all = out.str();
  clock.advance(seconds{2});
  progress.tick();
  EXPECT_EQ(out.str(), all) << "it is over";
}

TEST(Progress, IsErasedWhereTheSweepEndsEarly) {
  FakeClock clock;
  std::ostringstream out;
  {
    Progress progress(out, {}, clock);
    clock.advance(seconds{1});
    progress.update(1, 2);
  }
  EXPECT_TRUE(out.str().ends_with("1s\r\x1b[K")) << out.str();
}

class OnceWithABar : public ::testing::Test {
 protected:
  OnceWithABar() {
    for (int i = 0; i < 3; ++i) {
      const std::string image = "registry.test/app" + std::to_string(i) + ":1";
      const Spec spec{.name = "app" + std::to_string(i),
                      .containers = {{.image = image, .stamp = stamp_text(image, 'a')}}};
      cluster_.put(spec);
      cluster_.resolver.answer(image,
                               [&](const registry::Query&, Deadline, const std::stop_token&) {
                                 cluster_.clock.advance(seconds{1});
                                 return Result<registry::Resolution>({.digest = fake_digest('a')});
                               });
    }
    options_.config.sweeper.check_concurrency = 1;
  }
  std::string err() {
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(once(cluster_.context(), options_, {out, err}), kExitOk);
    EXPECT_EQ(out.str().find('\r'), std::string::npos);
    return err.str();
  }

  Cluster cluster_;
  Options options_;
};

TEST_F(OnceWithABar, CountsTheReferences) {
  options_.progress = Terminal{};
  const std::string drawn = err();
  EXPECT_NE(drawn.find("1/3 references, 1s"), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("2/3 references, 2s"), std::string::npos) << drawn;
  EXPECT_TRUE(drawn.ends_with("\r\x1b[K")) << drawn;
}

TEST_F(OnceWithABar, IsNotDrawnWithoutATerminal) { EXPECT_EQ(err(), ""); }

}  // namespace
}  // namespace tidemark::sweeper
