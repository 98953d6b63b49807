#include "kube/lease.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "support/fake_clock.h"
#include "support/fake_kube_api.h"

namespace tidemark::kube {
namespace {

using namespace std::chrono_literals;
using tidemark::testing::FakeClock;
using tidemark::testing::FakeKubeApi;

const std::string kPath = "/apis/coordination.k8s.io/v1/namespaces/tidemark/leases/sweeper";

class LeaseTest : public ::testing::Test {
 protected:
  static LeaseOptions options(const std::string& identity) {
    LeaseOptions result;
    result.ns = "tidemark";
    result.name = "sweeper";
    result.identity = identity;
    return result;
  }

  FakeKubeApi api;
  FakeClock clock;
  Metrics metrics;
  LeaderElection a{api, clock, options("a"), metrics, Logger::none()};
  LeaderElection b{api, clock, options("b"), metrics, Logger::none()};
};

TEST_F(LeaseTest, TheFirstCreatesAndRenewsTheOtherWaits) {
  EXPECT_TRUE(a.step({}));
  EXPECT_FALSE(b.step({}));
  auto spec = api.object(kPath)["spec"];
  EXPECT_EQ(spec["holderIdentity"], "a");
  EXPECT_EQ(spec["leaseDurationSeconds"], 15);
  EXPECT_EQ(spec["acquireTime"], "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(spec["leaseTransitions"], 0);

  for (int i = 0; i < 20; ++i) {  // 40 s: longer than the lease, but renewed
    clock.advance(2s);
    EXPECT_TRUE(a.step({}));
    EXPECT_FALSE(b.step({}));
  }
  spec = api.object(kPath)["spec"];
  EXPECT_EQ(spec["acquireTime"], "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(spec["renewTime"], "2026-01-01T00:00:40.000000Z");
  EXPECT_TRUE(a.leading());
  EXPECT_FALSE(b.leading());
}

TEST_F(LeaseTest, AnotherTakesOverAfterTheLeaseDurationByItsOwnClock) {
  ASSERT_TRUE(a.step({}));
  clock.advance(1h);  // b sees the record for the first time: it waits from now
  EXPECT_FALSE(b.step({}));
  clock.advance(14s);
  EXPECT_FALSE(b.step({}));
  clock.advance(1s);
  EXPECT_TRUE(b.step({}));
  EXPECT_FALSE(a.leading());  // its own clock says so before it hears of b
  EXPECT_FALSE(a.step({}));
  EXPECT_EQ(api.object(kPath)["spec"]["holderIdentity"], "b");
  EXPECT_EQ(api.object(kPath)["spec"]["leaseTransitions"], 1);
}

TEST_F(LeaseTest, TellsWhoHoldsItAndWhatTheHolderSaysOfItself) {
  EXPECT_EQ(read_lease(api, "tidemark", "sweeper", Deadline::after(1s)).error().kind,
            ErrorKind::kNotFound);
  LeaseOptions talkative = options("c");
  talkative.annotations = {{"tidemark.dev/status", "8080/key"}, {"other", ""}};
  LeaderElection c{api, clock, talkative, metrics, Logger::none()};
  ASSERT_TRUE(c.step({}));
  auto holder = read_lease(api, "tidemark", "sweeper", Deadline::after(1s));
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->identity, "c");
  EXPECT_EQ(holder->annotations.at("tidemark.dev/status"), "8080/key");
  EXPECT_FALSE(holder->annotations.contains("other"));
  c.release();
  EXPECT_EQ(read_lease(api, "tidemark", "sweeper", Deadline::after(1s)).error().kind,
            ErrorKind::kNotFound);

  LeaseOptions silent = options("d");
  silent.annotations = {{"tidemark.dev/status", ""}};
  LeaderElection d{api, clock, silent, metrics, Logger::none()};
  clock.advance(2s);
  ASSERT_TRUE(d.step({}));
  EXPECT_TRUE(read_lease(api, "tidemark", "sweeper", Deadline::after(1s))->annotations.empty());
}

TEST_F(LeaseTest, ReleaseLetsTheOtherInAtOnce) {
  ASSERT_TRUE(a.step({}));
  EXPECT_FALSE(b.step({}));
  a.release();
  EXPECT_FALSE(a.leading());
  EXPECT_TRUE(b.step({}));
  a.release();  // not ours any more: nothing happens
  EXPECT_EQ(api.object(kPath)["spec"]["holderIdentity"], "b");
}

TEST_F(LeaseTest, ALeaderThatCannotRenewGivesUpAtTheRenewDeadline) {
  ASSERT_TRUE(a.step({}));
  api.before([](const FakeKubeApi::Call&) {
    return Error{.kind = ErrorKind::kUnavailable, .message = "down"};
  });
  clock.advance(9s);
  EXPECT_TRUE(a.step({}));
  clock.advance(1s);
  EXPECT_FALSE(a.step({}));
  EXPECT_FALSE(a.leading());
  api.before({});
  EXPECT_TRUE(a.step({}));
}

TEST_F(LeaseTest, OnlyOneOfTwoSimultaneousWritesWins) {
  ASSERT_TRUE(a.step({}));
  EXPECT_FALSE(b.step({}));
  a.release();
  // Between b's read and its write somebody else takes the lease.
  bool done = false;
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "update" && !done) {
      done = true;
      EXPECT_TRUE(a.step({}));
    }
    return std::nullopt;
  });
  EXPECT_FALSE(b.step({}));
  EXPECT_TRUE(a.leading());
}

