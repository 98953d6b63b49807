#include "sweeper/migrate.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sweeper/cluster.h"
#include "sweeper/commands.h"
#include "sweeper/hold.h"
#include "sweeper/output.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using Action = Migration::Action;

const std::string kPin = std::string(kImage) + "@" + fake_digest('a').str();

// A workload as another program finds it: no setting of Tidemark's, no stamp.
struct Found {
  std::string kind = "Deployment";
  json labels = json::object();
  json annotations = json::object();
  std::string image = kImage;
  std::string init_image{};
  json template_annotations = json::object();
};

json json_of(const Found& found) {
  Spec spec{.kind = found.kind};
  spec.containers = {Container{.image = found.image, .stamp = ""}};
  if (!found.init_image.empty()) {
    spec.containers.push_back(
        {.name = "setup", .image = found.init_image, .stamp = "", .init = true});
  }
  spec.annotations = found.annotations;
  json object = object_of(spec);
  object["metadata"]["labels"] = found.labels;
  object[json::json_pointer(kind_of(spec).template_pointer)]["metadata"]["annotations"] =
      found.template_annotations;
  return object;
}

workload::Object object(const Found& found) {
  const Spec spec{.kind = found.kind};
  return workload::parse_object(json_of(found).dump(), kind_of(spec)).value();
}

// "keel label keel.sh/policy -> tidemark.dev/sweep=roll (note)", one line a finding.
std::string text(const std::vector<Migration>& found) {
  std::string out;
  for (const Migration& change : found) {
    out += std::string(to_string(change.from)) + " " + std::string(change.place) + " " + change.key;
    if (change.action != Action::kNone) out += " " + std::string(to_string(change.action));
    if (!change.target.empty()) out += " " + change.target;
    if (!change.value.empty()) out += "=" + change.value;
    if (!change.note.empty()) out += " (" + change.note + ")";
    out += "\n";
  }
  return out;
}

std::string found_in(const Found& found, const MigrateRequest& request = {},
                     const workload::Metadata& ns = {}) {
  return text(migrations_of(object(found), ns, request));
}

struct Case {
  std::string what;
  Found found;
  std::string expected;
};

void expect_all(const std::vector<Case>& cases, const MigrateRequest& request = {},
                const workload::Metadata& ns = {}) {
  for (const Case& test : cases) {
    EXPECT_EQ(found_in(test.found, request, ns), test.expected) << test.what;
  }
}

TEST(Migrate, OptInLabels) {
  expect_all({
      {"nothing", {}, ""},
      {"figwasp",
       {.labels = {{"figwasp/target", "true"}}},
       "figwasp label figwasp/target write tidemark.dev/sweep=roll\n"},
      {"another value",
       {.labels = {{"figwasp/target", "True"}}},
       "figwasp label figwasp/target (figwasp looks for \"true\" alone)\n"},
      {"another kind",
       {.kind = "StatefulSet", .labels = {{"figwasp/target", "true"}}},
       "figwasp label figwasp/target (figwasp does not look at a StatefulSet)\n"},
      {"an annotation is not looked at", {.annotations = {{"figwasp/target", "true"}}}, ""},
      {"kube-autorollout",
       {.kind = "DaemonSet", .labels = {{"kube-autorollout/enabled", "true"}}},
       "kube-autorollout label kube-autorollout/enabled write tidemark.dev/sweep=roll\n"},
      {"a CronJob",
       {.kind = "CronJob", .labels = {{"kube-autorollout/enabled", "true"}}},
       "kube-autorollout label kube-autorollout/enabled (kube-autorollout does not look at a "
       "CronJob)\n"},
      {"both ask for the same",
       {.labels = {{"kube-autorollout/enabled", "true"}, {"figwasp/target", "true"}}},
       "figwasp label figwasp/target write tidemark.dev/sweep=roll\n"},
      {"done already",
       {.labels = {{"figwasp/target", "true"}}, .annotations = {{"tidemark.dev/sweep", "roll"}}},
       ""},
      {"what the user says stands",
       {.labels = {{"figwasp/target", "true"}}, .annotations = {{"tidemark.dev/sweep", "off"}}},
       "figwasp label figwasp/target (tidemark.dev/sweep: \"off\" is set, and stands)\n"},
      {"as a label too, and a value that cannot be read",
       {.labels = {{"figwasp/target", "true"}, {"tidemark.dev/sweep", "rol"}}},
       "figwasp label figwasp/target (tidemark.dev/sweep: \"rol\" is set, and stands)\n"},
  });
  const workload::Metadata quiet{.annotations = {{"tidemark.dev/sweep", "report"}}, .labels = {}};
  expect_all({{"of the namespace",
               {.labels = {{"figwasp/target", "true"}}},
               "figwasp label figwasp/target (tidemark.dev/sweep: \"report\" is set on the "
               "namespace, and stands)\n"}},
             {}, quiet);
}

