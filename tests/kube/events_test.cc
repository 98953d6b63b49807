#include "kube/events.h"

#include <gtest/gtest.h>

#include <latch>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "support/fake_clock.h"
#include "support/fake_kube_api.h"

namespace tidemark::kube {
namespace {

using namespace std::chrono_literals;
using tidemark::testing::FakeClock;
using tidemark::testing::FakeKubeApi;

EventNote note(const std::string& text = "app moved", const std::string& decision = "") {
  EventNote result{.regarding = {.api_version = "apps/v1",
                                 .kind = "Deployment",
                                 .ns = "team",
                                 .name = "web",
                                 .uid = "u1"},
                   .reason = "Rolled",
                   .action = "Roll",
                   .note = text};
  result.decision = decision;
  return result;
}

class EventsTest : public ::testing::Test {
 protected:
  void flush() { ASSERT_TRUE(recorder.flush(Deadline::after(10s))); }
  nlohmann::json written(std::size_t index) {
    return nlohmann::json::parse(api.calls("create").at(index).body);
  }

  FakeKubeApi api;
  FakeClock clock;
  Metrics metrics;
  EventRecorder recorder{api, clock,
                         [] {
                           EventOptions options;
                           options.controller = "tidemark.dev/sweeper";
                           options.instance = "sweeper-0";
                           options.max_series = 2;
                           return options;
                         }(),
                         metrics, Logger::none()};
};

TEST_F(EventsTest, WritesWhatTheApiRequires) {
  EXPECT_TRUE(recorder.record(note()));
  flush();
  const auto calls = api.calls("create");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].path, "/apis/events.k8s.io/v1/namespaces/team/events");
  const auto event = written(0);
  EXPECT_EQ(event["metadata"]["name"], "web.18867251edfa0000");
  EXPECT_EQ(event["eventTime"], "2026-01-01T00:00:00.000000Z");
  EXPECT_EQ(event["reportingController"], "tidemark.dev/sweeper");
  EXPECT_EQ(event["reportingInstance"], "sweeper-0");
  EXPECT_EQ(event["type"], "Normal");
  EXPECT_EQ(event["reason"], "Rolled");
  EXPECT_EQ(event["action"], "Roll");
  EXPECT_EQ(event["note"], "app moved");
  EXPECT_EQ(event["regarding"]["uid"], "u1");
  EXPECT_FALSE(event.contains("series"));
}

TEST_F(EventsTest, CutsToTheBoundsOfTheApi) {
  EventNote big = note(std::string(1023, 'x') + "\xC3\xA4\xC3\xA4");
  big.regarding.name = std::string(253, 'n');
  big.regarding.ns = "";
  big.warning = true;
  recorder.record(big);
  flush();
  const auto event = written(0);
  EXPECT_EQ(event["note"], std::string(1023, 'x'));
  EXPECT_EQ(event["metadata"]["name"].get<std::string>().size(), 253U);
  EXPECT_EQ(event["metadata"]["namespace"], "default");
  EXPECT_EQ(event["type"], "Warning");
}

TEST_F(EventsTest, RepetitionsBecomeASeriesWrittenAtMostOnceAMinute) {
  for (int i = 0; i < 5; ++i) recorder.record(note());
  flush();
  EXPECT_EQ(api.calls("create").size(), 1U);
  ASSERT_EQ(api.calls("patch").size(), 1U);
  EXPECT_EQ(nlohmann::json::parse(api.calls("patch")[0].body)["series"]["count"], 2);
  clock.advance(1min);
  recorder.record(note());
  flush();
  ASSERT_EQ(api.calls("patch").size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(api.calls("patch")[1].body)["series"]["count"], 6);
  clock.advance(6min);
  recorder.record(note());
  flush();
  EXPECT_EQ(api.calls("create").size(), 2U);
}

TEST_F(EventsTest, ADecisionIsToldOnce) {
  recorder.record(note("m", "u1/7"));
  recorder.record(note("m", "u1/7"));
  flush();
  EXPECT_EQ(api.calls("create").size(), 1U);
  EXPECT_TRUE(api.calls("patch").empty());
  recorder.record(note("m", "u1/8"));
  flush();
  EXPECT_EQ(api.calls("patch").size(), 1U);
}

