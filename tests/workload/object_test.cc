#include "workload/object.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "workload/pointer.h"
#include "workload/test_data.h"

namespace tidemark::workload {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using test::kind_of;
using test::read_workload;
using test::repeated_digest;

Object parsed(std::string_view text, std::string_view kind) {
  auto object = parse_object(text, kind_of(kind));
  EXPECT_TRUE(object) << object.error().message;
  return object ? std::move(*object) : Object{};
}

using SlotRow = std::tuple<SlotType, std::string, std::string, std::string, std::string>;
std::vector<SlotRow> rows(const Object& object) {
  std::vector<SlotRow> out;
  for (const Slot& slot : object.pod_template.slots) {
    out.emplace_back(slot.type, slot.name, slot.image, slot.pull_policy,
                     slot.image_pointer(*object.kind));
  }
  return out;
}

TEST(Object, ReadsADeployment) {
  const std::string text = read_workload("deployment");
  const Object object = parsed(text, "deployment");
  EXPECT_EQ(object.kind->kind, "Deployment");
  EXPECT_EQ(object.ns, "team-a");
  EXPECT_EQ(object.name, "shop");
  EXPECT_EQ(object.uid, "6f0d2c1e-6c8e-4f39-9d55-0c8d3a1b7e10");
  EXPECT_EQ(object.resource_version, "81237");
  EXPECT_EQ(object.generation, 4);
  EXPECT_FALSE(object.deleting);
  EXPECT_FALSE(object.controller);
  EXPECT_TRUE(object.has_annotations);
  EXPECT_EQ(object.annotations, json::parse(text)["metadata"]["annotations"].get<StringMap>());
  EXPECT_EQ(object.labels, (StringMap{{"app", "shop"}, {"tidemark.dev/mode", "annotate"}}));
  EXPECT_TRUE(object.paused);
  EXPECT_EQ(object.update_strategy, "RollingUpdate");
  EXPECT_FALSE(object.partition);

  ASSERT_EQ(object.managed.size(), 2U);
  EXPECT_EQ(object.managed[0].manager, "argocd-controller");
  EXPECT_EQ(object.managed[0].operation, "Apply");
  EXPECT_EQ(object.managed[0].stamp_keys, std::vector<std::string>{"digest.tidemark.dev/app"});
  EXPECT_EQ(object.managed[1].manager, "kube-controller-manager");
  EXPECT_TRUE(object.managed[1].stamp_keys.empty());
  EXPECT_FALSE(object.managed[1].owns_image);

  const PodTemplate& pods = object.pod_template;
  EXPECT_TRUE(pods.has_metadata);
  EXPECT_TRUE(pods.has_annotations);
  EXPECT_EQ(pods.annotations.size(), 4U);
  EXPECT_EQ(pods.image_pull_secrets, (std::vector<std::string>{"pull-a", "pull-b"}));
  EXPECT_EQ(pods.service_account, "shop");
  const std::string spec = "/spec/template/spec/";
  EXPECT_EQ(rows(object),
            (std::vector<SlotRow>{{SlotType::kInitContainer, "migrate", "busybox", "Always",
                                   spec + "initContainers/0/image"},
                                  {SlotType::kInitContainer, "logs", "fluent/fluent-bit:3.1",
                                   "IfNotPresent", spec + "initContainers/1/image"},
                                  {SlotType::kContainer, "app", "registry.local:5000/team/app:1.4",
                                   "Always", spec + "containers/0/image"},
                                  {SlotType::kContainer, "istio-proxy",
                                   "docker.io/istio/proxyv2@" + repeated_digest("a1").str(),
                                   "IfNotPresent", spec + "containers/1/image"},
                                  {SlotType::kImageVolume, "model", "ghcr.io/team/model:v2",
                                   "IfNotPresent", spec + "volumes/1/image/reference"}}));
  const json whole = json::parse(text);
  for (const Slot& slot : pods.slots) {
    EXPECT_EQ(whole.at(json::json_pointer(slot.image_pointer(*object.kind))), slot.image);
    EXPECT_EQ(find_slot(pods, slot.stamp_key()), &slot);
  }
  EXPECT_EQ(find_slot(pods, "digest.tidemark.dev/model"), nullptr);
  EXPECT_EQ(pods.slots[0].stamp_key(), "digest.tidemark.dev/migrate");
  EXPECT_EQ(pods.slots[0].id(), "migrate");
  EXPECT_EQ(pods.slots[4].stamp_key(), "volume-digest.tidemark.dev/model");
  EXPECT_EQ(pods.slots[4].id(), "volume/model");
}

TEST(Object, ReadsEveryKind) {
  for (const std::string name : {"deployment", "statefulset", "daemonset", "cronjob", "job",
                                 "replicaset", "replicationcontroller", "pod"}) {
    const std::string text = read_workload(name);
    const Object object = parsed(text, name);
    EXPECT_FALSE(object.name.empty()) << name;
    ASSERT_FALSE(object.pod_template.slots.empty()) << name;
    const json whole = json::parse(text);
    for (const Slot& slot : object.pod_template.slots) {
      EXPECT_EQ(whole.at(json::json_pointer(slot.image_pointer(*object.kind))), slot.image) << name;
    }
  }
}

TEST(Object, ReadsWhatARolloutDependsOn) {
  const Object set = parsed(read_workload("statefulset"), "sts");
  EXPECT_EQ(set.update_strategy, "RollingUpdate");
  EXPECT_EQ(set.partition, 2);
  EXPECT_FALSE(set.paused);
  EXPECT_FALSE(set.pod_template.has_annotations);
  EXPECT_EQ(parsed(read_workload("daemonset"), "ds").update_strategy, "OnDelete");
}

TEST(Object, ReadsACronJobsInnerTemplate) {
  const Object object = parsed(read_workload("cronjob"), "cj");
  ASSERT_EQ(object.pod_template.slots.size(), 1U);
  EXPECT_EQ(object.pod_template.slots[0].image_pointer(*object.kind),
            "/spec/jobTemplate/spec/template/spec/containers/0/image");
  EXPECT_EQ(object.pod_template.annotations.size(), 1U);
  EXPECT_TRUE(object.pod_template.annotations.contains("digest.tidemark.dev/app"));
}

TEST(Object, KnowsItsController) {
  const Object object = parsed(read_workload("job"), "job");
  ASSERT_TRUE(object.controller);
  EXPECT_EQ(object.controller->api_version, "batch/v1");
  EXPECT_EQ(object.controller->kind, "CronJob");
  EXPECT_EQ(object.controller->name, "nightly");
  EXPECT_EQ(object.controller->uid, "nightly-uid");
}

TEST(Object, APodIsItsOwnTemplate) {
  const Object object = parsed(read_workload("pod"), "pod");
  EXPECT_TRUE(object.deleting);
  EXPECT_TRUE(object.pod_template.has_metadata);
  EXPECT_TRUE(object.pod_template.has_annotations);
  EXPECT_EQ(object.pod_template.annotations, object.annotations);
  ASSERT_EQ(object.pod_template.slots.size(), 1U);
  EXPECT_EQ(object.pod_template.slots[0].image_pointer(*object.kind), "/spec/containers/0/image");
  EXPECT_EQ(object.managed.at(0).stamp_keys, std::vector<std::string>{"digest.tidemark.dev/app"});
}

TEST(Object, WhoOwnsAnImageIsReadFromManagedFields) {
  const auto owner_of = [](const json& spec, const Kind& kind) {
    json fields = json::object();
    std::string pointer;
    for (const std::string& token : split_pointer(kind.template_pointer)) {
      pointer += "/f:" + token;
    }
    fields[json::json_pointer(pointer + "/f:spec")] = spec;
    const json entry{
        {"manager", "tidemark-sweeper"}, {"operation", "Update"}, {"fieldsV1", fields}};
    return parse_object(json{{"metadata", {{"managedFields", {entry}}}}}.dump(), kind)
        .value()
        .managed.at(0);
  };
  const auto container = [](const char* list, const char* field) {
    return json{{list, {{"k:{\"name\":\"app\"}", {{field, json::object()}}}}}};
  };
  const Kind& deployment = *KindTable().find("apps", "Deployment");
  const Kind& cron_job = *KindTable().find("batch", "CronJob");
  const Kind& pod = *KindTable().find("", "Pod");
  for (const Kind* kind : {&deployment, &cron_job, &pod}) {
    for (const char* list : {"f:containers", "f:initContainers", "f:volumes"}) {
      EXPECT_TRUE(is_image_of_stamp_writer(owner_of(container(list, "f:image"), *kind)))
          << kind->kind << " " << list;
    }
    EXPECT_FALSE(owner_of(container("f:containers", "f:resources"), *kind).owns_image);
    EXPECT_FALSE(owner_of(json{{"f:image", json::object()}}, *kind).owns_image);
  }
  ManagedEntry entry = owner_of(container("f:containers", "f:image"), deployment);
  entry.operation = "Apply";
  EXPECT_FALSE(is_image_of_stamp_writer(entry));
  entry.operation = "Update";
  entry.manager = "kubectl";
  EXPECT_FALSE(is_image_of_stamp_writer(entry));
}

TEST(Object, ReadsACustomKind) {
  const Kind kind{.group = "example.com",
                  .version = "v1",
                  .kind = "Fleet",
                  .plural = "fleets",
                  .template_pointer = "/metadata2/a~1b/pod"};
  const auto object = parse_object(
      R"({"spec":{"paused":"no"},"metadata2":{"a/b":{"pod":{"spec":{"containers":[{"name":"x","image":"y"}]}}}}})",
      kind);
  ASSERT_TRUE(object) << object.error().message;
  ASSERT_EQ(object->pod_template.slots.size(), 1U);
  EXPECT_FALSE(object->pod_template.has_metadata);
  EXPECT_EQ(object->pod_template.slots[0].image_pointer(*object->kind),
            "/metadata2/a~1b/pod/spec/containers/0/image");
  // Fields that have the name of a Deployment's but not its type mean something else.
  const auto odd = parse_object(
      R"({"spec":{"paused":"no","strategy":"canary","updateStrategy":{"type":7,"rollingUpdate":{"partition":"50%"}}}})",
      kind_of("deployment"));
  ASSERT_TRUE(odd) << odd.error().message;
  EXPECT_FALSE(odd->paused);
  EXPECT_EQ(odd->update_strategy, "");
  EXPECT_FALSE(odd->partition);
}

// The shapes of OpenKruise's CloneSet and Knative's Service.
TEST(Object, ReadsTheCustomKindsOfOthers) {
  const Kind clone_set =
      make_custom_kind("apps.kruise.io/v1alpha1/CloneSet", "", "/spec/template").value();
  const auto clones = parse_object(
      R"({"metadata":{"name":"web","namespace":"a"},"spec":{"replicas":5,"scaleStrategy":{"podsToDelete":["x"]},)"
      R"("updateStrategy":{"type":"InPlaceIfPossible","partition":2,"maxUnavailable":"20%"},"volumeClaimTemplates":[],)"
      R"("template":{"metadata":{"labels":{"app":"web"}},"spec":{"initContainers":[{"name":"i","image":"b:1"}],)"
      R"("containers":[{"name":"app","image":"a:1"}]}}}})",
      clone_set);
  ASSERT_TRUE(clones) << clones.error().message;
  ASSERT_EQ(clones->pod_template.slots.size(), 2U);
  EXPECT_EQ(clones->pod_template.slots[0].image_pointer(*clones->kind),
            "/spec/template/spec/initContainers/0/image");
  EXPECT_EQ(clones->update_strategy, "InPlaceIfPossible");
  EXPECT_FALSE(clones->partition) << "a StatefulSet's is elsewhere";
  const Kind service =
      make_custom_kind("serving.knative.dev/v1/Service", "", "/spec/template").value();
  EXPECT_EQ(service.plural, "services");
  const auto knative = parse_object(
      R"({"metadata":{"name":"web"},"spec":{"template":{"metadata":{"annotations":{"autoscaling.knative.dev/class":"kpa"}},)"
      R"("spec":{"containerConcurrency":10,"containers":[{"name":"user","image":"c:1","ports":[{"containerPort":80}]}]}},)"
      R"("traffic":[{"latestRevision":true,"percent":100}]}})",
      service);
  ASSERT_TRUE(knative) << knative.error().message;
  ASSERT_EQ(knative->pod_template.slots.size(), 1U);
  EXPECT_TRUE(knative->pod_template.has_annotations);
  EXPECT_EQ(knative->kind, &service);
}

TEST(Object, TakesNullForAbsent) {
  const Object object = parsed(
      R"({"metadata":{"annotations":null,"labels":null,"ownerReferences":null,"managedFields":null,"deletionTimestamp":null},)"
      R"("spec":{"template":{"metadata":null,"spec":{"containers":null,"initContainers":null,"volumes":null,"imagePullSecrets":null}}}})",
      "deployment");
  EXPECT_FALSE(object.has_annotations);
  EXPECT_FALSE(object.deleting);
  EXPECT_FALSE(object.pod_template.has_metadata);
  EXPECT_FALSE(object.pod_template.has_annotations);
  EXPECT_TRUE(object.pod_template.slots.empty());
  EXPECT_TRUE(parsed("{}", "deployment").pod_template.slots.empty());
}

TEST(Object, SkipsContainersThatCannotHaveAStamp) {
  const Object object = parsed(
      R"({"spec":{"containers":[{"image":"a"},{"name":"","image":"b"},{"name":"c"}],"volumes":[{"name":"d"},{"image":{"reference":"e"}}]}})",
      "pod");
  ASSERT_EQ(object.pod_template.slots.size(), 1U);
  EXPECT_EQ(object.pod_template.slots[0].name, "c");
  EXPECT_EQ(object.pod_template.slots[0].image, "");
  EXPECT_EQ(object.pod_template.slots[0].image_pointer(*object.kind), "/spec/containers/2/image");
}

// The same object whatever the order of its fields, and as a view into a larger text.
TEST(Object, DoesNotDependOnTheOrderOfFields) {
  const std::string text = read_workload("deployment");
  const auto reversed = [](const auto& self, const json& value) -> ordered_json {
    if (value.is_array()) {
      ordered_json out = ordered_json::array();
      for (const json& item : value) out.push_back(self(self, item));
      return out;
    }
    if (!value.is_object()) return ordered_json::parse(value.dump());
    ordered_json out = ordered_json::object();
    for (auto it = value.end(); it != value.begin();) {
      --it;
      out[it.key()] = self(self, it.value());
    }
    return out;
  };
  const std::string other = reversed(reversed, json::parse(text)).dump();
  const std::string larger = "[" + other + ",{\"trailing\":1}]";
  const Object a = parsed(text, "deployment");
  const Object b = parsed(std::string_view(larger).substr(1, other.size()), "deployment");
  EXPECT_EQ(rows(a), rows(b));
  EXPECT_EQ(a.annotations, b.annotations);
  EXPECT_EQ(a.pod_template.annotations, b.pod_template.annotations);
  EXPECT_EQ(a.managed.at(0).stamp_keys, b.managed.at(0).stamp_keys);
  EXPECT_EQ(a.paused, b.paused);
  EXPECT_EQ(a.update_strategy, b.update_strategy);
}

TEST(Object, ReadsEscapesInKeysAndValues) {
  const Object object = parsed(
      R"({"meta\u0064ata":{"name":"a\u00e9\n","annotations":{"k\/1":"\"v\""}}})", "deployment");
  EXPECT_EQ(object.name, "a\u00e9\n");
  EXPECT_EQ(object.annotations, (StringMap{{"k/1", "\"v\""}}));
}

