#include "workload/kind.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "workload/annotations.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

TEST(Kind, KnowsWhereTemplatesAre) {
  struct Row {
    std::string_view group, kind, plural, pointer;
    bool immutable, rollable;
  };
  const Row rows[] = {
      {"apps", "Deployment", "deployments", "/spec/template", false, true},
      {"apps", "StatefulSet", "statefulsets", "/spec/template", false, true},
      {"apps", "DaemonSet", "daemonsets", "/spec/template", false, true},
      {"batch", "CronJob", "cronjobs", "/spec/jobTemplate/spec/template", false, true},
      {"batch", "Job", "jobs", "/spec/template", true, false},
      {"apps", "ReplicaSet", "replicasets", "/spec/template", false, false},
      {"", "ReplicationController", "replicationcontrollers", "/spec/template", false, false},
      {"", "Pod", "pods", "", true, false},
  };
  EXPECT_EQ(builtin_kinds().size(), std::size(rows));
  for (const Row& row : rows) {
    const Kind* kind = KindTable().find(row.group, row.kind);
    ASSERT_NE(kind, nullptr) << row.kind;
    EXPECT_EQ(kind->plural, row.plural);
    EXPECT_EQ(kind->template_pointer, row.pointer);
    EXPECT_EQ(kind->template_immutable, row.immutable) << row.kind;
    EXPECT_EQ(kind->rollable, row.rollable) << row.kind;
  }
  EXPECT_EQ(KindTable().find("apps", "Deployment")->api_version(), "apps/v1");
  EXPECT_EQ(KindTable().find("", "Pod")->api_version(), "v1");
  EXPECT_EQ(KindTable().find("extensions", "Deployment"), nullptr);
  EXPECT_EQ(KindTable().find("apps", "deployment"), nullptr);
}

TEST(Kind, IsFoundByTheNamesThatKubectlTakes) {
  for (const auto& [name, kind] :
       std::map<std::string, std::string>{{"deploy", "Deployment"},
                                          {"deployment", "Deployment"},
                                          {"Deployments", "Deployment"},
                                          {"deployment.apps", "Deployment"},
                                          {"deployments.v1.apps", "Deployment"},
                                          {"sts", "StatefulSet"},
                                          {"ds", "DaemonSet"},
                                          {"cj", "CronJob"},
                                          {"cronjob", "CronJob"},
                                          {"jobs", "Job"},
                                          {"rs", "ReplicaSet"},
                                          {"rc", "ReplicationController"},
                                          {"po", "Pod"},
                                          {"pod", "Pod"}}) {
    const Kind* found = KindTable().find_by_name(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->kind, kind) << name;
  }
  for (const std::string_view name :
       {"", "deploys", "deployment.batch", "deployment.v2.apps", "svc", "deploy/", "deployment."}) {
    EXPECT_EQ(KindTable().find_by_name(name), nullptr) << name;
  }
}

TEST(Kind, KnowsWhatControllersMake) {
  for (const Kind& kind : builtin_kinds())
    EXPECT_EQ(kind.made_by_controllers, !kind.rollable) << kind.kind;
}

TEST(CustomKind, IsReadFromItsName) {
  const auto kind = make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template");
  ASSERT_TRUE(kind) << kind.error().message;
  EXPECT_EQ(kind->group, "argoproj.io");
  EXPECT_EQ(kind->version, "v1alpha1");
  EXPECT_EQ(kind->kind, "Rollout");
  EXPECT_EQ(kind->plural, "rollouts");
  EXPECT_EQ(kind->template_pointer, "/spec/template");
  EXPECT_TRUE(kind->rollable);
  EXPECT_TRUE(kind->custom);
  EXPECT_FALSE(kind->template_immutable);
  EXPECT_FALSE(kind->made_by_controllers);
  EXPECT_EQ(make_custom_kind("a.b/v1/Odd", "odds-and-ends", "/x")->plural, "odds-and-ends");
  EXPECT_EQ(guess_plural("CloneSet"), "clonesets");
  EXPECT_EQ(guess_plural("Proxy"), "proxies");
  EXPECT_EQ(guess_plural("Ingress"), "ingresses");
}

TEST(CustomKind, RefusesWhatTheApiServerWould) {
  const struct {
    std::string name, plural, pointer;
  } rows[] = {
      {"", "", "/spec/template"},
      {"Rollout", "", "/spec/template"},
      {"v1/Pod", "", "/spec/template"},
      {"a/b/c/D", "", "/spec/template"},
      {"/v1/Fleet", "", "/spec/template"},
      {"Example.com/v1/Fleet", "", "/spec/template"},
      {"example..com/v1/Fleet", "", "/spec/template"},
      {"example.com/v_1/Fleet", "", "/spec/template"},
      {"example.com/v1/fleet", "", "/spec/template"},
      {"example.com/v1/Fle't", "", "/spec/template"},
      {"example.com/v1/Fleet", "Fleets", "/spec/template"},
      {"example.com/v1/Fleet", "fleets/x", "/spec/template"},
      {"example.com/v1/Fleet", "", ""},
      {"example.com/v1/Fleet", "", "spec/template"},
      {"example.com/v1/Fleet", "", "/spec//template"},
      {"example.com/v1/Fleet", "", "/spec/template/"},
      {"example.com/v1/Fleet", "", "/spec/a~1b"},
      {"example.com/v1/Fleet", "", "/spec/te'mplate"},
      {"example.com/v1/Fleet", "", "/" + std::string(kMaxTemplatePointerBytes, 'a')},
      {std::string(300, 'a') + "/v1/Fleet", "", "/spec/template"},
  };
  for (const auto& row : rows) {
    EXPECT_FALSE(make_custom_kind(row.name, row.plural, row.pointer))
        << row.name << " " << row.plural << " " << row.pointer;
  }
  EXPECT_TRUE(make_custom_kind("example.com/v1/Fleet", "",
                               "/" + std::string(kMaxTemplatePointerBytes - 1, 'a')));
}