// Another replica, or another cause: the API server knows the decision's name.
TEST_F(EventsTest, ADecisionIsToldOnceByAllRecordersAndWithWhateverCause) {
  recorder.record(note("refused", "u1/7"));
  flush();
  EventRecorder other(api, clock, {}, metrics, Logger::none());
  other.record(note("timed out", "u1/7"));
  EXPECT_TRUE(other.flush(Deadline::after(10s)));
  ASSERT_EQ(api.calls("create").size(), 2U);
  EXPECT_EQ(written(0)["metadata"]["name"], written(1)["metadata"]["name"]);
  const auto stored = api.object(api.calls("create")[0].path + "/" +
                                 written(0)["metadata"]["name"].get<std::string>());
  EXPECT_EQ(stored["note"], "refused");
  EXPECT_TRUE(api.calls("patch").empty());
}

TEST_F(EventsTest, DecisionsHaveNamesOfTheirOwn) {
  EventNote other = note("m", "u1/7");
  other.reason = "Failed";
  for (const EventNote& told : {note("m", "u1/7"), note("n", "u1/8"), other}) recorder.record(told);
  flush();
  std::set<std::string> names;
  for (std::size_t i = 0; i < 3; ++i) names.insert(written(i)["metadata"]["name"]);
  EXPECT_EQ(names.size(), 3U);
}

TEST_F(EventsTest, AnExpiredEventIsCreatedAgain) {
  recorder.record(note());
  flush();
  api.erase(api.calls("create")[0].path + "/web.18867251edfa0000");
  clock.advance(1s);
  recorder.record(note());
  flush();
  EXPECT_EQ(api.calls("create").size(), 2U);
}

TEST_F(EventsTest, TheCacheIsBoundedAndTheOldestGoes) {
  recorder.record(note("1"));
  flush();
  clock.advance(1s);
  recorder.record(note("2"));
  flush();
  clock.advance(1s);
  recorder.record(note("3"));  // pushes "1" out
  flush();
  clock.advance(1s);
  recorder.record(note("2"));
  recorder.record(note("1"));
  flush();
  EXPECT_EQ(api.calls("create").size(), 4U);
  EXPECT_EQ(api.calls("patch").size(), 1U);
}

TEST_F(EventsTest, AFailureIsCountedAndNothingElse) {
  api.before([](const FakeKubeApi::Call&) {
    return Error{.kind = ErrorKind::kForbidden, .message = "no"};
  });
  recorder.record(note());
  flush();
  api.before({});
  clock.advance(1s);
  recorder.record(note());  // the same again: created now
  flush();
  EXPECT_EQ(api.calls("create").size(), 2U);
  EXPECT_TRUE(api.calls("patch").empty());
}

TEST(EventsQueue, IsBoundedAndNeverBlocks) {
  FakeKubeApi api;
  FakeClock clock;
  Metrics metrics;
  std::latch blocked(1);
  std::latch go(1);
  std::atomic<int> calls{0};
  api.before([&](const FakeKubeApi::Call&) -> std::optional<Error> {
    if (calls++ == 0) {
      blocked.count_down();
      go.wait();
    }
    return std::nullopt;
  });
  EventOptions options;
  options.max_queued = 2;
  EventRecorder recorder(api, clock, options, metrics, Logger::none());
  EXPECT_TRUE(recorder.record(note("0")));
  blocked.wait();
  EXPECT_TRUE(recorder.record(note("1")));
  EXPECT_TRUE(recorder.record(note("2")));
  EXPECT_FALSE(recorder.record(note("3")));
  EXPECT_FALSE(recorder.flush(Deadline::after(0ms)));
  go.count_down();
  EXPECT_TRUE(recorder.flush(Deadline::after(10s)));
  EXPECT_EQ(api.calls("create").size(), 3U);
}

}  // namespace
}  // namespace tidemark::kube