TEST(Migrate, KeelPolicies) {
  const auto policy = [](const std::string& value) {
    return Found{.annotations = {{"keel.sh/policy", value}, {"keel.sh/matchTag", "true"}}};
  };
  const std::string key = "keel annotation keel.sh/policy ";
  const auto of_tag = [&](const std::string& value, const std::string& tag) {
    Found found = policy(value);
    found.image = "registry.test/app" + (tag.empty() ? "" : ":" + tag);
    return found;
  };
  const auto chosen = [&](const std::string& text) {
    return key + "write policy.tidemark.dev/app=" + text + "\n" + key +
           "write tidemark.dev/sweep=roll\n";
  };
  const std::string not_translated =
      key + "(not translated: its tags are no versions, or its expression is none of RE2's)\n";
  expect_all({
      {"force", policy("force"), key + "write tidemark.dev/sweep=roll\n"},
      {"never", policy("never"), key + "write tidemark.dev/sweep=off\n"},
      {"empty", policy(""), key + "write tidemark.dev/sweep=off\n"},
      {"all", of_tag("all", "1.2.3"), chosen("semver: *")},
      {"major", of_tag("major", "1.2.3"), chosen("semver: *")},
      {"minor", of_tag("minor", "v1.2.3"), chosen("semver: 1.x")},
      {"patch", of_tag("patch", "1.2.3"), chosen("semver: ~1.2")},
      {"patch of two numbers", of_tag("patch", "0.7"), chosen("semver: ~0.7")},
      {"patch of one number", of_tag("patch", "3"), chosen("semver: ~3.0")},
      {"no version", of_tag("minor", "main"), not_translated},
      {"no tag", of_tag("minor", ""), not_translated},
      {"a pre-release", of_tag("minor", "1.2.3-rc.1"), not_translated},
      {"glob", policy("glob:build-*.x"), chosen("alphabetical: asc\nfilter: ^build-.*\\.x$")},
      {"regexp", policy("regexp:^([a-z]+)+$"), chosen("alphabetical: asc\nfilter: ^([a-z]+)+$")},
      {"regexp with what is compared", policy("regexp:^r(?P<compare>[0-9]+)$"),
       chosen("alphabetical: asc\nfilter: ^r(?P<compare>[0-9]+)$\nextract: $compare")},
      {"regexp that is none", policy("regexp:("), not_translated},
      {"a choice that somebody approves",
       {.annotations = {{"keel.sh/approvals", "1"}, {"keel.sh/policy", "minor"}},
        .image = "registry.test/app:1.2.3"},
       key + "write policy.tidemark.dev/app=semver: 1.x\n" + key +
           "write tidemark.dev/sweep=report (not \"roll\": Keel asks somebody first)\n"
           "keel annotation keel.sh/approvals (no counterpart: nobody is asked before a roll)\n"},
      {"init containers of a choice",
       {.annotations = {{"keel.sh/initContainers", "true"}, {"keel.sh/policy", "patch"}},
        .image = "registry.test/app:1.2.3",
        .init_image = "registry.test/setup:main"},
       key + "write policy.tidemark.dev/app=semver: ~1.2\n" + key +
           "write tidemark.dev/sweep=roll (setup: followed under the written tag, which is no "
           "version)\n"},
      {"unknown", policy("forced"), key + "(Keel knows no such policy, and does nothing)\n"},
      {"any tag",
       {.labels = {{"keel.sh/policy", "force"}}},
       "keel label keel.sh/policy write tidemark.dev/sweep=roll (Keel took any tag that was "
       "pushed, Tidemark follows the written one)\n"},
      {"matchTag beside the other place does not count",
       {.labels = {{"keel.sh/policy", "force"}}, .annotations = {{"keel.sh/matchTag", "true"}}},
       "keel label keel.sh/policy write tidemark.dev/sweep=roll (Keel took any tag that was "
       "pushed, Tidemark follows the written one)\n"},
      {"its former names",
       {.labels = {{"keel.observer/policy", "force"}, {"keel.sh/match-tag", "true"}}},
       "keel label keel.observer/policy write tidemark.dev/sweep=roll\n"},
      {"annotations decide before labels",
       {.labels = {{"keel.sh/policy", "force"}}, .annotations = {{"keel.sh/policy", "minor"}}},
       chosen("semver: 1.x") +
           "keel label keel.sh/policy (Keel reads the annotation keel.sh/policy instead)\n"},
      {"approvals",
       {.annotations = {{"keel.sh/approvals", "1"},
                        {"keel.sh/matchTag", "true"},
                        {"keel.sh/policy", "force"}}},
       key + "write tidemark.dev/sweep=report (not \"roll\": Keel asks somebody first)\n"
             "keel annotation keel.sh/approvals (no counterpart: nobody is asked before a roll)\n"},
      {"init containers",
       {.annotations = {{"keel.sh/matchTag", "true"}, {"keel.sh/policy", "force"}},
        .init_image = kImage},
       key + "write tidemark.dev/sweep=roll (init containers are followed too)\n"},
      {"init containers, as Keel does",
       {.annotations = {{"keel.sh/initContainers", "true"},
                        {"keel.sh/matchTag", "true"},
                        {"keel.sh/policy", "force"}},
        .init_image = kImage},
       key + "write tidemark.dev/sweep=roll\n"},
  });
}

