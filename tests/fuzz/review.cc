// AdmissionReviews: decoded, assessed and decided as the webhook does it, with registries of which
// some answer. Twice the same review gives the same patch, and a review that carries our first
// answer (reinvocation) ends in the same object.
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz/target.h"
#include "webhook/assess.h"
#include "webhook/decide.h"
#include "webhook/decode_review.h"
#include "webhook/encode_response.h"
#include "workload/kind.h"

namespace tidemark::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view kSweeperUser = "system:serviceaccount:tidemark-system:tidemark-sweeper";

// The same reference has always the same answer; one of four has none.
Result<image::Digest> answer(const image::Reference& reference) {
  const std::size_t size = reference.tagged().size();
  if (size % 4 == 0) return fail(ErrorKind::kTimeout, "timed out");
  constexpr std::string_view kHex = "0123456789abcdef";
  return image::Digest::parse("sha256:" + std::string(64, kHex[size % kHex.size()]));
}

// nullopt where the review passes without a look at its slots.
std::optional<webhook::Decision> decide(const webhook::Review& review) {
  if (webhook::pass_reason(review, kSweeperUser)) return std::nullopt;
  require(review.object.has_value(), "what does not pass has an object");
  const auto assessment = webhook::assess(review, {}, {}, WallTime{});
  if (!assessment) {
    require(assessment.error().kind == ErrorKind::kInvalid, "a bad template is kInvalid");
    return std::nullopt;
  }
  webhook::Answers answers;
  for (const webhook::SlotPlan& plan : assessment->slots) {
    if (plan.step != webhook::Step::kResolve) continue;
    require(plan.reference.has_value(), "what is resolved has a reference");
    answers.add(*plan.reference, answer(*plan.reference));
  }
  return webhook::decide(review, *assessment, answers, {}, WallTime());
}

std::optional<webhook::Decision> decide(std::string_view body) {
  const auto review = webhook::decode_review(body, workload::KindTable());
  require(review.has_value(), "what was decoded once is decoded again");
  return decide(*review);
}

// `review` without the keys that stand in it twice: readers differ in which of them counts.
void check_reinvocation(json review) {
  const std::string body = review.dump();
  const auto plain = webhook::decode_review(body, workload::KindTable());
  if (!plain) return;
  const auto first = decide(*plain);
  if (!first || first->denial) return;
  json& object = review["request"]["object"];
  object = object.patch(json::parse(first->patch.str()));
  const json once = object;
  const auto second = decide(review.dump());
  require(second.has_value(), "what was decided once is decided again");
  require(once.patch(json::parse(second->patch.str())) == once,
          "a second invocation gives the same object");
}

}  // namespace

void run(std::string_view input) {
  const auto review = webhook::decode_review(input, workload::KindTable());
  if (!review) {
    require(review.error().kind == ErrorKind::kInvalid, "a bad review is kInvalid");
    return;
  }
  require(!review->uid.empty(), "a review has a uid");
  const auto first = decide(*review);
  const auto second = decide(input);
  require(first.has_value() == second.has_value(), "a review is decided or it is not");
  if (!first) return;
  require(first->patch.str() == second->patch.str() && first->warnings == second->warnings,
          "the same review has the same answer");
  const std::string response = webhook::encode_response(review->uid, *first);
  require(json::accept(response), "an answer is JSON");

  const json document = json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!document.is_discarded()) check_reinvocation(document);
}

}  // namespace tidemark::fuzz