TEST(Object, NamesThePlaceOfWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {R"({"metadata":[]})", "/metadata"},
      {R"({"metadata":{"annotations":{"a":1}}})", "/metadata/annotations/a"},
      {R"({"metadata":{"generation":"4"}})", "/metadata/generation"},
      {R"({"metadata":{"generation":99999999999999999999999999}})", "/metadata/generation"},
      {R"({"metadata":{"generation":1e400}})", "/metadata/generation"},
      {R"({"metadata":{"name":"a","name":"b"}})", "/metadata/name"},
      {R"({"metadata":{},"metadata":{}})", "/metadata"},
      {R"({"metadata":{"annotations":{"a":"1","a":"2"}}})", "/metadata/annotations/a"},
      {R"({"spec":{"template":{"spec":{"containers":{}}}}})", "/spec/template/spec/containers"},
      {R"({"spec":{"template":{"spec":{"containers":[{"name":"a"},{"name":7}]}}}})",
       "/spec/template/spec/containers/1/name"},
      {R"({"spec":{"template":7}})", "/spec/template"}};
  for (const auto& [text, path] : bad) {
    const auto object = parse_object(text, kind_of("deployment"));
    ASSERT_FALSE(object) << text;
    EXPECT_EQ(object.error().kind, ErrorKind::kInvalid);
    EXPECT_TRUE(object.error().message.starts_with("Deployment: \"" + path + "\": "))
        << object.error().message;
  }
}