TEST(Migrate, KeelMonitorsContainersByExpression) {
  const auto monitoring = [](const std::string& value) {
    return Found{.annotations = {{"keel.sh/matchTag", "true"},
                                 {"keel.sh/monitorContainers", value},
                                 {"keel.sh/policy", "force"}},
                 .init_image = kImage};
  };
  const std::string key = "keel annotation keel.sh/policy ";
  const std::string roll =
      key + "write tidemark.dev/sweep=roll (init containers are followed too)\n";
  expect_all({
      {"a name", monitoring("^app$"), key + "write tidemark.dev/ignore-containers=setup\n" + roll},
      {"a part of a name", monitoring("ap|up$"), roll},
      {"nothing", monitoring("^other"),
       key + "write tidemark.dev/ignore-containers=setup,app\n" + roll},
      {"an expression is not evaluated", monitoring("^(a+)+$"),
       key + "(keel.sh/monitorContainers is an expression: set tidemark.dev/ignore-containers and "
             "tidemark.dev/sweep yourself)\n"},
  });
}

TEST(Migrate, KeelKeysWithoutACounterpartAreTold) {
  const Found found{.annotations = {{"keel.sh/notify", "#ops"},
                                    {"keel.sh/pollSchedule", "@every 5m"},
                                    {"keel.sh/releaseNotes", "https://example.test"},
                                    {"keel.sh/trigger", "poll"},
                                    {"keel.sh/unheard", "of"}}};
  EXPECT_EQ(found_in(found),
            "keel annotation keel.sh/notify (no counterpart: Events of the workload tell of its "
            "rolls)\n"
            "keel annotation keel.sh/pollSchedule (no counterpart: sweeper.interval or "
            "sweeper.schedule is that of all workloads)\n"
            "keel annotation keel.sh/releaseNotes (no counterpart)\n"
            "keel annotation keel.sh/trigger (no counterpart: the sweeper asks for every tag, and "
            "takes pushes)\n"
            "keel annotation keel.sh/unheard (no counterpart is known)\n");
  EXPECT_EQ(found_in(found, {.from = {Peer::kFigwasp}}), "");
}

