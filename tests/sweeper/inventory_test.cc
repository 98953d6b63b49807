#include "sweeper/inventory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <string>

#include "support/soon.h"
#include "sweeper/cluster.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using std::chrono::milliseconds;
using tidemark::testing::soon;

constexpr const char* kDeployments = "/apis/apps/v1/deployments";
constexpr const char* kNamespaces = "/api/v1/namespaces";

class InventoryTest : public ::testing::Test {
 protected:
  std::unique_ptr<Inventory> inventory(const Selection& selection = {}) {
    return std::make_unique<Inventory>(
        cluster_.api,
        InventoryOptions{.kinds = {},
                         .selection = selection,
                         .defaults = {},
                         .backoff = {.initial = milliseconds{1}, .max = milliseconds{1}},
                         .seed = 1},
        Logger::none());
  }
  static std::set<std::string> names(const Collection& collection) {
    std::set<std::string> out;
    for (const SharedWorkload& workload : collection.workloads) out.insert(workload->name);
    return out;
  }
  static bool soon_named(Inventory& inventory, const std::set<std::string>& wanted) {
    return soon([&] {
      const auto snapshot = inventory.snapshot({});
      return snapshot && names(*snapshot) == wanted;
    });
  }
  void push(kube::WatchEvent event, const Spec& spec) {
    cluster_.api.push_event(kDeployments, event, object_of(spec).dump());
  }

  Cluster cluster_;
};

TEST_F(InventoryTest, ListsOnceAndThenFollowsTheWatch) {
  cluster_.put({.name = "one"});
  cluster_.put({.kind = "DaemonSet", .name = "two"});
  const auto watched = inventory();
  const auto first = watched->snapshot({});
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->listed_everything);
  EXPECT_EQ(names(*first), (std::set<std::string>{"one", "two"}));
  ASSERT_TRUE(soon([&] { return cluster_.api.calls("watch").size() == 5; }));
  cluster_.api.forget_calls();

  push(kube::WatchEvent::kAdded, {.name = "three"});
  EXPECT_TRUE(soon_named(*watched, {"one", "two", "three"}));
  push(kube::WatchEvent::kDeleted, {.name = "one"});
  EXPECT_TRUE(soon_named(*watched, {"two", "three"}));
  json owned = object_of({.name = "three"});
  owned["metadata"]["ownerReferences"] = {
      {{"kind", "App"}, {"name", "x"}, {"uid", "y"}, {"controller", true}}};
  cluster_.api.push_event(kDeployments, kube::WatchEvent::kModified, owned.dump());
  EXPECT_TRUE(soon_named(*watched, {"two"})) << "its owner is what would be rolled";
  EXPECT_TRUE(cluster_.api.calls().empty()) << "the API server is asked for nothing";
}

TEST_F(InventoryTest, SeesAStampAndANamespaceChange) {
  cluster_.put({});
  const auto watched = inventory();
  const auto web = [&] { return watched->snapshot({})->workloads.at(0); };
  EXPECT_TRUE(web()->settings.holds.empty());
  push(kube::WatchEvent::kModified, {.containers = {{.stamp = stamp_text(kImage, 'b')}}});
  EXPECT_TRUE(soon([&] { return web()->slots.at(0).stamp->digest() == fake_digest('b'); }));
  cluster_.api.push_event(
      kNamespaces, kube::WatchEvent::kModified,
      R"({"metadata":{"name":"team-a","annotations":{"tidemark.dev/hold":"true"}}})");
  EXPECT_TRUE(soon([&] { return !web()->settings.holds.empty(); }));
  const auto of_namespace = [&](const char* stamp) {
    cluster_.api.push_event(
        kNamespaces, kube::WatchEvent::kModified,
        R"({"metadata":{"name":"team-a","annotations":{"tidemark.dev/stamp":")" +
            std::string(stamp) + R"("}}})");
  };
  const auto standing = [&] { return web()->slots.at(0).standing(); };
  of_namespace("off");
  EXPECT_TRUE(soon([&] { return standing() == TrackedSlot::State::kIgnored; }));
  EXPECT_TRUE(web()->settings.holds.empty());
  of_namespace("on");
  EXPECT_TRUE(soon([&] { return standing() == TrackedSlot::State::kSweepable; }));
  EXPECT_EQ(web(), web()) << "one is kept for all snapshots, as long as nothing changes";
  cluster_.api.push_event(kNamespaces, kube::WatchEvent::kDeleted,
                          R"({"metadata":{"name":"team-a"}})");
  EXPECT_TRUE(soon_named(*watched, {})) << "nothing is known of its settings any more";
}

