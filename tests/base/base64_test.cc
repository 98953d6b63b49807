#include "base/base64.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace tidemark {
namespace {

TEST(Base64, IsThatOfTheRfc) {  // RFC 4648, 10
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, encoded] : vectors) EXPECT_EQ(base64_encode(text), encoded);
  EXPECT_EQ(base64_encode("\xfb\xff\xfe"), "+//+");
}

TEST(Base64, IsReversible) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    std::string encoded = base64_encode(bytes);
    EXPECT_EQ(base64_decode(encoded).value_or("?"), bytes);
    // Without its padding, as some tools write docker configurations.
    while (encoded.ends_with('=')) encoded.pop_back();
    EXPECT_EQ(base64_decode(encoded).value_or("?"), bytes);
    bytes.push_back(static_cast<char>(i));
  }
}

TEST(Base64, SkipsLineBreaksAndSpaces) {
  EXPECT_EQ(base64_decode("Zm\n9v \r\n").value_or("?"), "foo");
  EXPECT_EQ(base64_decode(" Z g\t=\n= ").value_or("?"), "f");
}

TEST(Base64, RefusesEverythingElse) {
  for (const char* bad : {"Z", "Zm9vZ", "Zg=", "Zg===", "=", "==", "====", "Z===", "Zm9v=",
                          "Zg==Zg==", "Zm9-", "Zm9_", "Zg=a", "Zm9v."}) {
    const auto decoded = base64_decode(bad);
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().kind, ErrorKind::kInvalid);
  }
}

}  // namespace
}  // namespace tidemark