TEST(Object, RefusesWhatIsNotAnObject) {
  const std::string deployment = read_workload("deployment");
  std::vector<std::string> texts = {"",
                                    " ",
                                    "null",
                                    "[]",
                                    "7",
                                    "\"x\"",
                                    "{",
                                    "{\"metadata\"",
                                    "{\"metadata\":",
                                    "{\"metadata\":{}",
                                    "{\"metadata\":tru}",
                                    "{} {}",
                                    "{}]",
                                    "{\"a\":\"\xff\xfe\"}",
                                    "{\"a\":\"\n\"}",
                                    "{\"metadata\":{\"name\":\"\\ud800\"}}",
                                    std::string("\0", 1),
                                    std::string(1'000'000, '['),
                                    std::string(1'000'000, '{')};
  for (std::size_t length = 1; length + 2 < deployment.size(); length += 97) {
    texts.push_back(deployment.substr(0, length));
  }
  for (const std::string& text : texts) {
    const auto object = parse_object(text, kind_of("deployment"));
    ASSERT_FALSE(object) << text.substr(0, 200);
    EXPECT_EQ(object.error().kind, ErrorKind::kInvalid);
    EXPECT_LT(object.error().message.size(), 500U);
  }
}

TEST(Object, IsNotHurtByDepthOrSize) {
  // What is skipped may nest as deeply as it likes: it is not recursed into.
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  EXPECT_EQ(parsed(R"({"status":)" + deep + R"(,"metadata":{"name":"x"}})", "deployment").name,
            "x");
  std::string nested = R"("end")";
  for (int i = 0; i < 5000; ++i) nested = R"({"f:spec":)" + nested + "}";
  EXPECT_EQ(parsed(R"({"metadata":{"name":"x","managedFields":[{"fieldsV1":)" + nested + "}]}}",
                   "deployment")
                .managed.size(),
            1U);
  const auto large = parse_object(std::string(kMaxObjectBytes + 1, ' '), kind_of("deployment"));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kTooLarge);
}