TEST_F(InventoryTest, GoesOnWhereAWatchEndedAndListsAnewWhereItsPlaceIsGone) {
  cluster_.put({.name = "one"});
  const auto watched = inventory();
  ASSERT_TRUE(watched->snapshot({}));
  json bookmark{{"metadata", {{"resourceVersion", "4711"}}}};
  cluster_.api.push_event(kDeployments, kube::WatchEvent::kBookmark, bookmark.dump());
  cluster_.api.end_watch(kDeployments);
  const auto watched_from = [&](const std::string& version) {
    for (const auto& call : cluster_.api.calls("watch")) {
      if (call.path == kDeployments && call.resource_version == version) return true;
    }
    return false;
  };
  EXPECT_TRUE(soon([&] { return watched_from("4711"); }));
  cluster_.put({.name = "two"});
  cluster_.api.fail_watch(kDeployments, {.kind = ErrorKind::kGone, .message = "too old"});
  EXPECT_TRUE(soon_named(*watched, {"one", "two"}));
}

TEST_F(InventoryTest, AWatchThatBrokeIsKnownAgainBeforeAnythingChanges) {
  cluster_.put({.name = "one"});
  const auto watched = inventory();
  ASSERT_TRUE(watched->snapshot({}));
  const auto lists = [&] {
    return std::ranges::count(cluster_.api.calls("list"), kDeployments,
                              &tidemark::testing::FakeKubeApi::Call::path);
  };
  const auto before = lists();
  cluster_.put({.name = "two"});  // no event of it arrives
  cluster_.api.fail_watch(kDeployments, {.kind = ErrorKind::kUnavailable, .message = "reset"});
  EXPECT_TRUE(soon([&] { return lists() > before; }));
  EXPECT_TRUE(soon_named(*watched, {"one", "two"}));
  EXPECT_TRUE(soon([&] { return watched->snapshot({})->uncounted.empty(); }));
}

TEST_F(InventoryTest, WhatCannotBeWatchedIsToldAndKept) {
  cluster_.put({.name = "one"});
  const auto watched = inventory();
  ASSERT_TRUE(watched->snapshot({}));
  cluster_.api.before([](const auto& call) -> std::optional<Error> {
    if (call.verb != "watch" || call.path != kDeployments) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "not allowed"};
  });
  cluster_.api.end_watch(kDeployments);
  EXPECT_TRUE(soon([&] { return !watched->snapshot({})->listed_everything; }));
  const auto told = watched->snapshot({});
  EXPECT_EQ(names(*told), std::set<std::string>{"one"});
  EXPECT_EQ(told->problems.at(0).what, "deployments");
  EXPECT_EQ(told->problems.at(0).error.message, "not allowed");
  cluster_.api.before({});
  push(kube::WatchEvent::kAdded, {.name = "two"});
  EXPECT_TRUE(soon([&] { return watched->snapshot({})->listed_everything; }));
}

TEST_F(InventoryTest, OneOddObjectIsAProblemUntilItIsMended) {
  cluster_.api.put(path_of({.name = "odd"}), R"({"spec":{"template":5}})");
  cluster_.put({.name = "one"});
  const auto watched = inventory();
  const auto first = watched->snapshot({});
  EXPECT_EQ(names(*first), std::set<std::string>{"one"});
  ASSERT_EQ(first->problems.size(), 1U);
  EXPECT_EQ(first->problems[0].what, "Deployment/odd");
  push(kube::WatchEvent::kModified, {.name = "odd"});
  EXPECT_TRUE(soon_named(*watched, {"odd", "one"}));
  EXPECT_TRUE(watched->snapshot({})->problems.empty());
}

TEST_F(InventoryTest, OfNamedNamespacesWatchesOnlyThose) {
  cluster_.add_namespace("team-b");
  cluster_.put({.name = "one"});
  cluster_.put({.ns = "team-b", .name = "two"});
  const auto watched =
      inventory({.namespaces = {"team-b"}, .label_selector = {}, .field_selector = {}});
  EXPECT_EQ(names(*watched->snapshot({})), std::set<std::string>{"two"});
  for (const auto& call : cluster_.api.calls("list")) {
    EXPECT_NE(call.path.find("/namespaces/team-b/"), std::string::npos) << call.path;
  }
}

TEST_F(InventoryTest, AStopEndsTheWait) {
  std::stop_source stop;
  cluster_.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.verb == "list") stop.request_stop();
    return Error{.kind = ErrorKind::kUnavailable, .message = "down"};
  });
  const auto watched = inventory();
  const auto snapshot = watched->snapshot(stop.get_token());
  ASSERT_FALSE(snapshot);
}

}  // namespace
}  // namespace tidemark::sweeper
