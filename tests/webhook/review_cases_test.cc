// Every rule of the stamp contract as a saved AdmissionReview:
//   tests/data/reviews/<case>/review.json    what the API server sent
//   tests/data/reviews/<case>/answers.json   what the registries said, and how the program was set
//   tests/data/reviews/<case>/expected.json  outcome, warnings and patch
// With TIDEMARK_RECORD_REVIEWS=1 expected.json is written anew: read the difference before you
// commit it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/fake_clock.h"
#include "webhook/assess.h"
#include "webhook/decide.h"
#include "webhook/decode_review.h"
#include "webhook/resolve_slots.h"

namespace tidemark::webhook {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kSweeperUser = "system:serviceaccount:tidemark-system:tidemark-sweeper";

std::filesystem::path cases_dir() { return std::filesystem::path(TIDEMARK_REVIEWS_DIR); }

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(cases_dir())) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

ErrorKind kind_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ErrorKind::kInternal); ++i) {
    if (to_string(static_cast<ErrorKind>(i)) == name) return static_cast<ErrorKind>(i);
  }
  ADD_FAILURE() << "no error kind is called " << name;
  return ErrorKind::kInternal;
}

// answers.json, read once.
struct Setting {
  Answers answers;
  Policy policy;
  workload::Settings defaults;
  workload::Metadata ns;
  bool annotations_pruned = false;
};

// The built-in kinds and one of a configuration.
const workload::KindTable& test_kinds() {
  static const auto kinds = workload::KindTable::with(
      {workload::make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template").value()});
  return *kinds;
}

Setting read_setting(const json& file) {
  Setting setting;
  const json answers = file.value("answers", json::object());
  for (const auto& [reference, answer] : answers.items()) {
    if (answer.is_string()) {
      setting.answers.add(image::Reference::parse(reference).value(),
                          image::Digest::parse(answer.get<std::string>()).value());
    } else {
      setting.answers.add(image::Reference::parse(reference).value(),
                          tidemark::fail(kind_named(answer.at("error")), answer.at("message")));
    }
  }
  setting.annotations_pruned = file.value("annotationsPruned", false);
  setting.policy.require = file.value("require", false);
  setting.policy.pin_on_rollback = file.value("pinOnRollback", true);
  setting.policy.warn_on_latest = file.value("warnOnLatest", false);
  if (file.value("mode", "annotate") == "pin") setting.defaults.mode = workload::StampMode::kPin;
  const json ns = file.value("namespace", json::object());
  setting.ns.annotations = ns.value("annotations", workload::StringMap());
  setting.ns.labels = ns.value("labels", workload::StringMap());
  return setting;
}

// Decides one review. Slots that no answer is written for must not be asked for.
Decision decide_review(const std::string& body, const Setting& setting) {
  const auto review = decode_review(body, test_kinds());
  EXPECT_TRUE(review) << review.error().message;
  if (!review || pass_reason(*review, kSweeperUser)) return {};
  const testing::FakeClock clock;
  const auto assessment =
      assess(*review, setting.ns, setting.defaults, clock.wall_now(), setting.annotations_pruned);
  EXPECT_TRUE(assessment) << assessment.error().message;
  for (const SlotPlan& plan : assessment->slots) {
    if (plan.step != Step::kResolve) continue;
    EXPECT_NE(setting.answers.find(*plan.reference), nullptr)
        << plan.slot->id() << " asks for " << plan.reference->tagged();
  }
  return decide(*review, *assessment, setting.answers, setting.policy, clock.wall_now());
}

ordered_json describe(const Decision& decision) {
  ordered_json out;
  out["outcome"] = to_string(decision.outcome);
  if (decision.denial) out["denial"] = *decision.denial;
  out["warnings"] = decision.warnings;
  out["patch"] = ordered_json::parse(decision.patch.str());
  return out;
}

json patched(const std::string& body, const Decision& decision) {
  json review = json::parse(body);
  json& object = review["request"]["object"];
  object = object.patch(json::parse(decision.patch.str()));
  return review;
}

class ReviewCase : public ::testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path dir_ = cases_dir() / GetParam();
  std::string body_ = read_file(dir_ / "review.json");
  Setting setting_ = read_setting(json::parse(read_file(dir_ / "answers.json")));
};

TEST_P(ReviewCase, IsDecidedAsExpected) {
  const std::string actual = describe(decide_review(body_, setting_)).dump(2) + "\n";
  const auto expected_file = dir_ / "expected.json";
  if (std::getenv("TIDEMARK_RECORD_REVIEWS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
    std::ofstream(expected_file) << actual;
  }
  EXPECT_EQ(read_file(expected_file), actual) << expected_file;
}

// reinvocationPolicy: IfNeeded: the same write once more, with our answer in the submitted object.
TEST_P(ReviewCase, SecondInvocationGivesTheSameObject) {
  const Decision first = decide_review(body_, setting_);
  if (first.denial) return;
  const json once = patched(body_, first);
  const Decision second = decide_review(once.dump(), setting_);
  const json twice = patched(once.dump(), second);
  EXPECT_EQ(once["request"]["object"].dump(2), twice["request"]["object"].dump(2));
}

// What was admitted is written again unchanged by a client that knows nothing of stamps: nothing
// may roll, whatever the registries say by then.
TEST_P(ReviewCase, WritingTheStoredObjectAgainChangesNothing) {
  const Decision first = decide_review(body_, setting_);
  json next = patched(body_, first);
  if (first.denial || !next["request"]["object"].is_object()) return;
  json& request = next["request"];
  request["oldObject"] = request["object"];
  request["operation"] = "UPDATE";
  const Decision second = decide_review(next.dump(), setting_);
  EXPECT_EQ(second.patch.str(), "[]");
  EXPECT_THAT(second.warnings, ::testing::IsEmpty());
}

// A retry, or another replica: the same bytes.
TEST_P(ReviewCase, IsDeterministicAndTheSameForADryRun) {
  json dry = json::parse(body_);
  dry["request"]["dryRun"] = true;
  const Decision real = decide_review(body_, setting_);
  const Decision dry_run = decide_review(dry.dump(), setting_);
  EXPECT_EQ(real.patch.str(), dry_run.patch.str());
  EXPECT_EQ(real.warnings, dry_run.warnings);
  EXPECT_EQ(decide_review(body_, setting_).patch.str(), real.patch.str());
}

INSTANTIATE_TEST_SUITE_P(Reviews, ReviewCase, ::testing::ValuesIn(case_names()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tidemark::webhook
