#include "webhook/template_schemas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "support/fake_clock.h"
#include "support/fake_kube_api.h"

namespace tidemark::webhook {
namespace {

using nlohmann::json;
using testing::FakeClock;
using testing::FakeKubeApi;
using ::testing::HasSubstr;

constexpr const char* kPath =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/fleets.example.com";

std::string definition(bool preserving) {
  const json schema{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", preserving}};
  const json version{{"name", "v1"}, {"storage", true}, {"schema", {{"openAPIV3Schema", schema}}}};
  return json{{"spec", {{"versions", json::array({version})}}}}.dump();
}

class TemplateSchemasTest : public ::testing::Test {
 protected:
  bool prunes() { return schemas_.prunes(fleet_, Deadline::after(std::chrono::seconds(5))); }
  void refuse(std::optional<Error> error) {
    api_.before([error](const FakeKubeApi::Call&) { return error; });
  }

  FakeClock clock_;
  FakeKubeApi api_;
  Metrics metrics_;
  const workload::Kind fleet_ =
      workload::make_custom_kind("example.com/v1/Fleet", "", "/spec/template").value();
  TemplateSchemas schemas_{&api_, clock_, metrics_, Logger::none()};
};

TEST_F(TemplateSchemasTest, AsksOnceInAWhile) {
  api_.put(kPath, definition(false));
  EXPECT_TRUE(prunes());
  api_.put(kPath, definition(true));
  EXPECT_TRUE(prunes());
  EXPECT_EQ(api_.calls("get").size(), 1U);
  clock_.advance(TemplateSchemas::kInterval);
  EXPECT_FALSE(prunes());
}

TEST_F(TemplateSchemasTest, AsksNobodyForBuiltInKinds) {
  EXPECT_FALSE(schemas_.prunes(*workload::KindTable().find("apps", "Deployment"),
                               Deadline::after(std::chrono::seconds(5))));
  EXPECT_TRUE(api_.calls().empty());
  TemplateSchemas alone(nullptr, clock_, metrics_, Logger::none());
  EXPECT_FALSE(alone.prunes(fleet_, Deadline::after(std::chrono::seconds(5))));
}

TEST_F(TemplateSchemasTest, KeepsItsAnswerWhileTheDefinitionCannotBeRead) {
  refuse(Error{.kind = ErrorKind::kForbidden, .message = "no"});
  EXPECT_FALSE(prunes()) << "not known: as if it kept them";
  EXPECT_FALSE(prunes());
  EXPECT_EQ(api_.calls("get").size(), 1U) << "not at every admission";
  refuse(std::nullopt);
  api_.put(kPath, definition(false));
  clock_.advance(TemplateSchemas::kInterval);
  EXPECT_TRUE(prunes());
  refuse(Error{.kind = ErrorKind::kUnavailable, .message = "down"});
  clock_.advance(TemplateSchemas::kInterval);
  EXPECT_TRUE(prunes());
  EXPECT_THAT(metrics_.expose(), HasSubstr("tidemark_schema_read_failures_total 2"));
}

TEST_F(TemplateSchemasTest, SeesADefinitionThatIsInstalledLaterAtItsFirstObject) {
  EXPECT_FALSE(prunes());
  api_.put(kPath, definition(false));
  EXPECT_TRUE(prunes());
}

}  // namespace
}  // namespace tidemark::webhook
