// authenticate() against published vectors, and ReplayGuard.
#include "push/authenticate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/base64.h"

namespace tidemark::push {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// GitHub, "Validating webhook deliveries": their own example.
const std::string kSecret = "It's a Secret to Everybody";
const std::string kBody = "Hello, World!";
const std::string kHex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
// The well-known vectors of HMAC (key "key", the pangram).
const std::string kPangram = "The quick brown fox jumps over the lazy dog";
const std::string kPangram256 = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
const std::string kPangram1 = "de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9";

bool accepts(const Sender& sender, const std::vector<Header>& headers,
             std::string_view path_token = {}, std::string_view body = kBody) {
  const Status status = authenticate(sender, headers, path_token, body);
  if (status) return true;
  EXPECT_EQ(status.error().kind, ErrorKind::kUnauthorized);
  for (const std::string& secret : sender.secrets) {
    EXPECT_TRUE(secret.empty() || !status.error().message.contains(secret));
  }
  return false;
}

TEST(Authenticate, TakesATokenWhereverASenderCanPutIt) {
  const Sender sender{.secrets = {"open sesame"}};
  EXPECT_TRUE(accepts(sender, {{"Authorization", "Bearer open sesame"}}));
  EXPECT_TRUE(accepts(sender, {{"authorization", "bearer   open sesame "}}));
  EXPECT_TRUE(accepts(sender, {{"Authorization", "open sesame"}})) << "Harbor: as it is";
  const std::string basic = "Basic " + base64_encode("anybody:open sesame");
  EXPECT_TRUE(accepts(sender, {{"Authorization", basic}}));
  EXPECT_TRUE(accepts(sender, {}, "open sesame"));
  EXPECT_TRUE(accepts(sender, {{"Authorization", "Bearer other"}}, "open sesame"));
  const Sender own{.secrets = {"open sesame"}, .header = "X-JFrog-Event-Auth"};
  EXPECT_TRUE(accepts(own, {{"Accept", "*/*"}, {"x-jfrog-event-auth", "open sesame"}}));
  EXPECT_FALSE(accepts(own, {{"Authorization", "Bearer open sesame"}}));
}

TEST(Authenticate, RefusesEveryOtherToken) {
  const Sender sender{.secrets = {"open sesame"}};
  for (const std::string value :
       {"", "Bearer", "Bearer ", "Bearer open", "Bearer open sesame!", "Bearer Open Sesame",
        "Basic", "Basic !!!", "Basic b3BlbiBzZXNhbWU=", "Digest open sesame",
        "Bearer Bearer open sesame"}) {
    EXPECT_FALSE(accepts(sender, {{"Authorization", value}})) << value;
  }
  const std::string as_user = "Basic " + base64_encode("open sesame:");
  EXPECT_FALSE(accepts(sender, {{"Authorization", as_user}}));
  EXPECT_FALSE(accepts(sender, {}));
  EXPECT_FALSE(accepts(sender, {}, "open sesam"));
  EXPECT_FALSE(accepts(sender, {}, {}, "open sesame")) << "in the body";
  EXPECT_FALSE(accepts(sender, {{"Authorization", "Bearer x"}, {"Authorization", "open sesame"}}))
      << "the first counts";
}

TEST(Authenticate, TakesASignatureOfTheBody) {
  const Sender sender{.proof = Proof::kHmacSha256, .secrets = {kSecret}};
  EXPECT_TRUE(accepts(sender, {{"X-Hub-Signature-256", "sha256=" + kHex}}));
  EXPECT_TRUE(accepts(sender, {{"x-hub-signature-256", kHex}}));
  const Sender jfrog{
      .proof = Proof::kHmacSha256, .secrets = {"key"}, .header = "X-JFrog-Event-Auth"};
  EXPECT_TRUE(accepts(jfrog, {{"X-JFrog-Event-Auth", kPangram256}}, {}, kPangram));
  const Sender nexus{.proof = Proof::kHmacSha1, .secrets = {"key"}};
  EXPECT_TRUE(accepts(nexus, {{"X-Nexus-Webhook-Signature", kPangram1}}, {}, kPangram));
}

TEST(Authenticate, RefusesEveryOtherSignature) {
  const Sender sender{.proof = Proof::kHmacSha256, .secrets = {kSecret}};
  for (const std::string& value :
       {std::string(), std::string("sha256="), "sha1=" + kHex, "sha256=" + kHex.substr(2),
        "sha256=" + kHex + "00", "sha256=" + std::string(64, '0'), "sha256=" + std::string(64, 'g'),
        "sha256=sha256=" + kHex, kSecret, "Bearer " + kSecret}) {
    EXPECT_FALSE(accepts(sender, {{"X-Hub-Signature-256", value}})) << value;
  }
  EXPECT_FALSE(accepts(sender, {{"X-Hub-Signature-256", "sha256=" + kHex}}, {}, "Hello, World"));
  EXPECT_FALSE(accepts(sender, {{"X-Hub-Signature", "sha256=" + kHex}}));
  EXPECT_FALSE(accepts(sender, {{"Authorization", "Bearer " + kSecret}}, kSecret))
      << "the secret itself is no signature";
  const Sender sha1{.proof = Proof::kHmacSha1, .secrets = {"key"}};
  EXPECT_FALSE(accepts(sha1, {{"X-Nexus-Webhook-Signature", kPangram256}}, {}, kPangram));
}

TEST(Authenticate, TakesAnyOfTheSecretsWhileOneIsReplaced) {
  const Sender tokens{.secrets = {"old", "new"}};
  EXPECT_TRUE(accepts(tokens, {}, "old"));
  EXPECT_TRUE(accepts(tokens, {}, "new"));
  EXPECT_FALSE(accepts(tokens, {}, "oldnew"));
  const Sender keys{.proof = Proof::kHmacSha256, .secrets = {"other", kSecret}};
  EXPECT_TRUE(accepts(keys, {{"X-Hub-Signature-256", kHex}}));
}

TEST(Authenticate, AnEmptySecretOpensNothing) {
  // HMAC-SHA-256 and HMAC-SHA-1 of "" under "".
  const std::string empty256 = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
  const std::string empty1 = "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d";
  for (const std::vector<std::string>& secrets :
       {std::vector<std::string>{}, std::vector<std::string>{""}}) {
    EXPECT_FALSE(accepts({.secrets = secrets}, {{"Authorization", ""}}, ""));
    EXPECT_FALSE(accepts({.secrets = secrets}, {{"Authorization", "Basic Og=="}}));
    EXPECT_FALSE(accepts({.proof = Proof::kHmacSha256, .secrets = secrets},
                         {{"X-Hub-Signature-256", empty256}}, {}, ""));
    EXPECT_FALSE(accepts({.proof = Proof::kHmacSha1, .secrets = secrets},
                         {{"X-Nexus-Webhook-Signature", empty1}}, {}, ""));
  }
}

class ReplayGuardTest : public ::testing::Test {
 protected:
  ReplayGuard guard_{{.max_bodies = 3, .keep = minutes{5}}};
  SteadyTime now_{};
};

TEST_F(ReplayGuardTest, KnowsABodyForSomeMinutes) {
  EXPECT_FALSE(guard_.seen(Format::kGhcr, "a", now_));
  EXPECT_FALSE(guard_.seen(Format::kGhcr, "a", now_)) << "asking is not remembering";
  guard_.remember(Format::kGhcr, "a", now_);
  EXPECT_TRUE(guard_.seen(Format::kGhcr, "a", now_));
  EXPECT_FALSE(guard_.seen(Format::kGhcr, "b", now_));
  EXPECT_TRUE(guard_.seen(Format::kGhcr, "a", now_ + minutes{5}));
  EXPECT_FALSE(guard_.seen(Format::kGhcr, "a", now_ + minutes{5} + seconds{1}));
  guard_.remember(Format::kGhcr, "a", now_ + minutes{6});
  EXPECT_TRUE(guard_.seen(Format::kGhcr, "a", now_ + minutes{7}));
}

TEST_F(ReplayGuardTest, TheOldestGivesWay) {
  for (const std::string_view body : {"a", "b", "a", "c", "d"}) {
    guard_.remember(Format::kGhcr, body, now_);
  }
  EXPECT_FALSE(guard_.seen(Format::kGhcr, "a", now_));
  for (const std::string_view body : {"b", "c", "d"}) {
    EXPECT_TRUE(guard_.seen(Format::kGhcr, body, now_)) << body;
  }
}

TEST_F(ReplayGuardTest, AnEqualBodyMayBeANewPush) {
  for (const Format format : kFormats) {
    const bool repeats =
        format == Format::kQuay || format == Format::kArtifactory || format == Format::kGeneric;
    const std::string body(to_string(format));
    guard_.remember(format, body, now_);
    EXPECT_EQ(guard_.seen(format, body, now_), !repeats) << body;
  }
}

}  // namespace
}  // namespace tidemark::push