TEST(SlotImage, TellsWhatAnImageAsksFor) {
  const auto kind = [](std::string_view image) { return read_slot_image(image).kind; };
  EXPECT_EQ(kind(""), SlotImage::Kind::kLeftAlone);
  EXPECT_EQ(kind("auto"), SlotImage::Kind::kLeftAlone);
  EXPECT_EQ(kind("nginx"), SlotImage::Kind::kTag);
  EXPECT_EQ(kind("nginx:1"), SlotImage::Kind::kTag);
  EXPECT_EQ(kind("nginx@" + repeated_digest("a1").str()), SlotImage::Kind::kDigest);
  EXPECT_EQ(kind("nginx:1@" + repeated_digest("a1").str()), SlotImage::Kind::kDigest);
  EXPECT_EQ(kind("Nginx:"), SlotImage::Kind::kUnreadable);
  EXPECT_EQ(kind(" nginx"), SlotImage::Kind::kUnreadable);
  EXPECT_EQ(read_slot_image("nginx:1").reference->str(), "docker.io/library/nginx:1");
  EXPECT_NE(read_slot_image("nginx::").problem.find("nginx::"), std::string::npos);
}

TEST(SlotImage, HasThePullPolicyThatTheKubeletApplies) {
  const auto policy = [](std::string_view image, std::string_view written = "") {
    Slot slot;
    slot.image = image;
    slot.pull_policy = written;
    return effective_pull_policy(slot);
  };
  EXPECT_EQ(policy("nginx"), "Always");
  EXPECT_EQ(policy("nginx:latest"), "Always");
  EXPECT_EQ(policy("nginx:1"), "IfNotPresent");
  EXPECT_EQ(policy("nginx@" + repeated_digest("a1").str()), "IfNotPresent");
  EXPECT_EQ(policy("nginx:latest@" + repeated_digest("a1").str()), "Always");
  EXPECT_EQ(policy("?"), "IfNotPresent");
  EXPECT_EQ(policy("nginx", "Never"), "Never");
}

}  // namespace
}  // namespace tidemark::workload
