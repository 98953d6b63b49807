#include "sweeper/hold.h"

#include <gtest/gtest.h>

#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using workload::StringMap;

const WallTime kNow{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z
const WallTime kLater = kNow + std::chrono::hours(2);

workload::Object web(const json& annotations = json::object()) {
  return parsed({.containers = {{}, {.name = "sidecar"}}, .annotations = annotations});
}

StringMap held(const workload::Object& object, const HoldRequest& request) {
  const auto wanted = hold_annotations(object, request, kNow);
  EXPECT_TRUE(wanted) << wanted.error().message;
  return wanted.value_or(StringMap());
}

StringMap resumed(const workload::Object& object, const std::set<std::string>& slots = {}) {
  const auto wanted = resume_annotations(object, slots, kNow);
  EXPECT_TRUE(wanted) << wanted.error().message;
  return wanted.value_or(StringMap());
}

TEST(Hold, WritesTheUsersOwnKeys) {
  EXPECT_EQ(held(web(), {}), (StringMap{{"tidemark.dev/hold", "true"}}));
  EXPECT_EQ(held(web({{"team", "a"}}),
                 {.slots = {"app"}, .digest = {}, .reason = "freeze", .until = kLater}),
            (StringMap{{"team", "a"},
                       {"tidemark.dev/hold", "app"},
                       {"tidemark.dev/hold-reason", "freeze"},
                       {"tidemark.dev/hold-until", "2026-01-01T02:00:00Z"}}));
}

TEST(Hold, AddsToTheSlotsOfAStandingOrderAndReplacesTheRest) {
  const HoldRequest sidecar{.slots = {"sidecar"}, .digest = {}, .reason = "b", .until = {}};
  EXPECT_EQ(held(web({{"tidemark.dev/hold", "app"},
                      {"tidemark.dev/hold-reason", "a"},
                      {"tidemark.dev/hold-until", "2026-01-01T02:00:00Z"}}),
                 sidecar),
            (StringMap{{"tidemark.dev/hold", "app,sidecar"}, {"tidemark.dev/hold-reason", "b"}}));
  EXPECT_EQ(held(web({{"tidemark.dev/hold", "true"}}), sidecar),
            (StringMap{{"tidemark.dev/hold", "true"}, {"tidemark.dev/hold-reason", "b"}}))
      << "all of it stays held";
  EXPECT_EQ(
      held(web({{"tidemark.dev/hold", "app"}, {"tidemark.dev/hold-until", "2025-12-31T00:00:00Z"}}),
           sidecar),
      (StringMap{{"tidemark.dev/hold", "sidecar"}, {"tidemark.dev/hold-reason", "b"}}))
      << "an order that is over adds nothing";
  EXPECT_EQ(held(web({{"tidemark.dev/hold", "app"}}), {}),
            (StringMap{{"tidemark.dev/hold", "true"}}));
}

TEST(Hold, OfOneDigestIsARecordThatEndsWhenTheTagMovesOn) {
  const HoldRequest request{
      .slots = {"app"}, .digest = fake_digest('c'), .reason = {}, .until = {}};
  const StringMap wanted = held(web(), request);
  EXPECT_EQ(wanted.size(), 1U);
  const auto records = workload::parse_held(wanted.at("tidemark.dev/held"));
  ASSERT_TRUE(workload::is_held(records, "app", fake_digest('c')));
  EXPECT_EQ(records.at("app").at(0).reason, "held by hand");
  EXPECT_EQ(records.at("app").at(0).since, "2026-01-01T00:00:00Z");
  EXPECT_EQ(held(web(wanted), request), wanted) << "the same order twice changes nothing";
}

TEST(Hold, NamesTheContainersThereAre) {
  for (const auto& wanted :
       {hold_annotations(web(), {.slots = {"ap"}, .digest = {}, .reason = {}, .until = {}}, kNow),
        resume_annotations(web(), {"ap"}, kNow)}) {
    ASSERT_FALSE(wanted);
    EXPECT_EQ(wanted.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(wanted.error().message, "it has no container \"ap\" (app,sidecar)");
  }
}

TEST(Resume, TakesEveryHoldBack) {
  const auto digest =
      held(web({{"tidemark.dev/hold", "true"},
                {"tidemark.dev/hold-reason", "x"},
                {"tidemark.dev/hold-until", "2026-01-01T02:00:00Z"},
                {"tidemark.dev/sweep", "roll"}}),
           {.slots = {"app"}, .digest = fake_digest('c'), .reason = {}, .until = {}});
  EXPECT_EQ(resumed(web(digest)), (StringMap{{"tidemark.dev/sweep", "roll"}}));
  EXPECT_EQ(resumed(web()), StringMap());
}

TEST(Resume, OfOneSlotLeavesTheOthersHeld) {
  const json both{{"tidemark.dev/hold", "app,sidecar"}, {"tidemark.dev/hold-reason", "x"}};
  EXPECT_EQ(resumed(web(both), {"app"}),
            (StringMap{{"tidemark.dev/hold", "sidecar"}, {"tidemark.dev/hold-reason", "x"}}));
  EXPECT_EQ(resumed(web(both), {"app", "sidecar"}), StringMap());
  const auto all = resume_annotations(web({{"tidemark.dev/hold", "true"}}), {"app"}, kNow);
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().message, "all of it is held: resume it without --slot");
}

TEST(Resume, LetsARollThatWasTakenBackHappenAgain) {
  const std::string history = workload::dump_history({{.time = "2025-12-31T00:00:00Z",
                                                       .slot = "app",
                                                       .from = stamp_text(kImage, 'a'),
                                                       .to = stamp_text(kImage, 'b'),
                                                       .why = std::string(workload::kWhyMoved),
                                                       .by = "tidemark-sweeper"}});
  const auto wanted = resumed(web({{"tidemark.dev/history", history}}), {"app"});
  const auto entries = workload::parse_history(wanted.at("tidemark.dev/history"));
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].from, stamp_text(kImage, 'b'));
  EXPECT_EQ(entries[0].to, stamp_text(kImage, 'a'));
  EXPECT_EQ(entries[0].why, workload::kWhyRolledBack);
  EXPECT_EQ(resumed(web(wanted), {"app"}), wanted);
  EXPECT_EQ(
      resumed(web({{"tidemark.dev/history", history}}), {"sidecar"}).at("tidemark.dev/history"),
      history);
}

TEST(Resume, OfANamespaceChecksNoContainers) {
  const auto ns = workload::parse_object(
      R"({"metadata":{"name":"team-a","annotations":{"tidemark.dev/hold":"app"}},"spec":{"finalizers":["kubernetes"]}})",
      namespace_kind());
  ASSERT_TRUE(ns);
  EXPECT_EQ(resumed(*ns), StringMap());
  EXPECT_EQ(held(*ns, {.slots = {"db"}, .digest = {}, .reason = {}, .until = {}}),
            (StringMap{{"tidemark.dev/hold", "app,db"}}));
}

}  // namespace
}  // namespace tidemark::sweeper
