#include "workload/rollout.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "workload/test_data.h"

namespace tidemark::workload {
namespace {

using nlohmann::json;

struct Case {
  std::string name;
  std::string kind;
  json object;
  RolloutState state;
};

json deployment(int updated, int available, int replicas, json more = json::object()) {
  json status{{"observedGeneration", 3},
              {"updatedReplicas", updated},
              {"availableReplicas", available},
              {"replicas", replicas}};
  status.update(more);
  return {{"metadata", {{"generation", 3}}}, {"spec", {{"replicas", 2}}}, {"status", status}};
}

json stateful_set(int ready, const char* current, const char* update) {
  return {{"metadata", {{"generation", 1}}},
          {"spec", {{"replicas", 2}}},
          {"status",
           {{"observedGeneration", 1},
            {"readyReplicas", ready},
            {"currentRevision", current},
            {"updateRevision", update}}}};
}

json daemon_set(int desired, int updated, int available) {
  return {{"metadata", {{"generation", 1}}},
          {"spec", json::object()},
          {"status",
           {{"observedGeneration", 1},
            {"desiredNumberScheduled", desired},
            {"updatedNumberScheduled", updated},
            {"numberAvailable", available}}}};
}

json timed_out() {
  return {{"conditions",
           {{{"type", "Available"}, {"reason", "MinimumReplicasUnavailable"}},
            {{"type", "Progressing"}, {"reason", "ProgressDeadlineExceeded"}}}}};
}

const std::vector<Case> kCases = {
    {"DeploymentDone", "deployment", deployment(2, 2, 2), RolloutState::kComplete},
    {"DeploymentWithOldPods", "deployment", deployment(2, 2, 3), RolloutState::kProgressing},
    {"DeploymentUpdating", "deployment", deployment(1, 2, 3), RolloutState::kProgressing},
    {"DeploymentNotAvailable", "deployment", deployment(2, 1, 2), RolloutState::kProgressing},
    {"DeploymentNotSeen", "deployment", deployment(2, 2, 2, {{"observedGeneration", 2}}),
     RolloutState::kProgressing},
    {"DeploymentFailed", "deployment", deployment(1, 2, 3, timed_out()), RolloutState::kFailed},
    {"DeploymentFailedBeforeThisGeneration", "deployment",
     deployment(1, 2, 3,
                json{{"observedGeneration", 2}, {"conditions", timed_out()["conditions"]}}),
     RolloutState::kProgressing},
    {"DeploymentNew", "deployment",
     json{{"metadata", {{"generation", 1}}}, {"spec", json::object()}}, RolloutState::kProgressing},
    {"DeploymentOfNone", "deployment",
     json{{"metadata", {{"generation", 1}}}, {"spec", {{"replicas", 0}}}}, RolloutState::kIdle},
    {"StatefulSetDone", "statefulset", stateful_set(2, "web-1", "web-1"), RolloutState::kComplete},
    {"StatefulSetUpdating", "statefulset", stateful_set(2, "web-1", "web-2"),
     RolloutState::kProgressing},
    {"StatefulSetNotReady", "statefulset", stateful_set(1, "web-1", "web-1"),
     RolloutState::kProgressing},
    {"DaemonSetDone", "daemonset", daemon_set(3, 3, 3), RolloutState::kComplete},
    {"DaemonSetUpdating", "daemonset", daemon_set(3, 2, 3), RolloutState::kProgressing},
    {"DaemonSetNotAvailable", "daemonset", daemon_set(3, 3, 2), RolloutState::kProgressing},
    {"DaemonSetOnNoNode", "daemonset", daemon_set(0, 0, 0), RolloutState::kIdle},
    {"CronJob", "cronjob", json{{"metadata", {{"generation", 1}}}, {"spec", json::object()}},
     RolloutState::kIdle},
    {"OddStatus", "deployment",
     json{{"metadata", {{"generation", 1}}},
          {"spec", {{"replicas", "two"}}},
          {"status",
           {{"observedGeneration", "1"}, {"conditions", {"x", {{"type", 5}}}}, {"replicas", 1.5}}}},
     RolloutState::kProgressing},
};

TEST(Rollout, StateIsReadOffTheStatus) {
  for (const Case& test : kCases) {
    const auto object = parse_object(test.object.dump(), test::kind_of(test.kind));
    ASSERT_TRUE(object) << test.name << ": " << object.error().message;
    EXPECT_EQ(rollout_state(*object), test.state) << test.name;
  }
}

json custom(json status) {
  return {{"metadata", {{"generation", 3}}},
          {"spec", {{"replicas", 2}}},
          {"status", std::move(status)}};
}

json ready(const char* status) {
  return {{"observedGeneration", 3}, {"conditions", {{{"type", "Ready"}, {"status", status}}}}};
}

TEST(Rollout, ACustomKindIsReadByWhatSuchKindsShare) {
  const Kind kind = make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template").value();
  const std::vector<Case> cases = {
      {"SaysNothing", "", custom(json::object()), RolloutState::kIdle},
      {"OfNone", "", json{{"spec", {{"replicas", 0}}}, {"status", ready("True")}},
       RolloutState::kIdle},
      // Argo Rollouts: the generation is a string, numbers of 0 are left out.
      {"Healthy", "", custom({{"observedGeneration", "3"}, {"phase", "Healthy"}}),
       RolloutState::kComplete},
      {"NotSeen", "", custom({{"observedGeneration", "2"}, {"phase", "Healthy"}}),
       RolloutState::kProgressing},
      {"HashOfOldVersions", "", custom({{"observedGeneration", "5d4f"}, {"phase", "Healthy"}}),
       RolloutState::kComplete},
      {"Progressing", "",
       custom({{"observedGeneration", "3"}, {"replicas", 2}, {"phase", "Progressing"}}),
       RolloutState::kProgressing},
      {"PausedInItsCanary", "", custom({{"observedGeneration", "3"}, {"phase", "Paused"}}),
       RolloutState::kProgressing},
      {"Degraded", "", custom({{"observedGeneration", "3"}, {"phase", "Degraded"}}),
       RolloutState::kFailed},
      // OpenKruise CloneSet
      {"CloneSetDone", "",
       custom({{"observedGeneration", 3},
               {"replicas", 2},
               {"updatedReplicas", 2},
               {"availableReplicas", 2}}),
       RolloutState::kComplete},
      {"CloneSetUpdating", "",
       custom({{"observedGeneration", 3},
               {"replicas", 2},
               {"updatedReplicas", 0},
               {"availableReplicas", 2}}),
       RolloutState::kProgressing},
      // A kind that counts its pods, but not the new ones.
      {"ReplicasAlone", "", custom({{"replicas", 2}, {"readyReplicas", 2}}), RolloutState::kIdle},
      // Knative Service
      {"Ready", "", custom(ready("True")), RolloutState::kComplete},
      {"NotReadyYet", "", custom(ready("Unknown")), RolloutState::kProgressing},
      {"NotReady", "", custom(ready("False")), RolloutState::kFailed},
      {"AnotherPhase", "", custom({{"phase", "Succeeded"}}), RolloutState::kIdle},
  };
  for (const Case& test : cases) {
    const auto object = parse_object(test.object.dump(), kind);
    ASSERT_TRUE(object) << test.name << ": " << object.error().message;
    EXPECT_EQ(rollout_state(*object), test.state) << test.name;
  }
}

}  // namespace
}  // namespace tidemark::workload