TEST(KindTable, AddsCustomKindsToTheBuiltIn) {
  const auto table = KindTable::with(
      {make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template").value(),
       make_custom_kind("apps.kruise.io/v1beta1/StatefulSet", "", "/spec/template").value()});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->all().size(), builtin_kinds().size() + 2);
  const Kind* rollout = table->find("argoproj.io", "Rollout");
  ASSERT_NE(rollout, nullptr);
  for (const std::string_view name :
       {"rollout", "rollouts", "Rollout.argoproj.io", "rollouts.v1alpha1.argoproj.io"}) {
    EXPECT_EQ(table->find_by_name(name), rollout) << name;
  }
  EXPECT_EQ(table->find_by_name("sts")->group, "apps");
  EXPECT_EQ(table->find_by_name("statefulset")->group, "apps");
  EXPECT_EQ(table->find_by_name("statefulset.apps.kruise.io")->group, "apps.kruise.io");
  EXPECT_EQ(KindTable().find("argoproj.io", "Rollout"), nullptr);
}

TEST(KindTable, OutlivesItsCopies) {
  const Kind* kind = nullptr;
  KindTable copy;
  {
    const auto table = KindTable::with({make_custom_kind("a.b/v1/Fleet", "", "/t").value()});
    kind = table->find("a.b", "Fleet");
    copy = *table;
  }
  EXPECT_EQ(copy.find("a.b", "Fleet"), kind);
  EXPECT_EQ(kind->kind, "Fleet");
}

TEST(KindTable, RefusesWhatIsThereAlready) {
  const auto of = [](const std::string& name, const std::string& plural = "") {
    return make_custom_kind(name, plural, "/spec/template").value();
  };
  const auto builtin = KindTable::with({of("apps/v1/Deployment")});
  ASSERT_FALSE(builtin);
  EXPECT_NE(builtin.error().message.find("built in"), std::string::npos);
  EXPECT_FALSE(KindTable::with({of("apps/v1beta1/Deployment")})) << "nor in another version";
  EXPECT_FALSE(KindTable::with({of("a.b/v1/Fleet"), of("a.b/v2/Fleet")}));
  EXPECT_FALSE(KindTable::with({of("a.b/v1/Fleet"), of("a.b/v1/Navy", "fleets")}));
  std::vector<Kind> many;
  for (std::size_t i = 0; i < kMaxCustomKinds; ++i)
    many.push_back(of("a.b/v1/K" + std::to_string(i)));
  EXPECT_TRUE(KindTable::with(many));
  many.push_back(of("a.b/v1/OneMore"));
  EXPECT_FALSE(KindTable::with(many));
}

TEST(Annotations, TellsOursFromOthers) {
  EXPECT_TRUE(is_stamp_key("digest.tidemark.dev/app"));
  EXPECT_TRUE(is_stamp_key("volume-digest.tidemark.dev/data"));
  EXPECT_FALSE(is_stamp_key("tidemark.dev/history"));
  EXPECT_FALSE(is_stamp_key("xdigest.tidemark.dev/app"));
  EXPECT_FALSE(is_stamp_key("digest.tidemark.dev"));
  EXPECT_TRUE(is_written_key("tidemark.dev/history"));
  EXPECT_TRUE(is_written_key("tidemark.dev/held"));
  EXPECT_TRUE(is_written_key("tidemark.dev/unstamped"));
  EXPECT_TRUE(is_written_key("tidemark.dev/baseline"));
  EXPECT_FALSE(is_written_key("tidemark.dev/hold")) << "the user's own";
  EXPECT_FALSE(is_written_key("kubernetes.io/change-cause"));
}

TEST(Annotations, CountsKeysAndValues) {
  EXPECT_EQ(annotations_bytes({}), 0U);
  EXPECT_EQ(annotations_bytes({{"ab", "cde"}, {"f", ""}}), 6U);
}

TEST(Pointer, EscapesAndSplits) {
  EXPECT_EQ(escape_pointer_token("digest.tidemark.dev/a~b"), "digest.tidemark.dev~1a~0b");
  for (const std::string_view token : {"", "a", "~", "/", "~1", "~0", "/~/~", "a/b"}) {
    EXPECT_EQ(unescape_pointer_token(escape_pointer_token(token)), token);
  }
  EXPECT_EQ(unescape_pointer_token("~01"), "~1") << "RFC 6901, 4: never '/'";
  EXPECT_EQ(split_pointer(""), std::vector<std::string>{});
  EXPECT_EQ(split_pointer("/spec/template"), (std::vector<std::string>{"spec", "template"}));
  EXPECT_EQ(split_pointer("/a~1b//c"), (std::vector<std::string>{"a/b", "", "c"}));
}

}  // namespace
}  // namespace tidemark::workload
