#include "workload/settings.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tidemark::workload {
namespace {

Object workload(StringMap annotations, StringMap labels = {}) {
  Object object;
  object.annotations = std::move(annotations);
  object.labels = std::move(labels);
  return object;
}

TEST(Settings, TakesTheNearestLevel) {
  const Settings defaults{.sweep = SweepMode::kOff};
  const std::string key(kSweepKey);
  const StringMap roll = {{key, "roll"}};
  const StringMap report = {{key, "report"}};
  const auto sweep = [&](const Object& object, const Metadata& ns) {
    const auto effective = effective_settings(object, ns, defaults);
    EXPECT_TRUE(effective.problems.empty());
    return effective.settings.sweep;
  };
  EXPECT_EQ(sweep(workload({}), {}), SweepMode::kOff);
  EXPECT_EQ(sweep(workload({}), {{}, report}), SweepMode::kReport);
  EXPECT_EQ(sweep(workload({}), {roll, report}), SweepMode::kRoll);
  EXPECT_EQ(sweep(workload({}, report), {roll, roll}), SweepMode::kReport);
  EXPECT_EQ(sweep(workload(roll, report), {report, report}), SweepMode::kRoll);
}

TEST(Settings, LabelsOfOtherProgramsOptInWhereTheyAreAsked) {
  const auto sweep = [](const char* kind, StringMap labels, bool asked,
                        StringMap annotations = {}) {
    Object object = workload(std::move(annotations), std::move(labels));
    object.kind = KindTable().find("apps", kind);
    const Metadata ns{.annotations = {{"tidemark.dev/sweep", "off"}}, .labels = {}};
    return effective_settings(object, ns, {.peer_labels = asked}).settings.sweep;
  };
  const StringMap figwasp{{"figwasp/target", "true"}};
  const StringMap autorollout{{"kube-autorollout/enabled", "true"}};
  EXPECT_EQ(sweep("Deployment", figwasp, true), SweepMode::kRoll);
  EXPECT_EQ(sweep("Deployment", figwasp, false), SweepMode::kOff);
  EXPECT_EQ(sweep("StatefulSet", figwasp, true), SweepMode::kOff) << "figwasp never looked at it";
  EXPECT_EQ(sweep("DaemonSet", autorollout, true), SweepMode::kRoll);
  EXPECT_EQ(sweep("ReplicaSet", autorollout, true), SweepMode::kOff);
  EXPECT_EQ(sweep("Deployment", {{"figwasp/target", "false"}}, true), SweepMode::kOff);
  EXPECT_EQ(sweep("Deployment", figwasp, true, {{"tidemark.dev/sweep", "report"}}),
            SweepMode::kReport);
}

TEST(Settings, OrdersOfTheDefaultsHoldBesideTheNearerOnes) {
  const HoldOrder frozen{.reason = "freeze", .level = HoldOrder::Level::kCluster};
  const auto effective =
      effective_settings(workload({{"tidemark.dev/hold", "app"}}), {}, {.holds = {frozen}});
  ASSERT_EQ(effective.settings.holds.size(), 2U);
  EXPECT_EQ(effective.settings.hold_on("other", WallTime{})->text(),
            "tidemark.dev/hold is set for the whole cluster: freeze");
}

TEST(Settings, ReadsEveryKey) {
  const auto effective = effective_settings(
      workload({{"tidemark.dev/sweep", "roll"},
                {"tidemark.dev/mode", "pin"},
                {"tidemark.dev/stamp", "off"},
                {"tidemark.dev/hold", "true"},
                {"tidemark.dev/restarted-at", "true"},
                {"tidemark.dev/on-failure", "undo"},
                {"tidemark.dev/on-cached-policy", "pin"},
                {"tidemark.dev/cooldown", "1h30m"},
                {"tidemark.dev/window", " 0 22 * * mon-fri 6h "},
                {"tidemark.dev/ignore-containers", "istio-proxy, linkerd-proxy,"}}),
      {}, {});
  EXPECT_TRUE(effective.problems.empty());
  EXPECT_EQ(effective.settings.sweep, SweepMode::kRoll);
  EXPECT_EQ(effective.settings.mode, StampMode::kPin);
  EXPECT_FALSE(effective.settings.stamp);
  ASSERT_EQ(effective.settings.holds.size(), 1U);
  EXPECT_TRUE(effective.settings.restarted_at);
  EXPECT_EQ(effective.settings.on_failure, OnFailure::kUndo);
  EXPECT_EQ(effective.settings.on_cached_policy, OnCachedPolicy::kPin);
  EXPECT_EQ(effective.settings.cooldown, std::chrono::minutes(90));
  EXPECT_EQ(effective.settings.windows, Windows::parse("0 22 * * 1-5 6h").value());
  EXPECT_EQ(effective.settings.ignored_containers,
            (std::set<std::string>{"istio-proxy", "linkerd-proxy"}));
}

TEST(Settings, KeepsTheDefaults) {
  const Settings defaults{.sweep = SweepMode::kRoll,
                          .mode = StampMode::kPin,
                          .stamp = false,
                          .cooldown = std::chrono::seconds(5),
                          .windows = Windows::parse("0 0 * * * 1h").value(),
                          .ignored_containers = {"x"}};
  const Settings kept = effective_settings(workload({}), {}, defaults).settings;
  EXPECT_EQ(kept.sweep, SweepMode::kRoll);
  EXPECT_EQ(kept.mode, StampMode::kPin);
  EXPECT_FALSE(kept.stamp);
  EXPECT_EQ(kept.cooldown, std::chrono::seconds(5));
  EXPECT_EQ(kept.windows, defaults.windows);
  EXPECT_EQ(kept.ignored_containers, std::set<std::string>{"x"});
  // A workload may say "none" where the default names some.
  EXPECT_TRUE(effective_settings(workload({{"tidemark.dev/ignore-containers", ""}}), {}, defaults)
                  .settings.ignored_containers.empty());
  EXPECT_TRUE(
      effective_settings(workload({{"tidemark.dev/stamp", "on"}}), {}, defaults).settings.stamp);
}

TEST(Settings, ARuleGivesAPolicyToWhatItSelects) {
  const auto rules = std::make_shared<const std::vector<PolicyRule>>(
      std::vector<PolicyRule>{{.repository = "docker.io/library/nginx",
                               .policy = "semver: ^1",
                               .namespaces = {"shop"},
                               .labels = {{"tier", "front"}}},
                              {.repository = "docker.io/library/nginx", .policy = "semver: ^2"}});
  const Settings defaults{.policy_rules = rules};
  const auto policies = [&](const StringMap& labels, const std::string& ns, const char* image,
                            const StringMap& annotations = {}) {
    Object object = workload(annotations, labels);
    object.ns = ns;
    object.pod_template.slots.clear();
    Slot slot;
    slot.name = "app";
    slot.image = image;
    object.pod_template.slots.push_back(slot);
    return effective_settings(object, {}, defaults).settings.policies;
  };
  using Policies = std::map<std::string, std::string>;
  EXPECT_EQ(policies({{"tier", "front"}}, "shop", "nginx:1"), (Policies{{"app", "semver: ^1"}}));
  EXPECT_EQ(policies({{"tier", "back"}}, "shop", "nginx:1"), (Policies{{"app", "semver: ^2"}}));
  EXPECT_EQ(policies({{"tier", "front"}}, "other", "nginx:1"), (Policies{{"app", "semver: ^2"}}));
  EXPECT_EQ(policies({}, "shop", "docker.io/library/nginx:1"), (Policies{{"app", "semver: ^2"}}));
  EXPECT_EQ(policies({}, "shop", "redis:1"), Policies{});
  EXPECT_EQ(policies({}, "shop", "NOT AN IMAGE"), Policies{});
  EXPECT_EQ(
      policies({{"tier", "front"}}, "shop", "nginx:1", {{"policy.tidemark.dev/app", "digest"}}),
      (Policies{{"app", "digest"}}))
      << "its own decides";
}

TEST(Settings, HoldOnAnyLevelHolds) {
  const StringMap yes = {{"tidemark.dev/hold", "true"}};
  const StringMap no = {{"tidemark.dev/hold", "false"}};
  EXPECT_TRUE(effective_settings(workload(no), {yes, {}}, {}).settings.hold_on("app", {}));
  EXPECT_TRUE(effective_settings(workload(no), {{}, yes}, {}).settings.hold_on("app", {}));
  EXPECT_TRUE(effective_settings(workload({}, yes), {no, no}, {}).settings.hold_on("app", {}));
  EXPECT_FALSE(effective_settings(workload(no), {no, no}, {}).settings.hold_on("app", {}));
}

TEST(Settings, AHoldMayNameSlotsReasonAndEnd) {
  const WallTime end{std::chrono::seconds(1'767'225'600)};
  const WallTime before = end - std::chrono::seconds(1);
  Object web = workload({{"tidemark.dev/hold", "app, volume/data"},
                         {"tidemark.dev/hold-until", "2026-01-01T01:00:00+01:00"},
                         {"tidemark.dev/hold-reason", " freeze "}});
  const auto add = [&](SlotType type, const char* name) {
    Slot slot;
    slot.type = type;
    slot.name = name;
    web.pod_template.slots.push_back(slot);
  };
  add(SlotType::kContainer, "app");
  add(SlotType::kContainer, "sidecar");
  add(SlotType::kImageVolume, "data");
  const auto effective = effective_settings(web, {}, {});
  EXPECT_EQ(effective.problems, std::vector<std::string>{});
  const Settings& settings = effective.settings;
  ASSERT_NE(settings.hold_on("app", before), nullptr);
  EXPECT_EQ(settings.hold_on("app", before)->text(),
            "tidemark.dev/hold is set until 2026-01-01T00:00:00Z: freeze");
  EXPECT_TRUE(settings.hold_on("volume/data", before));
  EXPECT_FALSE(settings.hold_on("sidecar", before));
  EXPECT_FALSE(settings.hold_on("app", end));
}

TEST(Settings, AHoldWhoseEndCannotBeReadHolds) {
  const auto effective = effective_settings(
      workload({}), {{{"tidemark.dev/hold", "app"}, {"tidemark.dev/hold-until", "Friday"}}, {}},
      {});
  ASSERT_TRUE(effective.settings.hold_on("app", {}));
  EXPECT_EQ(effective.settings.holds[0].text(), "tidemark.dev/hold is set on the namespace");
  EXPECT_EQ(effective.problems,
            std::vector<std::string>{"namespace: tidemark.dev/hold-until: \"Friday\" is not a time "
                                     "(2026-12-01T06:00:00Z)"});
}

TEST(Settings, AWindowThatCannotBeReadNeverOpens) {
  const auto effective = effective_settings(workload({{"tidemark.dev/window", "at night"}}),
                                            {{{"tidemark.dev/window", "* * * * * 1h"}}, {}}, {});
  EXPECT_EQ(effective.settings.windows, Windows());
  ASSERT_EQ(effective.problems.size(), 1U);
  EXPECT_TRUE(effective.problems[0].starts_with("tidemark.dev/window: a window is "));
}

TEST(Settings, TellsAHoldOfNothing) {
  const auto effective = effective_settings(workload({{"tidemark.dev/hold", "ap"}}), {}, {});
  EXPECT_EQ(effective.problems,
            std::vector<std::string>{R"(tidemark.dev/hold: there is no container "ap")"});
}

TEST(Settings, TellsWhatItCannotReadAndAsksTheNextLevel) {
  const auto effective = effective_settings(
      workload({{"tidemark.dev/mode", "pinn"},
                {"tidemark.dev/sweep", "Roll"},
                {"tidemark.dev/stamp", "false"},
                {"tidemark.dev/hold", "Yes"},
                {"tidemark.dev/cooldown", "10"},
                {"tidemark.dev/ignore-containers", "a,B!"}}),
      {{{"tidemark.dev/mode", "pin"}, {"tidemark.dev/sweep", std::string(100'000, 'x')}}, {}}, {});
  EXPECT_EQ(effective.settings.mode, StampMode::kPin);
  EXPECT_EQ(effective.settings.sweep, SweepMode::kReport);
  EXPECT_TRUE(effective.settings.stamp);
  EXPECT_FALSE(effective.settings.hold_on("app", {}));
  EXPECT_EQ(effective.settings.cooldown, std::chrono::seconds(0));
  EXPECT_TRUE(effective.settings.ignored_containers.empty());
  EXPECT_EQ(effective.problems,
            (std::vector<std::string>{
                R"(tidemark.dev/sweep: unknown value "Roll" (roll, report, off))",
                R"(namespace: tidemark.dev/sweep: unknown value ")" + std::string(60, 'x') +
                    R"(" (roll, report, off))",
                R"(tidemark.dev/mode: unknown value "pinn" (annotate, pin))",
                R"(tidemark.dev/stamp: unknown value "false" (on, off))",
                R"(tidemark.dev/hold: unknown value "Yes" (true, false, names of containers))",
                R"(tidemark.dev/cooldown: "10" is not a duration (30s, 10m, 1h30m))",
                R"(tidemark.dev/ignore-containers: "B!" is not a container's name)"}));
}

TEST(Settings, PinsByModeOrWhereANodeMayKeepAnOldImage) {
  EXPECT_FALSE(Settings{}.pins("IfNotPresent"));
  EXPECT_TRUE(Settings{.mode = StampMode::kPin}.pins("Always"));
  const Settings cached{.on_cached_policy = OnCachedPolicy::kPin};
  EXPECT_TRUE(cached.pins("IfNotPresent"));
  EXPECT_FALSE(cached.pins("Always"));
  EXPECT_FALSE(cached.pins("Never")) << "the pod could not start";
}

TEST(Settings, PoliciesAreOfTheWorkloadsOwnContainersAndVolumes) {
  const Subject subject{.ns = "shop", .slots = {{.id = "app"}, {.id = "volume/data"}}};
  const auto effective = effective_settings(
      {.annotations = {{"policy.tidemark.dev/app", "semver: 1.x"},
                       {"policy.tidemark.dev/data", "digest"},
                       {"volume-policy.tidemark.dev/data", "numerical: asc"}},
       .labels = {}},
      subject, {.annotations = {{"policy.tidemark.dev/app", "digest"}}, .labels = {}}, {});
  EXPECT_EQ(effective.settings.policies,
            (std::map<std::string, std::string>{{"app", "semver: 1.x"},
                                                {"volume/data", "numerical: asc"}}));
  EXPECT_EQ(effective.problems,
            std::vector<std::string>{"policy.tidemark.dev/data: there is no such container"});
}

TEST(Settings, NamesItsModes) {
  for (const std::string_view name : {"roll", "report", "off"}) {
    EXPECT_EQ(to_string(*parse_sweep_mode(name)), name);
  }
  for (const std::string_view name : {"annotate", "pin"}) {
    EXPECT_EQ(to_string(*parse_stamp_mode(name)), name);
  }
}

}  // namespace
}  // namespace tidemark::workload