const std::string kApplyAgain =
    " (apply its manifest once more when imago is off, which rolls (as --unpin does))\n";
const std::string kMayBeYours =
    " (leave it where the pin is your own; else apply its manifest without it, which rolls)\n";

json recorded(const std::string& image) {
  return {{"imago-config-spec",
           json{{"containers", {{{"name", "app"}, {"image", image}}}}, {"initContainers", nullptr}}
               .dump()}};
}

json applied(const std::string& image) {
  const json pod{{"containers", {{{"name", "app"}, {"image", image}}}}};
  return {{"kubectl.kubernetes.io/last-applied-configuration",
           json{{"spec", {{"template", {{"spec", pod}}}}}}.dump()}};
}

TEST(Migrate, Pins) {
  const std::string repository = std::string(kImage).substr(0, std::string(kImage).rfind(':'));
  const std::string by_digest = repository + "@" + fake_digest('a').str();
  const std::string settings =
      "imago annotation imago-config-spec write tidemark.dev/sweep=roll\n"
      "imago annotation imago-config-spec write tidemark.dev/mode=pin\n";
  const std::string by_hand = "imago image app by-hand=" + std::string(kImage);
  expect_all({
      {"nobody's", {.image = kPin}, by_hand + kMayBeYours},
      {"a digest alone may be its owner's", {.image = by_digest}, ""},
      {"imago's, by its record",
       {.annotations = recorded(kImage), .image = kPin},
       by_hand + kApplyAgain + settings},
      {"that of its first releases, by the manifest",
       {.annotations = applied(kImage), .image = by_digest},
       by_hand + kApplyAgain},
      {"its owner's, by the manifest", {.annotations = applied(kPin), .image = kPin}, ""},
      {"its owner's, by imago's record", {.annotations = recorded(kPin), .image = kPin}, settings},
      {"a record of another image",
       {.annotations = recorded("evil.test/app:1"), .image = kPin},
       "imago image app (imago-config-spec names another image: look at it)\n" + settings},
      {"a record of another tag",
       {.annotations = recorded(repository + ":2"), .image = kPin},
       "imago image app (imago-config-spec names another image: look at it)\n" + settings},
      {"a record that cannot be read",
       {.annotations = {{"imago-config-spec", "[{"}}, .image = kPin},
       by_hand + kMayBeYours + settings},
      {"one of other types",
       {.annotations = {{"imago-config-spec", R"({"containers":[{"name":1},[],{"image":"x"}]})"}},
        .image = kPin},
       by_hand + kMayBeYours + settings},
      {"imago's restarts",
       {.template_annotations = {{"imago/restartedAt", "2026-01-01T00:00:00Z"}}},
       "imago template annotation imago/restartedAt write tidemark.dev/sweep=roll\n"},
      {"Tidemark's own",
       {.image = kPin,
        .template_annotations = {{"digest.tidemark.dev/app", stamp_text(kImage, 'a')}}},
       ""},
      {"no image at all", {.image = "UPPER@sha256:1"}, ""},
  });
}

TEST(Migrate, UnpinWritesTheImageWhereItIsKnownOrAskedFor) {
  const std::string unpinned = "imago image app unpin=" + std::string(kImage) +
                               " (ROLLS: new pods run what the tag names then)\n";
  expect_all({{"by the manifest", {.annotations = applied(kImage), .image = kPin}, unpinned},
              {"nobody's",
               {.image = kPin},
               "imago image app by-hand=" + std::string(kImage) + kMayBeYours}},
             {.unpin = true});
  expect_all({{"nobody's", {.image = kPin}, unpinned}}, {.from = {Peer::kImago}, .unpin = true});
}

