#include "workload/bare_template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "workload/object.h"
#include "workload/test_data.h"

namespace tidemark::workload {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using test::kind_of;
using test::read_workload;
using test::repeated_digest;

const json::json_pointer kDeploymentTemplate("/spec/template");

bool same(const std::string& before, const std::string& after, std::string_view kind) {
  const auto old = parse_object(before, kind_of(kind));
  EXPECT_TRUE(old);
  const auto answer =
      same_bare_template(before, after, kind_of(kind), read_stamps(old->pod_template.annotations));
  EXPECT_TRUE(answer) << answer.error().message;
  return answer.value_or(false);
}

using Change = std::function<void(json& pod_template)>;

// Applies `change` to the template of the saved Deployment and compares old with new.
bool same_after(const Change& change) {
  const std::string before = read_workload("deployment");
  json object = json::parse(before);
  change(object[kDeploymentTemplate]);
  return same(before, object.dump(), "deployment");
}

// Every object's members in a random order.
ordered_json shuffled(const json& value, std::mt19937& random) {
  if (value.is_array()) {
    ordered_json out = ordered_json::array();
    for (const json& item : value) out.push_back(shuffled(item, random));
    return out;
  }
  if (!value.is_object()) return ordered_json::parse(value.dump());
  std::vector<std::string> keys;
  for (const auto& [key, item] : value.items()) keys.push_back(key);
  std::ranges::shuffle(keys, random);
  ordered_json out = ordered_json::object();
  for (const std::string& key : keys) out[key] = shuffled(value[key], random);
  return out;
}

TEST(BareTemplate, IsTheSameForWhatNobodyWrote) {
  const std::vector<std::pair<std::string, Change>> changes = {
      {"nothing", [](json&) {}},
      {"all stamps stripped",
       [](json& t) {
         t["metadata"]["annotations"] = {{"example.com/checksum", "0c1f"}};
       }},
      {"one stamp removed",
       [](json& t) { t["metadata"]["annotations"].erase("digest.tidemark.dev/app"); }},
      {"a stamp forged",
       [](json& t) { t["metadata"]["annotations"]["digest.tidemark.dev/app"] = "forged"; }},
      {"a stamp added",
       [](json& t) { t["metadata"]["annotations"]["digest.tidemark.dev/other"] = "x"; }},
      {"nulls added",
       [](json& t) {
         t["spec"]["nodeName"] = nullptr;
         t["spec"]["containers"][0]["lifecycle"] = nullptr;
         t["metadata"]["ownerReferences"] = nullptr;
       }},
      {"nulls removed", [](json& t) { t["metadata"].erase("creationTimestamp"); }},
      {"pinned",
       [](json& t) {
         t["spec"]["containers"][0]["image"] =
             "registry.local:5000/team/app:1.4@" + repeated_digest("a1").str();
       }},
      {"pinned where no tag was written",
       [](json& t) {
         t["spec"]["initContainers"][0]["image"] = "busybox:latest@" + repeated_digest("a1").str();
       }},
      {"an image volume pinned",
       [](json& t) {
         t["spec"]["volumes"][1]["image"]["reference"] =
             "ghcr.io/team/model:v2@" + repeated_digest("a1").str();
       }},
  };
  for (const auto& [name, change] : changes) EXPECT_TRUE(same_after(change)) << name;
}

TEST(BareTemplate, DiffersAfterEveryEdit) {
  const auto set_image = [](std::string image) -> Change {
    return [image](json& t) { t["spec"]["containers"][0]["image"] = image; };
  };
  const std::vector<std::pair<std::string, Change>> changes = {
      {"environment", [](json& t) { t["spec"]["containers"][0]["env"][1]["value"] = "debug"; }},
      {"order of containers",
       [](json& t) { std::swap(t["spec"]["containers"][0], t["spec"]["containers"][1]); }},
      {"order of environment",
       [](json& t) {
         std::swap(t["spec"]["containers"][0]["env"][0], t["spec"]["containers"][0]["env"][1]);
       }},
      {"rollout restart",
       [](json& t) {
         t["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "2026-01-31T08:15:00Z";
       }},
      {"another annotation",
       [](json& t) { t["metadata"]["annotations"]["example.com/checksum"] = "0c20"; }},
      {"an annotation removed",
       [](json& t) { t["metadata"]["annotations"].erase("example.com/checksum"); }},
      {"a user's key of ours",
       [](json& t) { t["metadata"]["annotations"]["tidemark.dev/sweep"] = "off"; }},
      {"a label", [](json& t) { t["metadata"]["labels"]["tier"] = "web"; }},
      {"labels removed", [](json& t) { t["metadata"].erase("labels"); }},
      {"a number", [](json& t) { t["spec"]["terminationGracePeriodSeconds"] = 31; }},
      {"a flag", [](json& t) { t["spec"]["hostNetwork"] = false; }},
      {"a type", [](json& t) { t["spec"]["terminationGracePeriodSeconds"] = "30"; }},
      {"an empty object that means something",
       [](json& t) { t["spec"]["volumes"][0].erase("emptyDir"); }},
      {"a container added",
       [](json& t) {
         t["spec"]["containers"].push_back({{"name", "new"}, {"image", "new"}});
       }},
      {"a container removed", [](json& t) { t["spec"]["containers"].erase(1); }},
      {"a container renamed", [](json& t) { t["spec"]["containers"][0]["name"] = "app2"; }},
      {"another tag", set_image("registry.local:5000/team/app:1.5")},
      {"another repository", set_image("registry.local:5000/team/app2:1.4")},
      {"a digest of the owner's",
       set_image("registry.local:5000/team/app:1.4@" + repeated_digest("b2").str())},
      {"the stamped digest, for another tag",
       set_image("registry.local:5000/team/app:1.5@" + repeated_digest("a1").str())},
      {"the stamped digest without a tag",
       set_image("registry.local:5000/team/app@" + repeated_digest("a1").str())},
      {"no image", set_image("")},
      {"a spelling that means the same",
       [](json& t) { t["spec"]["initContainers"][0]["image"] = "docker.io/library/busybox"; }},
      {"the other container's pin",
       [](json& t) {
         t["spec"]["containers"][1]["image"] =
             "registry.local:5000/team/app:1.4@" + repeated_digest("a1").str();
       }},
      {"the whole template removed", [](json& t) { t = nullptr; }},
      {"the spec removed", [](json& t) { t.erase("spec"); }},
  };
  for (const auto& [name, change] : changes) EXPECT_FALSE(same_after(change)) << name;
}

// An old object that carries our pin, and the client that re-applies what its owner wrote.
TEST(BareTemplate, TakesPinsBackOnBothSides) {
  const std::string written = read_workload("deployment");
  json pinned = json::parse(written);
  json& spec = pinned[kDeploymentTemplate]["spec"];
  spec["containers"][0]["image"] =
      "registry.local:5000/team/app:1.4@" + repeated_digest("a1").str();
  spec["initContainers"][0]["image"] = "busybox:latest@" + repeated_digest("a1").str();
  EXPECT_TRUE(same(pinned.dump(), pinned.dump(2), "deployment"));
  EXPECT_TRUE(same(pinned.dump(), written, "deployment"));

  json implied = json::parse(written);
  implied[kDeploymentTemplate]["spec"]["initContainers"][0]["image"] = "busybox:latest";
  EXPECT_TRUE(same(pinned.dump(), implied.dump(), "deployment"));

  json other = json::parse(written);
  other[kDeploymentTemplate]["spec"]["containers"][0]["image"] = "registry.local:5000/team/app:1.5";
  EXPECT_FALSE(same(pinned.dump(), other.dump(), "deployment"));

  // Without an old stamp the digest is the owner's own.
  pinned[kDeploymentTemplate]["metadata"].erase("annotations");
  json bare = json::parse(written);
  bare[kDeploymentTemplate]["metadata"].erase("annotations");
  EXPECT_FALSE(same(pinned.dump(), bare.dump(), "deployment"));
}

TEST(BareTemplate, ANameOfAVolumeIsNotANameOfAContainer) {
  json before = json::parse(read_workload("deployment"));
  json& t = before[kDeploymentTemplate];
  t["metadata"]["annotations"] = {
      {"digest.tidemark.dev/model", "ghcr.io/team/model:v2@" + repeated_digest("a1").str()}};
  json after = before;
  after[kDeploymentTemplate]["spec"]["volumes"][1]["image"]["reference"] =
      "ghcr.io/team/model:v2@" + repeated_digest("a1").str();
  EXPECT_FALSE(same(before.dump(), after.dump(), "deployment"));
}

TEST(BareTemplate, EmptyMetadataEqualsNone) {
  const auto with = [](std::string_view metadata) {
    return std::string(R"({"spec":{"template":{)") + std::string(metadata) +
           R"("spec":{"containers":[{"name":"a","image":"b"}]}}}})";
  };
  const std::vector<std::string> nothings = {
      with(""),
      with(R"("metadata":null,)"),
      with(R"("metadata":{},)"),
      with(R"("metadata":{"annotations":{}},)"),
      with(R"("metadata":{"annotations":null,"creationTimestamp":null,"labels":{}},)"),
      with(R"("metadata":{"annotations":{"digest.tidemark.dev/a":"x"}},)")};
  for (const std::string& a : nothings) {
    for (const std::string& b : nothings) EXPECT_TRUE(same(a, b, "deployment")) << a << "\n" << b;
    EXPECT_FALSE(same(a, with(R"("metadata":{"annotations":{"k":""}},)"), "deployment")) << a;
    EXPECT_FALSE(same(a, with(R"("metadata":{"labels":{"k":""}},)"), "deployment")) << a;
  }
}

TEST(BareTemplate, LooksAtTheTemplateAlone) {
  const std::string before = read_workload("deployment");
  json object = json::parse(before);
  object["metadata"]["annotations"] = {{"k", "v"}};
  object["metadata"]["resourceVersion"] = "99";
  object["spec"]["replicas"] = 7;
  object["spec"]["paused"] = false;
  object.erase("status");
  EXPECT_TRUE(same(before, object.dump(), "deployment"));

  const std::string cron = read_workload("cronjob");
  json job = json::parse(cron);
  job["spec"]["jobTemplate"]["metadata"]["annotations"]["note"] = "changed";
  job["spec"]["schedule"] = "0 4 * * *";
  EXPECT_TRUE(same(cron, job.dump(), "cronjob"));
  job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never";
  EXPECT_FALSE(same(cron, job.dump(), "cronjob"));
}

TEST(BareTemplate, OfAPodIsItsSpec) {
  const std::string before = read_workload("pod");
  json pod = json::parse(before);
  pod["metadata"].erase("annotations");
  pod["metadata"]["labels"]["x"] = "y";
  pod["status"]["phase"] = "Failed";
  pod["spec"]["containers"][0]["image"] = "nginx:1.27@" + repeated_digest("a1").str();
  EXPECT_TRUE(same(before, pod.dump(), "pod"));
  pod["spec"]["containers"][0]["image"] = "nginx:1.28";
  EXPECT_FALSE(same(before, pod.dump(), "pod"));
}

TEST(BareTemplate, ObjectsWithoutATemplateAreTheSame) {
  EXPECT_TRUE(same("{}", R"({"spec":{"template":null}})", "deployment"));
  EXPECT_TRUE(same("{}", R"({"spec":null})", "deployment"));
  EXPECT_FALSE(same("{}", R"({"spec":{"template":{}}})", "deployment"));
  EXPECT_TRUE(same("{}", "{}", "pod"));
}

// Any mixture of changes that nobody wrote leaves it the same; with one edit added it differs.
TEST(BareTemplate, HoldsForRandomMixtures) {
  std::mt19937 random(20260131);  // NOLINT(cert-msc51-cpp): the same mixtures in every run
  const std::string before = read_workload("deployment");
  const auto coin = [&] { return std::uniform_int_distribution<int>(0, 1)(random) == 1; };
  const std::string pin = "@" + repeated_digest("a1").str();
  for (int round = 0; round < 300; ++round) {
    json object = json::parse(before);
    json& t = object[kDeploymentTemplate];
    for (const std::string key : {"digest.tidemark.dev/app", "digest.tidemark.dev/migrate",
                                  "volume-digest.tidemark.dev/model"}) {
      if (coin()) t["metadata"]["annotations"].erase(key);
    }
    if (coin()) t["metadata"]["creationTimestamp"] = nullptr;
    if (coin()) t["spec"]["containers"][0]["image"] = "registry.local:5000/team/app:1.4" + pin;
    if (coin()) t["spec"]["initContainers"][0]["image"] = "busybox:latest" + pin;
    if (coin()) t["spec"]["volumes"][1]["image"]["reference"] = "ghcr.io/team/model:v2" + pin;
    if (coin()) t["spec"]["priority"] = nullptr;
    if (coin()) object["spec"]["replicas"] = round;
    EXPECT_TRUE(same(before, shuffled(object, random).dump(coin() ? 2 : -1), "deployment"))
        << object;

    // One leaf of the template, any, changed.
    const json flat = t.flatten();
    std::vector<std::string> leaves;
    for (const auto& [path, value] : flat.items()) {
      if (path.find("tidemark.dev") == std::string::npos && !value.is_null())
        leaves.push_back(path);
    }
    const std::string leaf =
        leaves[std::uniform_int_distribution<std::size_t>(0, leaves.size() - 1)(random)];
    t[json::json_pointer(leaf)] = "changed";
    EXPECT_FALSE(same(before, shuffled(object, random).dump(), "deployment")) << leaf;
  }
}

TEST(BareTemplate, ComparesALargeTemplate) {
  json object = json::parse(read_workload("deployment"));
  json& env = object[kDeploymentTemplate]["spec"]["containers"][0]["env"];
  for (int i = 0; i < 20'000; ++i) {
    env.push_back({{"name", "VARIABLE_" + std::to_string(i)}, {"value", "some value of it"}});
  }
  StringMap annotations;
  for (int i = 0; i < 2'000; ++i) annotations["k" + std::to_string(i)] = "v";
  object[kDeploymentTemplate]["metadata"]["annotations"] = annotations;
  const std::string before = object.dump();
  ASSERT_GT(before.size(), std::size_t{1024} * 1024);
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp)
  EXPECT_TRUE(same(before, shuffled(object, random).dump(), "deployment"));
  env.back()["value"] = "another value";
  EXPECT_FALSE(same(before, object.dump(), "deployment"));
}

TEST(BareTemplate, RefusesWhatIsNotJson) {
  const std::string good = read_workload("deployment");
  const auto with_spec = [](const std::string& spec) {
    return R"({"spec":{"template":{"spec":)" + spec + "}}}";
  };
  const std::string deep_array = std::string(70, '[') + std::string(70, ']');
  std::vector<std::string> bad = {"",
                                  "x",
                                  "[]",
                                  "{",
                                  good.substr(0, good.size() / 2),
                                  good + "{}",
                                  R"({"spec":{"template":[]}})",
                                  R"({"spec":{"template":{}},"spec":{}})",
                                  with_spec(R"({"a":tru})"),
                                  with_spec(R"({"a":99999999999999999999999})"),
                                  with_spec(R"({"a":1e999})"),
                                  with_spec("{\"a\":\"\xff\"}"),
                                  with_spec(R"({"a":"\ud800"})"),
                                  with_spec(R"({"a":"\x"})"),
                                  with_spec(deep_array),
                                  with_spec(std::string(1'000'000, '[')),
                                  with_spec(std::string(1'000'000, '{'))};
  for (const std::string& text : bad) {
    for (const bool new_is_bad : {false, true}) {
      const auto answer = same_bare_template(new_is_bad ? good : text, new_is_bad ? text : good,
                                             kind_of("deployment"), {});
      ASSERT_FALSE(answer) << text.substr(0, 200);
      EXPECT_EQ(answer.error().kind, ErrorKind::kInvalid);
      EXPECT_LT(answer.error().message.size(), 200U);
    }
  }
  // A key twice: which of the two counts depends on the reader.
  const std::string twice = with_spec(R"({"a":1,"a":2})");
  EXPECT_FALSE(same_bare_template(twice, with_spec(R"({"a":2})"), kind_of("deployment"), {}));
  const auto large =
      same_bare_template(std::string(kMaxObjectBytes + 1, ' '), good, kind_of("deployment"), {});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind, ErrorKind::kTooLarge);
}

// Bytes changed, cut out and doubled at random: an answer or kInvalid, never anything else.
TEST(BareTemplate, SurvivesMutilatedObjects) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp)
  const std::string good = read_workload("deployment");
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  const std::string_view pieces[] = {"{", "}",  "[",    "]",     "\"",   ",",
                                     ":", "\\", "null", "\\u00", "\xff", "1e9"};
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (std::size_t i = 0, n = 1 + below(4); i < n; ++i) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
        case 0:
          text.replace(at, 1, pieces[below(std::size(pieces))]);
          break;
        case 1:
          text.erase(at, 1 + below(40));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), 1 + below(200)));
          break;
      }
    }
    const auto object = parse_object(text, kind_of("deployment"));
    const auto answer = same_bare_template(good, text, kind_of("deployment"), {});
    if (!object) {
      EXPECT_EQ(object.error().kind, ErrorKind::kInvalid);
      ++refused;
    }
    if (!answer) {
      EXPECT_EQ(answer.error().kind, ErrorKind::kInvalid);
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tidemark::workload
