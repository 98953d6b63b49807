#include "workload/crd.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace tidemark::workload {
namespace {

using nlohmann::json;

Kind fleet(const std::string& version = "v1") {
  return make_custom_kind("example.com/" + version + "/Fleet", "", "/spec/template").value();
}

json object(const json& properties) { return {{"type", "object"}, {"properties", properties}}; }

// The schema of a whole object, by that of its pod template.
json around(const json& pod_template) {
  return object({{"spec", object({{"template", pod_template}})}});
}

json version(const std::string& name, const json& schema, bool storage = true) {
  return {{"name", name},
          {"served", true},
          {"storage", storage},
          {"schema", {{"openAPIV3Schema", schema}}}};
}

json crd(const json& versions) {
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"spec", {{"group", "example.com"}, {"versions", versions}}}};
}

TEST(Crd, TellsWhatItsSchemaPrunes) {
  const json strings{{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  const json maps{{"type", "object"}, {"additionalProperties", strings}};
  const json empty{{"type", "object"}};
  const json preserving{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  const auto metadata = [](const json& schema) { return around(object({{"metadata", schema}})); };
  json preserved_but_named = preserving;
  preserved_but_named["properties"]["metadata"] = empty;
  json preserved_root = preserving;
  preserved_root["properties"] = {{"spec", empty}};
  json embedded = empty;
  embedded["x-kubernetes-embedded-resource"] = true;
  const struct {
    const char* what;
    json schema;
    bool pruned;
  } rows[] = {
      {"annotations are named", metadata(object({{"annotations", strings}})), false},
      {"annotations of any value",
       metadata(object({{"annotations", {{"additionalProperties", true}}}})), false},
      {"annotations without a schema of their own", metadata(object({{"annotations", empty}})),
       true},
      {"only one annotation is named",
       metadata(object({{"annotations", object({{"a", {{"type", "string"}}}})}})), true},
      {"annotations preserved", metadata(object({{"annotations", preserving}})), false},
      {"metadata is an object of nothing", metadata(empty), true},
      {"metadata of labels only", metadata(object({{"labels", strings}})), true},
      {"metadata preserved", metadata(preserving), false},
      {"template preserved", around(preserving), false},
      {"template preserved, but its metadata named", around(preserved_but_named), true},
      {"template is an embedded resource", around(embedded), false},
      {"template without metadata", around(object({{"spec", preserving}})), true},
      {"template of anything", around({{"additionalProperties", maps}}), false},
      {"template of anything, one level deep", around({{"additionalProperties", true}}), true},
      {"spec preserved", object({{"spec", preserving}}), false},
      {"whole object preserved", preserving, false},
      {"whole object preserved, but spec named", preserved_root, true},
      {"no template at all", object({{"spec", empty}}), true},
      {"preserve: false",
       metadata({{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", false}}), true},
      {"no schema", json::object(), true},
  };
  for (const auto& row : rows) {
    const auto pruned =
        template_metadata_pruned(crd(json::array({version("v1", row.schema)})).dump(), fleet());
    ASSERT_TRUE(pruned) << row.what << ": " << pruned.error().message;
    EXPECT_EQ(*pruned, row.pruned) << row.what;
  }
}

TEST(Crd, OldDefinitionsKeepEverything) {
  json old = crd(json::array({version("v1", around({{"type", "object"}}))}));
  old["spec"]["preserveUnknownFields"] = true;
  EXPECT_FALSE(*template_metadata_pruned(old.dump(), fleet()));
  old["spec"]["preserveUnknownFields"] = false;
  EXPECT_TRUE(*template_metadata_pruned(old.dump(), fleet()));
}

// What is written passes the schema of the kind's version and that of the stored one.
TEST(Crd, AsksTheKindsVersionAndTheStoredOne) {
  const json keeps = around({{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}});
  const json prunes = around({{"type", "object"}});
  const auto pruned = [](const json& versions) {
    return *template_metadata_pruned(crd(versions).dump(), fleet("v1"));
  };
  EXPECT_FALSE(pruned({version("v1alpha1", prunes, false), version("v1", keeps)}));
  EXPECT_TRUE(pruned({version("v1alpha1", keeps, false), version("v1", prunes)}));
  EXPECT_TRUE(pruned({version("v1", keeps, false), version("v2", prunes)}));
  EXPECT_FALSE(pruned({version("v1", keeps, false), version("v2", keeps)}));
}

TEST(Crd, RefusesWhatIsNoDefinition) {
  for (const std::string text : {"", "[]", "{", "{}", R"({"spec":[]})",
                                 R"({"spec":{"versions":{}}})", R"({"spec":{"versions":[7]}})"}) {
    EXPECT_FALSE(template_metadata_pruned(text, fleet())) << text;
  }
  EXPECT_FALSE(template_metadata_pruned(crd(json::array({version("v2", json::object())})).dump(),
                                        fleet("v1")));
}

}  // namespace
}  // namespace tidemark::workload