TEST(Migrate, DigesterPinsInItsNamespaces) {
  const workload::Metadata ns{.annotations = {}, .labels = {{"digest-resolution", "enabled"}}};
  EXPECT_EQ(found_in({.image = kPin}, {}, ns),
            "k8s-digester image app by-hand=" + std::string(kImage) + kMayBeYours);
  EXPECT_EQ(found_in({.image = kPin}, {.from = {Peer::kImago}}, ns), "");
  const auto of_namespace = [](const std::string& label, const MigrateRequest& request = {}) {
    workload::Object object;
    object.kind = &namespace_kind();
    object.labels = {{"digest-resolution", label}};
    return text(migrations_of(object, {}, request));
  };
  EXPECT_EQ(of_namespace("enabled"),
            "k8s-digester label digest-resolution write tidemark.dev/mode=pin\n");
  EXPECT_EQ(of_namespace("disabled"),
            "k8s-digester label digest-resolution (k8s-digester looks for \"enabled\" alone)\n");
  EXPECT_EQ(of_namespace("enabled", {.remove = true}),
            "k8s-digester label digest-resolution write tidemark.dev/mode=pin\n"
            "k8s-digester label digest-resolution remove\n");
}

TEST(Migrate, RemovesWhatNothingIsLostWith) {
  const std::string roll = " write tidemark.dev/sweep=roll\n";
  expect_all(
      {{"figwasp",
        {.labels = {{"figwasp/target", "true"}}},
        "figwasp label figwasp/target" + roll + "figwasp label figwasp/target remove\n"},
       {"all of Keel's",
        {.labels = {{"keel.sh/trigger", "poll"}},
         .annotations = {{"keel.sh/matchTag", "true"}, {"keel.sh/policy", "force"}}},
        "keel annotation keel.sh/policy" + roll +
            "keel label keel.sh/trigger (no counterpart: the sweeper asks for every tag, and takes "
            "pushes)\n"
            "keel annotation keel.sh/matchTag remove\n"
            "keel annotation keel.sh/policy remove\n"
            "keel label keel.sh/trigger remove\n"},
       {"not a policy that stays Keel's",
        {.annotations = {{"keel.sh/policy", "minor"}}, .image = "registry.test/app:main"},
        "keel annotation keel.sh/policy (not translated: its tags are no versions, or its "
        "expression is none of RE2's)\n"},
       {"not imago's record while a pin needs it",
        {.annotations = recorded(kImage), .image = kPin},
        "imago image app by-hand=" + std::string(kImage) + kApplyAgain +
            "imago annotation imago-config-spec" + roll +
            "imago annotation imago-config-spec write tidemark.dev/mode=pin\n"},
       {"nothing of the template",
        {.template_annotations = {{"keel.sh/update-time", "t"}}},
        "keel template annotation keel.sh/update-time (stays: to take it out of the template would "
        "roll)\n"}},
      {.remove = true});
}

