#include "workload/json_patch.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace tidemark::workload {
namespace {

using nlohmann::json;

json patched(const json& object, const JsonPatch& patch) {
  return object.patch(json::parse(patch.str()));
}

TEST(JsonPatch, WritesOperationsInOrder) {
  JsonPatch patch;
  EXPECT_TRUE(patch.empty());
  EXPECT_EQ(patch.str(), "[]");
  patch.test("/a/0/b~1c", "null");
  patch.add("/a/0/b~1c", R"({"x":1})");
  patch.replace("/q\"", "\"v\"");
  patch.remove("/z");
  EXPECT_FALSE(patch.empty());
  EXPECT_EQ(patch.str(),
            R"([{"op":"test","path":"/a/0/b~1c","value":null},)"
            R"({"op":"add","path":"/a/0/b~1c","value":{"x":1}},)"
            R"({"op":"replace","path":"/q\"","value":"v"},{"op":"remove","path":"/z"}])");
}

TEST(JsonPatch, BringsAMapToWhatIsWanted) {
  const std::vector<StringMap> maps = {{},
                                       {{"a", "1"}},
                                       {{"a", "2"}},
                                       {{"b/c", "1"}},
                                       {{"a", "1"}, {"b/c~d", "\"\n"}, {"e", ""}},
                                       {{"a", "1"}, {"b/c~d", "x"}, {"f\"", "\u00e9"}}};
  for (const StringMap& current : maps) {
    for (const StringMap& wanted : maps) {
      JsonPatch patch;
      patch.change_map("/metadata/annotations", true, true, current, wanted);
      const json object = {{"metadata", {{"annotations", current}, {"name", "x"}}}};
      const json after = patched(object, patch);
      EXPECT_EQ(after["metadata"]["annotations"].get<StringMap>(), wanted) << patch.str();
      EXPECT_EQ(after["metadata"]["name"], "x");
      EXPECT_EQ(patch.empty(), current == wanted);
    }
  }
}

TEST(JsonPatch, TouchesOnlyTheKeysThatDiffer) {
  JsonPatch patch;
  patch.change_map("/m", true, true, {{"gone", "1"}, {"new", "1"}, {"same", "1"}},
                   {{"more", "1"}, {"new", "2"}, {"same", "1"}});
  EXPECT_EQ(patch.str(),
            R"([{"op":"remove","path":"/m/gone"},{"op":"add","path":"/m/more","value":"1"},)"
            R"({"op":"replace","path":"/m/new","value":"2"}])");
}

TEST(JsonPatch, MakesTheMapAndItsParentWhereTheyAreMissing) {
  const StringMap wanted = {{"digest.tidemark.dev/app", "v"}};
  for (const json& object :
       {json::parse(R"({"spec":{"template":{"metadata":{"labels":{}}}}})"),
        json::parse(R"({"spec":{"template":{"metadata":{"labels":{},"annotations":null}}}})")}) {
    JsonPatch patch;
    patch.change_map("/spec/template/metadata/annotations", true, false, {}, wanted);
    EXPECT_EQ(
        patched(object, patch),
        json::parse(
            R"({"spec":{"template":{"metadata":{"labels":{},"annotations":{"digest.tidemark.dev/app":"v"}}}}})"));
  }
  for (const json& object : {json::parse(R"({"spec":{"template":{}}})"),
                             json::parse(R"({"spec":{"template":{"metadata":null}}})")}) {
    JsonPatch patch;
    patch.change_map("/spec/template/metadata/annotations", false, false, {}, wanted);
    EXPECT_EQ(
        patched(object, patch),
        json::parse(
            R"({"spec":{"template":{"metadata":{"annotations":{"digest.tidemark.dev/app":"v"}}}}})"));
  }
  JsonPatch nothing;
  nothing.change_map("/metadata/annotations", false, false, {}, {});
  nothing.change_map("/metadata/annotations", true, false, {}, {});
  EXPECT_TRUE(nothing.empty());
}

}  // namespace
}  // namespace tidemark::workload
