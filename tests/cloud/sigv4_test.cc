// The published vectors: aws-sig-v4-test-suite, by the names of its folders. Those of its
// normalize-path are left out but for get-space: no path here needs it.
#include "cloud/sigv4.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tidemark::cloud {
namespace {

constexpr WallTime kSuiteTime{std::chrono::seconds{1'440'938'160}};  // 2015-08-30T12:36:00Z

AwsCredentials suite_credentials() {
  return {.access_key_id = "AKIDEXAMPLE",
          .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
}

SigningScope suite_scope() {
  return {.region = "us-east-1", .service = "service", .time = kSuiteTime};
}

net::Request request(std::string method, std::string_view target, net::Headers headers = {},
                     std::string body = {}) {
  net::Request out{.method = std::move(method),
                   .url = net::Url::parse("https://example.amazonaws.com/").value(),
                   .headers = std::move(headers),
                   .body = std::move(body)};
  out.url.target = target;
  return out;
}

struct Vector {
  std::string name;
  net::Request request;
  std::string signed_headers;
  std::string signature;
  std::string session_token{};
};

constexpr const char* kUnreserved =
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr const char* kSessionToken =
    "AQoDYXdzEPT//////////"
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx"
    "7"
    "mSEI/qkPpKPi/"
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q"
    "6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
    "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4r"
    "vx3iSIlTJabIQwj2ICCR/oLxBA==";

std::vector<Vector> suite() {
  const std::string plain = "host;x-amz-date";
  const std::string with_header = "host;my-header1;x-amz-date";
  const std::string form = "application/x-www-form-urlencoded";
  const std::string unreserved = kUnreserved;
  return {
      {"get-vanilla", request("GET", "/"), plain,
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"post-vanilla", request("POST", "/"), plain,
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"get-vanilla-query-order-key-case", request("GET", "/?Param2=value2&Param1=value1"), plain,
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-key", request("GET", "/?Param1=value2&Param1=Value1"), plain,
       "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
      {"get-vanilla-query-order-value", request("GET", "/?Param1=value2&Param1=value1"), plain,
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"get-vanilla-query-unreserved", request("GET", "/?" + unreserved + "=" + unreserved), plain,
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-vanilla-utf8-query", request("GET", "/?%E1%88%B4=bar"), plain,
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"post-vanilla-empty-query-value", request("POST", "/?Param1=value1"), plain,
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"get-unreserved", request("GET", "/" + unreserved), plain,
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8", request("GET", "/%E1%88%B4"), plain,
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-space", request("GET", "/example%20space/"), plain,
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-header-key-duplicate",
       request("GET", "/",
               {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}}),
       with_header, "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-order",
       request("GET", "/",
               {{"My-Header1", "value4"},
                {"My-Header1", "value1"},
                {"My-Header1", "value3"},
                {"My-Header1", "value2"}}),
       with_header, "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-value-multiline", request("GET", "/", {{"My-Header1", "value1,value2,value3"}}),
       with_header, "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
      {"get-header-value-trim",
       request("GET", "/", {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}),
       "host;my-header1;my-header2;x-amz-date",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-header-key-sort", request("POST", "/", {{"My-Header1", "value1"}}), with_header,
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-header-value-case", request("POST", "/", {{"My-Header1", "VALUE1"}}), with_header,
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"post-x-www-form-urlencoded",
       request("POST", "/", {{"Content-Type", form}}, "Param1=value1"),
       "content-type;host;x-amz-date",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"post-x-www-form-urlencoded-parameters",
       request("POST", "/", {{"Content-Type", form + "; charset=utf8"}}, "Param1=value1"),
       "content-type;host;x-amz-date",
       "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
      {"post-sts-header-before", request("POST", "/"), "host;x-amz-date;x-amz-security-token",
       "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead", kSessionToken},
  };
}

// registry: Amazon ECR
TEST(SigV4, SignsAsTheTestSuiteOfAwsDoes) {
  for (const Vector& vector : suite()) {
    net::Request request = vector.request;
    AwsCredentials credentials = suite_credentials();
    credentials.session_token = vector.session_token;
    sign(request, credentials, suite_scope());
    const std::string* header = net::find_header(request.headers, "Authorization");
    ASSERT_NE(header, nullptr) << vector.name;
    EXPECT_EQ(*header,
              "AWS4-HMAC-SHA256 "
              "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" +
                  vector.signed_headers + ", Signature=" + vector.signature)
        << vector.name;
    EXPECT_EQ(*net::find_header(request.headers, "X-Amz-Date"), "20150830T123600Z");
    EXPECT_EQ(net::find_header(request.headers, "X-Amz-Security-Token") != nullptr,
              !vector.session_token.empty());
  }
}

TEST(SigV4, TheCanonicalRequestIsThatOfTheTestSuite) {
  EXPECT_EQ(
      canonical_request(request("POST", "/",
                                {{"Content-Type", "application/x-www-form-urlencoded"},
                                 {"X-Amz-Date", "20150830T123600Z"}},
                                "Param1=value1")),
      "POST\n/\n\ncontent-type:application/x-www-form-urlencoded\nhost:example.amazonaws.com\n"
      "x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n"
      "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e");
  EXPECT_EQ(canonical_request(request("GET", "/?b&a=1&&a=0")).substr(0, 16), "GET\n/\na=0&a=1&b=");
}

}  // namespace
}  // namespace tidemark::cloud