TEST(Migrate, KnowsItsProgramsByName) {
  const auto peers = parse_peers({"keel", "kubernetes-image-sync", "imago"});
  ASSERT_TRUE(peers);
  EXPECT_EQ(*peers, (std::set<Peer>{Peer::kImago, Peer::kKeel}));
  const auto unknown = parse_peers({"flux"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message,
            "unknown program \"flux\" (figwasp,kube-autorollout,imago,k8s-digester,keel)");
}

class MigrateCommand : public ::testing::Test {
 protected:
  MigrateCommand() {
    options_.command = Command::kMigrate;
    cluster_.add_namespace("team-b", {{"labels", {{"digest-resolution", "enabled"}}}});
    put("keel", {.annotations = {{"keel.sh/matchTag", "true"},
                                 {"keel.sh/pollSchedule", "@every 5m"},
                                 {"keel.sh/policy", "force"}}});
    put("pinned", {.annotations = recorded(kImage), .image = kPin});
    put("quiet", {});
    put("wasp", {.labels = {{"figwasp/target", "true"}, {"team", "a"}}});
  }
  static std::string path(const std::string& name) {
    return "/apis/apps/v1/namespaces/team-a/deployments/" + name;
  }
  void put(const std::string& name, const Found& found) {
    json object = json_of(found);
    object["metadata"]["name"] = name;
    cluster_.api.put(path(name), object.dump());
  }
  std::string call(int expected = kExitOk) {
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(migrate(cluster_.context(), options_, {out, err}, {}), expected) << err.str();
    return out.str() + err.str();
  }
  json metadata(const std::string& name) { return cluster_.api.object(path(name))["metadata"]; }

  Cluster cluster_;
  Options options_;
};

TEST_F(MigrateCommand, TellsAndWritesNothing) {
  EXPECT_EQ(
      call(),
      R"(NAMESPACE   WORKLOAD            FROM           FOUND                                                                                              CHANGE                          STATE      NOTE
team-a      deployment/keel     keel           annotation keel.sh/policy: force                                                                   tidemark.dev/sweep: roll        to write
team-a      deployment/keel     keel           annotation keel.sh/pollSchedule: @every 5m                                                         -                               -          no counterpart: sweeper.interval or sweeper.schedule is that of all workloads
team-a      deployment/pinned   imago          app: registry.test/app:1@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa   manifest: registry.test/app:1   by hand    apply its manifest once more when imago is off, which rolls (as --unpin does)
team-a      deployment/pinned   imago          annotation imago-config-spec: {"containers":[{"image":"registry.test/app:1","name":"app"}]...      tidemark.dev/sweep: roll        to write
team-a      deployment/pinned   imago          annotation imago-config-spec: {"containers":[{"image":"registry.test/app:1","name":"app"}]...      tidemark.dev/mode: pin          to write
team-a      deployment/wasp     figwasp        label figwasp/target: true                                                                         tidemark.dev/sweep: roll        to write
team-b      namespace/team-b    k8s-digester   label digest-resolution: enabled                                                                   tidemark.dev/mode: pin          to write
5 changes to write: --apply writes what is named so
1 pinned image: change their manifests
)");
  EXPECT_TRUE(cluster_.api.calls("patch").empty());
}

TEST_F(MigrateCommand, ApplyWritesOnceAndThenNothingIsLeft) {
  options_.migrate.apply = true;
  const std::string told = call();
  EXPECT_NE(told.find("tidemark.dev/sweep: roll        written"), std::string::npos) << told;
  EXPECT_EQ(metadata("keel")["annotations"]["tidemark.dev/sweep"], "roll");
  EXPECT_EQ(metadata("keel")["annotations"]["keel.sh/policy"], "force") << "the others' keys stay";
  EXPECT_EQ(metadata("pinned")["annotations"]["tidemark.dev/mode"], "pin");
  EXPECT_EQ(metadata("wasp")["annotations"], json({{"tidemark.dev/sweep", "roll"}}));
  EXPECT_EQ(cluster_.api.object("/api/v1/namespaces/team-b")["metadata"]["annotations"],
            json({{"tidemark.dev/mode", "pin"}}));
  EXPECT_FALSE(metadata("quiet").contains("annotations"));
  EXPECT_EQ(
      cluster_.api.object(path("pinned"))["spec"]["template"]["spec"]["containers"][0]["image"],
      kPin);
  cluster_.api.forget_calls();
  options_.migrate.from = {Peer::kFigwasp, Peer::kDigester};
  EXPECT_EQ(call(), "nothing is left to do\n");
  EXPECT_TRUE(cluster_.api.calls("patch").empty());
}

TEST_F(MigrateCommand, RemoveAndUnpinLeaveNothingOfTheOthers) {
  options_.migrate = {.from = {}, .apply = true, .remove = true, .unpin = true};
  (void)call();
  EXPECT_EQ(metadata("wasp")["labels"], json({{"team", "a"}}));
  EXPECT_EQ(metadata("keel")["annotations"], json({{"tidemark.dev/sweep", "roll"}}));
  EXPECT_EQ(metadata("pinned")["annotations"],
            json({{"tidemark.dev/mode", "pin"}, {"tidemark.dev/sweep", "roll"}}));
  EXPECT_EQ(
      cluster_.api.object(path("pinned"))["spec"]["template"]["spec"]["containers"][0]["image"],
      kImage);
  EXPECT_EQ(call(), "nothing is left to do\n");
}

TEST_F(MigrateCommand, WhatSomebodyChangedMeanwhileIsReadAgain) {
  options_.migrate = {.from = {Peer::kFigwasp}, .apply = true};
  bool changed = false;
  cluster_.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.verb != "patch" || changed) return std::nullopt;
    changed = true;
    put("wasp",
        {.labels = {{"figwasp/target", "true"}}, .annotations = {{"tidemark.dev/sweep", "off"}}});
    return std::nullopt;
  });
  EXPECT_NE(call().find("tidemark.dev/sweep: \"off\" is set, and stands"), std::string::npos);
  EXPECT_EQ(metadata("wasp")["annotations"]["tidemark.dev/sweep"], "off");
}

