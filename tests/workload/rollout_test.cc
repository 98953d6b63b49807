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

}  // namespace
}  // namespace tidemark::workload