TEST_F(LeaseTest, ALostCreateRaceIsNotLeading) {
  bool done = false;
  api.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "create" && !done) {
      done = true;
      EXPECT_TRUE(a.step({}));
    }
    return std::nullopt;
  });
  EXPECT_FALSE(b.step({}));
  EXPECT_EQ(api.object(kPath)["spec"]["holderIdentity"], "a");
}

TEST_F(LeaseTest, LabelsOfTheObjectSurviveRenewal) {
  api.put(kPath, R"({"metadata":{"labels":{"x":"y"}},"spec":{"holderIdentity":"","odd":1}})");
  EXPECT_TRUE(a.step({}));
  EXPECT_EQ(api.object(kPath)["metadata"]["labels"]["x"], "y");
}

TEST(LeaseRun, WorksWhileItLeadsAndReleasesAtTheEnd) {
  FakeKubeApi api;
  SystemClock clock;
  Metrics metrics;
  LeaseOptions options;
  options.ns = "tidemark";
  options.name = "sweeper";
  options.identity = "a";
  options.retry_period = 1ms;
  LeaderElection election(api, clock, options, metrics, Logger::none());
  std::stop_source stop;
  std::latch started(1);
  bool lost_fired = false;
  std::jthread runner([&] {
    election.run(stop.get_token(), [&](const std::stop_token& lost) {
      started.count_down();
      std::latch over(1);
      const std::stop_callback ended(lost, [&] { over.count_down(); });
      over.wait();
      lost_fired = true;
    });
  });
  started.wait();
  EXPECT_TRUE(election.leading());
  stop.request_stop();
  runner.join();
  EXPECT_TRUE(lost_fired);
  EXPECT_FALSE(election.leading());
  EXPECT_EQ(api.object(kPath)["spec"]["holderIdentity"], "");
}

TEST(LeaseRun, StopsTheWorkWhenTheLeaseIsTakenAndComesBack) {
  FakeKubeApi api;
  SystemClock clock;
  Metrics metrics;
  LeaseOptions options;
  options.ns = "tidemark";
  options.name = "sweeper";
  options.identity = "a";
  options.retry_period = 1ms;
  LeaderElection election(api, clock, options, metrics, Logger::none());
  int terms = 0;
  std::stop_source stop;
  election.run(stop.get_token(), [&](const std::stop_token& lost) {
    std::latch over(1);
    const std::stop_callback ended(lost, [&] { over.count_down(); });
    if (++terms == 1) {
      // Somebody takes it by force, for a lease of no length.
      api.put(kPath, R"({"spec":{"holderIdentity":"thief","leaseDurationSeconds":1}})");
      over.wait();
    }
    // The second term's work returns by itself, and with it run().
  });
  EXPECT_EQ(terms, 2);
  EXPECT_EQ(api.object(kPath)["spec"]["holderIdentity"], "");
}

}  // namespace
}  // namespace tidemark::kube
