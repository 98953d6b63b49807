#include "workload/pod.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace tidemark::workload {
namespace {

using nlohmann::json;

const std::string kHex(64, 'a');

struct ImageIdCase {
  const char* name;
  std::string image_id;
  bool has_digest;
};
class ImageId : public testing::TestWithParam<ImageIdCase> {};

TEST_P(ImageId, OnlyADigestOfARegistryCounts) {
  const auto digest = digest_of_image_id(GetParam().image_id);
  ASSERT_EQ(digest.has_value(), GetParam().has_digest);
  EXPECT_EQ(digest ? digest->str() : "none", GetParam().has_digest ? "sha256:" + kHex : "none");
}

INSTANTIATE_TEST_SUITE_P(
    Forms, ImageId,
    testing::Values(ImageIdCase{"Containerd", "docker.io/library/nginx@sha256:" + kHex, true},
                    ImageIdCase{"Port", "registry.test:5000/app@sha256:" + kHex, true},
                    ImageIdCase{"Dockershim", "docker-pullable://nginx@sha256:" + kHex, true},
                    // A node's own configuration digest: an image that was loaded and never pulled.
                    ImageIdCase{"Local", "sha256:" + kHex, false},
                    ImageIdCase{"LocalOfDockershim", "docker://sha256:" + kHex, false},
                    ImageIdCase{"NotStarted", "", false},
                    ImageIdCase{"Broken", "nginx@sha256:abc", false},
                    ImageIdCase{"NoDigest", "nginx@", false}),
    [](const auto& parameter) { return parameter.param.name; });

json pod() {
  json out = json::parse(R"({
    "metadata": {
      "name": "web-5d4f-x", "namespace": "team-a", "labels": {"pod-template-hash": "5d4f"},
      "ownerReferences": [
        {"kind": "Node", "name": "n"},
        {"kind": "ReplicaSet", "name": "web-5d4f", "controller": true}]},
    "spec": {"nodeName": "node-1"},
    "status": {
      "phase": "Running",
      "initContainerStatuses": [{"name": "init"}],
      "containerStatuses": [
        {"name": "app", "imageID": "", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}})");
  out["status"]["initContainerStatuses"][0]["imageID"] = "i@sha256:" + kHex;
  return out;
}

TEST(Pod, IsReadWithBothKindsOfContainers) {
  const auto read = parse_pod(pod().dump());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ns, "team-a");
  EXPECT_EQ(read->node, "node-1");
  EXPECT_TRUE(read->live);
  ASSERT_EQ(read->containers.size(), 2U);
  EXPECT_EQ(read->containers[0].slot, "init");
  EXPECT_TRUE(read->containers[0].digest);
  EXPECT_EQ(read->containers[1].waiting, "ImagePullBackOff");
  EXPECT_FALSE(read->containers[1].digest);
}

TEST(Pod, HowItFaresIsReadWithTheStampsOfItsTemplate) {
  json fares = pod();
  fares["metadata"]["annotations"] = {
      {"digest.tidemark.dev/app", "docker.io/library/nginx:1@sha256:" + kHex},
      {"volume-digest.tidemark.dev/data", "docker.io/library/data:1@sha256:" + kHex},
      {"digest.tidemark.dev/odd", "nginx"},
      {"other", "value"}};
  fares["status"]["containerStatuses"][0].update({{"restartCount", 4}, {"ready", false}});
  fares["status"]["initContainerStatuses"][0]["ready"] = true;
  fares["status"]["conditions"] = {
      {{"type", "Initialized"},
       {"status", "False"},
       {"lastTransitionTime", "2026-01-01T00:00:00Z"}},
      {{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", "2026-01-02T00:00:00Z"}}};
  const auto read = parse_pod(fares.dump());
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->containers[0].ready);
  EXPECT_FALSE(read->containers[1].ready);
  EXPECT_EQ(read->containers[1].restarts, 4);
  EXPECT_EQ(read->unready_since, "2026-01-02T00:00:00Z");
  ASSERT_EQ(read->stamps.size(), 2U);
  EXPECT_EQ(read->stamps.at("app").reference(), "docker.io/library/nginx:1");
  EXPECT_EQ(read->stamps.at("volume/data").reference(), "docker.io/library/data:1");
  fares["status"]["conditions"][1]["status"] = "True";
  EXPECT_EQ(parse_pod(fares.dump())->unready_since, "");
}

TEST(Pod, WhatIsOverOrGoingDoesNotCount) {
  for (const char* phase : {"Succeeded", "Failed"}) {
    json over = pod();
    over["status"]["phase"] = phase;
    EXPECT_FALSE(parse_pod(over.dump())->live);
  }
  json going = pod();
  going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_FALSE(parse_pod(going.dump())->live);
}

TEST(Pod, ADeploymentIsFoundBehindItsReplicaSet) {
  using Maker = std::pair<std::string, std::string>;
  EXPECT_EQ(workload_of(*parse_pod(pod().dump())), Maker("Deployment", "web"));
  json bare = pod();
  bare["metadata"].erase("ownerReferences");
  EXPECT_EQ(workload_of(*parse_pod(bare.dump())), std::nullopt);
  json set = pod();
  set["metadata"]["ownerReferences"][1] = {
      {"kind", "StatefulSet"}, {"name", "db"}, {"controller", true}};
  EXPECT_EQ(workload_of(*parse_pod(set.dump())), Maker("StatefulSet", "db"));
  // A ReplicaSet of its own, or one whose name does not tell.
  json own = pod();
  own["metadata"]["labels"] = json::object();
  EXPECT_EQ(workload_of(*parse_pod(own.dump())), Maker("ReplicaSet", "web-5d4f"));
  json other = pod();
  other["metadata"]["labels"]["pod-template-hash"] = "abcd";
  EXPECT_EQ(workload_of(*parse_pod(other.dump())), Maker("ReplicaSet", "web-5d4f"));
}

TEST(Pod, FieldsOfOtherTypesAreAsIfTheyWereNotThere) {
  EXPECT_TRUE(parse_pod("{}")->live);
  for (const char* text :
       {R"({"metadata":3,"status":[]})", R"({"status":{"containerStatuses":{"a":1}}})",
        R"({"status":{"containerStatuses":[7,{"name":1,"imageID":[],"state":{"waiting":2}}]}})",
        R"({"metadata":{"ownerReferences":[1,{"controller":"yes"}],"labels":[]}})"}) {
    EXPECT_TRUE(parse_pod(text)) << text;
  }
  EXPECT_FALSE(parse_pod("[]"));
  EXPECT_FALSE(parse_pod("{\"a\""));
}

}  // namespace
}  // namespace tidemark::workload