TEST_F(MigrateCommand, WhatCannotBeWrittenOrReadIsToldAndExitsWithOne) {
  options_.migrate = {.from = {Peer::kFigwasp, Peer::kDigester}, .apply = true};
  cluster_.api.before([&](const auto& call) -> std::optional<Error> {
    const bool refused = call.verb == "patch" && call.path.ends_with("wasp");
    if (!refused && !call.path.ends_with("/daemonsets")) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "you may not"};
  });
  const std::string told = call(kExitMovedOrFailed);
  EXPECT_NE(told.find("tidemark.dev/sweep: roll   failed    you may not"), std::string::npos)
      << told;
  EXPECT_NE(told.find("daemonsets"), std::string::npos);
  EXPECT_NE(told.find("1 change to write"), std::string::npos) << "the failed one is left";
  EXPECT_EQ(cluster_.api.object("/api/v1/namespaces/team-b")["metadata"]["annotations"],
            json({{"tidemark.dev/mode", "pin"}}))
      << "one that fails does not keep the others";
}

TEST_F(MigrateCommand, ASelectorLeavesNamespacesAlone) {
  options_.selection.label_selector = "team=a";
  EXPECT_EQ(call().find("namespace/team-b"), std::string::npos);
  options_.selection = {.excluded = {"team-b"}};
  EXPECT_EQ(call().find("namespace/team-b"), std::string::npos);
}

TEST_F(MigrateCommand, JsonAndYamlCarryTheSame) {
  options_.migrate.from = {Peer::kFigwasp};
  options_.format = Format::kJson;
  EXPECT_EQ(call(), R"({
  "changes": [
    {
      "namespace": "team-a",
      "workload": "deployment/wasp",
      "from": "figwasp",
      "place": "label",
      "key": "figwasp/target",
      "found": "true",
      "action": "write",
      "annotation": "tidemark.dev/sweep",
      "value": "roll",
      "state": "to write"
    }
  ],
  "problems": [],
  "left": 1,
  "pins": 0
}
)");
  options_.format = Format::kYaml;
  EXPECT_EQ(call(), R"(changes:
  - namespace: "team-a"
    workload: "deployment/wasp"
    from: "figwasp"
    place: "label"
    key: "figwasp/target"
    found: "true"
    action: "write"
    annotation: "tidemark.dev/sweep"
    value: "roll"
    state: "to write"
problems:
  []
left: 1
pins: 0
)");
}

TEST_F(MigrateCommand, HostileValuesStayWhatTheyAre) {
  put("wasp", {.annotations = {{"keel.sh/policy", "force\x1b[2J\n\"<&>"}}});
  options_.migrate = {.from = {Peer::kKeel}, .apply = true, .remove = true};
  const std::string told = call();
  EXPECT_EQ(told.find('\x1b'), std::string::npos) << "no control byte reaches a terminal";
  EXPECT_FALSE(metadata("wasp")["annotations"].contains("tidemark.dev/sweep"));
  EXPECT_FALSE(metadata("wasp")["annotations"].contains("keel.sh/policy"));
}

}  // namespace
}  // namespace tidemark::sweeper
