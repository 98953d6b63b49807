#include "sweeper/sweep_metrics.h"

#include <gtest/gtest.h>

#include "sweeper/cluster.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using std::chrono::seconds;

TEST(FirstSeen, RemembersWhatIsStillAskedFor) {
  const WallTime now = tidemark::testing::FakeClock().wall_now();
  FirstSeen seen;
  EXPECT_EQ(seen.since("a", now), now);
  EXPECT_EQ(seen.since("b", now), now);
  seen.forget_others();
  EXPECT_EQ(seen.since("a", now + seconds{5}), now);
  seen.forget_others();
  EXPECT_EQ(seen.since("b", now + seconds{9}), now + seconds{9}) << "it was gone meanwhile";
  EXPECT_EQ(seen.since("a", now - seconds{5}), now - seconds{5}) << "a clock that was set back";
}

class Recorded : public ::testing::Test {
 protected:
  bool has_line(const std::string& line) const {
    return cluster_.metrics.expose().find(line + "\n") != std::string::npos;
  }
  void sweep() { ASSERT_TRUE(cluster_.sweep()); }

  Cluster cluster_;
};

TEST_F(Recorded, TheAgeOfTheOldestSlotWithoutAnAnswer) {
  cluster_.put({});
  sweep();
  EXPECT_TRUE(has_line("tidemark_sweep_oldest_unresolved_seconds 0"));
  cluster_.clock.advance(seconds{90});
  sweep();
  EXPECT_TRUE(has_line("tidemark_sweep_oldest_unresolved_seconds 90"));
  cluster_.resolver.serve(kImage, fake_digest('a'));
  sweep();
  EXPECT_TRUE(has_line("tidemark_sweep_oldest_unresolved_seconds 0"));
}

TEST_F(Recorded, HowLongARollWaitedSinceTheMoveWasSeen) {
  Spec spec;
  spec.annotations["tidemark.dev/hold"] = "true";
  cluster_.put(spec);
  cluster_.resolver.serve(kImage, fake_digest('b'));
  sweep();
  cluster_.clock.advance(seconds{100});
  cluster_.put({});
  sweep();
  EXPECT_TRUE(has_line("tidemark_roll_delay_seconds_count 1"));
  EXPECT_TRUE(has_line("tidemark_roll_delay_seconds_sum 100")) << cluster_.metrics.expose();
}

TEST_F(Recorded, RolloutsUnderWayBesideTheirBudget) {
  Spec spec;
  spec.spec = {{"replicas", 2}};
  cluster_.put(spec);
  cluster_.resolver.serve(kImage, fake_digest('b'));
  sweep();
  EXPECT_TRUE(has_line("tidemark_rollouts_under_way 1")) << "the one that it has begun";
  EXPECT_TRUE(has_line("tidemark_rollouts_max 20"));
  sweep();
  EXPECT_TRUE(has_line("tidemark_rollouts_under_way 1")) << "no controller brings it to its end";
}

}  // namespace
}  // namespace tidemark::sweeper
