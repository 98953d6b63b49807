#include "image/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::image {
namespace {

const std::string kHex64(64, 'a');
const std::string kHex128(128, '0');

TEST(Digest, KnowsItsParts) {
  const auto digest = Digest::parse("sha256:0123456789abcdef" + std::string(48, 'e'));
  ASSERT_TRUE(digest) << digest.error().message;
  EXPECT_EQ(digest->algorithm(), "sha256");
  EXPECT_EQ(digest->hex(), "0123456789abcdef" + std::string(48, 'e'));
  EXPECT_EQ(digest->short_hex(), "0123456789ab");
  EXPECT_EQ(digest->str(), "sha256:0123456789abcdef" + std::string(48, 'e'));
  const auto longer = Digest::parse("sha512:" + kHex128);
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->algorithm(), "sha512");
  EXPECT_NE(*digest, *longer);
  EXPECT_LT(*digest, *longer);
}

TEST(Digest, RefusesEverythingElse) {
  for (const std::string& text :
       {std::string(), std::string("sha256"), std::string("sha256:"), std::string(":") + kHex64,
        kHex64, "sha256:" + kHex64.substr(1), "sha256:" + kHex64 + "a", "sha256:" + kHex128,
        "sha512:" + kHex64, "sha512:" + kHex128 + "0", "sha384:" + std::string(96, 'a'),
        "SHA256:" + kHex64, "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'),
        "sha256:" + std::string(63, 'a') + " ", " sha256:" + kHex64, "sha256+b64:" + kHex64,
        "sha256:" + std::string(63, 'a') + std::string(1, '\0'), "md5:" + std::string(32, 'a')}) {
    const auto digest = Digest::parse(text);
    ASSERT_FALSE(digest) << text;
    EXPECT_EQ(digest.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Digest, QuotesOnlyTheBeginningOfWhatDidNotParse) {
  const auto digest = Digest::parse(std::string(1'000'000, 'x') + "\n");
  ASSERT_FALSE(digest);
  EXPECT_LT(digest.error().message.size(), 300U);
}

}  // namespace
}  // namespace tidemark::image
