#include "workload/kind.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

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
    const Kind* kind = find_builtin_kind(row.group, row.kind);
    ASSERT_NE(kind, nullptr) << row.kind;
    EXPECT_EQ(kind->plural, row.plural);
    EXPECT_EQ(kind->template_pointer, row.pointer);
    EXPECT_EQ(kind->template_immutable, row.immutable) << row.kind;
    EXPECT_EQ(kind->rollable, row.rollable) << row.kind;
  }
  EXPECT_EQ(find_builtin_kind("apps", "Deployment")->api_version(), "apps/v1");
  EXPECT_EQ(find_builtin_kind("", "Pod")->api_version(), "v1");
  EXPECT_EQ(find_builtin_kind("extensions", "Deployment"), nullptr);
  EXPECT_EQ(find_builtin_kind("apps", "deployment"), nullptr);
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
    const Kind* found = find_builtin_kind_by_name(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->kind, kind) << name;
  }
  for (const std::string_view name :
       {"", "deploys", "deployment.batch", "deployment.v2.apps", "svc", "deploy/", "deployment."}) {
    EXPECT_EQ(find_builtin_kind_by_name(name), nullptr) << name;
  }
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
