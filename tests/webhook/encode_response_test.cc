#include "webhook/encode_response.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/base64.h"

namespace tidemark::webhook {
namespace {

using nlohmann::json;

TEST(EncodeResponse, AllowsWithoutPatch) {
  EXPECT_EQ(json::parse(encode_response("u\"1", {})),
            json::parse(R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",
                            "response":{"uid":"u\"1","allowed":true}})"));
}

TEST(EncodeResponse, CarriesPatchAndWarnings) {
  Decision decision;
  decision.patch.add("/a", "1");
  decision.warnings = {"one", "two"};
  const json response = json::parse(encode_response("u", decision))["response"];
  EXPECT_EQ(response["patchType"], "JSONPatch");
  EXPECT_EQ(response["patch"], base64_encode(decision.patch.str()));
  EXPECT_EQ(response["warnings"], json({"one", "two"}));
}

TEST(EncodeResponse, ADenialHasNoPatch) {
  Decision decision;
  decision.patch.add("/a", "1");
  decision.denial = "no \xff stamp";  // not UTF-8: the answer must be JSON all the same
  const json response = json::parse(encode_response("u", decision))["response"];
  EXPECT_EQ(response["allowed"], false);
  EXPECT_EQ(response["status"]["code"], 403);
  EXPECT_FALSE(response.contains("patch"));
}

TEST(BoundWarnings, CutsLongOnesAtACharacter) {
  const std::vector<std::string> warnings = {std::string(252, 'x') + "\u00e9\u00e9\u00e9"};
  const auto bounded = bound_warnings(warnings);
  ASSERT_EQ(bounded.size(), 1U);
  EXPECT_EQ(bounded[0], std::string(252, 'x') + "...");
}

TEST(BoundWarnings, KeepsOneLineAndDropsRepetitions) {
  const std::vector<std::string> warnings = {"a\r\nb", "a  b", "c"};
  EXPECT_EQ(bound_warnings(warnings), (std::vector<std::string>{"a  b", "c"}));
}

TEST(BoundWarnings, BoundsAllTogether) {
  std::vector<std::string> warnings;
  for (int i = 0; i < 100; ++i) warnings.push_back(std::to_string(i) + std::string(200, 'x'));
  const auto bounded = bound_warnings(warnings);
  std::size_t total = 0;
  for (const std::string& warning : bounded) total += warning.size();
  EXPECT_LE(total, kMaxWarningsBytes);
  EXPECT_EQ(bounded.back(),
            "tidemark: and " + std::to_string(100 - (bounded.size() - 1)) + " more warnings");
}

}  // namespace
}  // namespace tidemark::webhook
