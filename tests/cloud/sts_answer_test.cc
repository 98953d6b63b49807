#include "cloud/sts_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "cloud/step.h"

namespace tidemark::cloud {
namespace {

// As AWS' STS API reference shows it.
constexpr std::string_view kAnswer =
    R"(<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>system:serviceaccount:tidemark-system:tidemark-webhook</SubjectFromWebIdentityToken>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/tidemark/tidemark</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:tidemark</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE=</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2026-01-01T01:00:00Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
    <Provider>arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>)";

std::string changed(std::string_view from, std::string_view to) {
  std::string text(kAnswer);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(StsAnswer, ReadsWhatTheReferenceShows) {
  const auto answer = parse_sts_answer(kAnswer);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->credentials.access_key_id, "ASgeIAIOSFODNN7EXAMPLE");
  EXPECT_EQ(answer->credentials.secret_access_key, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY");
  EXPECT_EQ(answer->credentials.session_token, "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE=");
  EXPECT_EQ(to_rfc3339(answer->expiration), "2026-01-01T01:00:00Z");
}

TEST(StsAnswer, RefusesWhatItCannotBeSureOf) {
  const std::string secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY";
  for (const std::string& xml :
       {std::string{}, std::string("<html><body>Sign in</body></html>"),
        std::string(kAnswer.substr(0, kAnswer.find("<Expiration>"))),
        std::string(kAnswer.substr(0, kAnswer.find("</Credentials>"))),
        changed("<AccessKeyId>", "<AccessKeyId x=\"1\">"),
        changed("<AccessKeyId>AS", "<AccessKeyId>&#65;S"),
        changed("<AccessKeyId>AS", "<AccessKeyId><!-- -->AS"),
        changed("<AccessKeyId>AS", "<AccessKeyId>A S"),
        changed("<Expiration>2026-01-01T01:00:00Z", "<Expiration>tomorrow"),
        changed("ASgeIAIOSFODNN7EXAMPLE", ""),
        changed("<AccessKeyId>", "<AccessKeyId>X</AccessKeyId><AccessKeyId>"),
        changed("<Credentials>", "</Credentials><Credentials>"),
        std::string(kAnswer) + std::string(kAnswer),
        changed("AQoDYX", std::string(kMaxSecretBytes, 'x')),
        std::string(kAnswer) + std::string(kMaxAnswerBytes, ' ')}) {
    const auto answer = parse_sts_answer(xml);
    ASSERT_FALSE(answer) << xml.substr(0, 2000);
    EXPECT_EQ(answer.error().message.find(secret), std::string::npos);
  }
}

}  // namespace
}  // namespace tidemark::cloud
