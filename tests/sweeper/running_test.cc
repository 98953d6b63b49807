#include "sweeper/running.h"

#include <gtest/gtest.h>

#include "sweeper/cluster.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

workload::Pod pod(const std::string& name, std::optional<char> digest, char stamp = 'a') {
  workload::Pod out;
  out.name = name;
  out.node = "node-of-" + name;
  out.stamps.emplace("app", workload::Stamp::parse(stamp_text(kImage, stamp)).value());
  workload::PodContainer& container = out.containers.emplace_back();
  container.slot = "app";
  if (digest) container.digest = fake_digest(*digest);
  return out;
}

std::string short_of(char digest) { return std::string(fake_digest(digest).short_hex()); }

TEST(Running, IsCountedByDigest) {
  workload::Pod gone = pod("gone", 'a');
  gone.live = false;
  const auto slots = running_slots(
      tracked({}), {pod("one", 'a'), pod("two", 'a'), pod("three", 'b'), pod("new", {}), gone});
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(slots[0].pods.at(fake_digest('a')), 2U);
  EXPECT_EQ(slots[0].pods.at(fake_digest('b')), 1U);
  EXPECT_EQ(slots[0].without, 1U);
  EXPECT_TRUE(running_slots(tracked({}), {}).empty());
}

TEST(Running, WhatIsStampedIsNoSkew) {
  EXPECT_TRUE(skews(tracked({}), {pod("one", 'a'), pod("two", {})}, {}).empty());
  EXPECT_TRUE(
      skews(tracked({}), {pod("one", 'a'), pod("two", 'c')}, {{"app", {fake_digest('c')}}}).empty())
      << "a platform's manifest within the stamped index";
  EXPECT_TRUE(skews(tracked({}), {pod("old", 'b', 'b')}, {}).empty())
      << "a pod of another template: the rollout is under way";
}

TEST(Running, ASkewIsToldWithItsCause) {
  const auto kept =
      skews(tracked({.containers = {{.policy = "IfNotPresent"}}}), {pod("one", 'b')}, {});
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(
      kept[0],
      "app is stamped " + short_of('a') + ", but " + short_of('b') +
          " runs in one on node-of-one: imagePullPolicy is IfNotPresent: a node keeps the image "
          "that it has");
  const auto lags = skews(tracked({}), {pod("one", 'b'), pod("two", 'b'), pod("three", 'a')}, {});
  ASSERT_EQ(lags.size(), 1U);
  EXPECT_EQ(lags[0], "app is stamped " + short_of('a') + ", but " + short_of('b') +
                         " runs in one on node-of-one and 1 more: a mirror that nodes pull from "
                         "may lag behind, or "
                         "the tag moved while they pulled");
}

}  // namespace
}  // namespace tidemark::sweeper
