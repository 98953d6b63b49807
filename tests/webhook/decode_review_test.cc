#include "webhook/decode_review.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::webhook {
namespace {

std::string review_of(const std::string& request) {
  return R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":)" + request +
         "}";
}

constexpr const char* kDeployment =
    R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},)"
    R"("spec":{"template":{"spec":{"containers":[{"name":"app","image":"a:1"}]}}}})";

std::string create(const std::string& more = "") {
  return review_of(R"({"uid":"u1","operation":"CREATE","namespace":"a",)"
                   R"("kind":{"group":"apps","version":"v1","kind":"Deployment"},"object":)" +
                   std::string(kDeployment) + more + "}");
}

TEST(DecodeReview, ReadsEveryFieldInAnyOrder) {
  const std::string body =
      R"({"request":{"oldObject":null,"object":)" + std::string(kDeployment) +
      R"(,"options":{"kind":"CreateOptions","fieldManager":"kubectl-create"},"dryRun":true,)"
      R"("userInfo":{"groups":["g"],"username":"alice"},"operation":"CREATE","name":"web",)"
      R"("namespace":"team-a","kind":{"kind":"Deployment","group":"apps","version":"v1"},)"
      R"("uid":"u\u00e91"},"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"})";
  const auto review = decode_review(body, {});
  ASSERT_TRUE(review) << review.error().message;
  EXPECT_EQ(review->uid, "u\u00e91");
  EXPECT_EQ(review->operation, Operation::kCreate);
  ASSERT_NE(review->kind, nullptr);
  EXPECT_EQ(review->kind->kind, "Deployment");
  EXPECT_EQ(review->ns, "team-a");
  EXPECT_EQ(review->name, "web");
  EXPECT_EQ(review->user, "alice");
  EXPECT_EQ(review->field_manager, "kubectl-create");
  EXPECT_TRUE(review->dry_run);
  EXPECT_EQ(review->object_json, kDeployment);
  EXPECT_GE(review->object_json.data(), body.data());
  EXPECT_LT(review->object_json.data(), body.data() + body.size());
  EXPECT_EQ(review->old_object_json, "");
  ASSERT_TRUE(review->object);
  EXPECT_EQ(review->object->pod_template.slots.size(), 1U);
  EXPECT_FALSE(review->old_object);
}

TEST(DecodeReview, LeavesOtherKindsAndSubresourcesUnread) {
  const auto other = decode_review(
      review_of(R"({"uid":"u","operation":"CREATE","kind":{"kind":"Secret"},"object":{"a":1}})"),
      {});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->kind, nullptr);
  EXPECT_FALSE(other->object);
  const auto scale = decode_review(create(R"(,"subResource":"scale")"), {});
  ASSERT_TRUE(scale);
  EXPECT_FALSE(scale->object);
}

TEST(DecodeReview, RefusesWhatIsNoReview) {
  const std::string good = create();
  const std::string bad[] = {
      "",
      " ",
      "null",
      "7",
      "[]",
      "{",
      "{}",
      good.substr(0, good.size() - 1),
      good + "}",
      good + good,
      R"({"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}})",
      R"({"apiVersion":"admission.k8s.io/v1","kind":"Review","request":{"uid":"u"}})",
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"})",
      review_of("null"),
      review_of("[]"),
      review_of("{}"),
      review_of(R"({"uid":7})"),
      review_of(R"({"uid":"u"})"),
      review_of(R"({"uid":"u","operation":"PATCH"})"),
      review_of(R"({"uid":"u","operation":"CREATE","dryRun":"no"})"),
      review_of(R"({"uid":"u","operation":"CREATE","object":"text"})"),
      // A known kind needs its objects.
      review_of(R"({"uid":"u","operation":"CREATE",)"
                R"("kind":{"group":"apps","version":"v1","kind":"Deployment"}})"),
      review_of(R"({"uid":"u","operation":"UPDATE","object":)" + std::string(kDeployment) +
                R"(,"kind":{"group":"apps","version":"v1","kind":"Deployment"}})"),
      review_of(R"({"uid":"u","operation":"CREATE","object":{"spec":{"template":7}},)"
                R"("kind":{"group":"apps","version":"v1","kind":"Deployment"}})"),
      std::string(100'000, '['),
  };
  for (const std::string& body : bad) {
    const auto review = decode_review(body, {});
    ASSERT_FALSE(review) << body.substr(0, 200);
    EXPECT_EQ(review.error().kind, ErrorKind::kInvalid) << body.substr(0, 200);
  }
}

// Cut anywhere, a review is refused, never half read.
TEST(DecodeReview, RefusesEveryPrefix) {
  const std::string good = create();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_review(std::string_view(good).substr(0, size), {})) << size;
  }
}

}  // namespace
}  // namespace tidemark::webhook
