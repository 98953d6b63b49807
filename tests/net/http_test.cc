#include "net/http.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Headers, AreFoundWithoutCaseAndInOrder) {
  const Headers headers = {{"Link", "one"}, {"content-TYPE", "text/plain"}, {"LINK", "two"}};
  ASSERT_NE(find_header(headers, "Content-Type"), nullptr);
  EXPECT_EQ(*find_header(headers, "Content-Type"), "text/plain");
  EXPECT_EQ(find_headers(headers, "link"), (std::vector<std::string_view>{"one", "two"}));
  EXPECT_EQ(find_header(headers, "Lin"), nullptr);
  EXPECT_TRUE(find_headers(headers, "Links").empty());
}

struct GoodUrl {
  std::string text;
  bool tls;
  std::string host;
  std::uint16_t port;
  std::string target;
  std::string canonical;
};

TEST(Url, IsTakenApartOnce) {
  const std::vector<GoodUrl> table = {
      {"https://ghcr.io/v2/", true, "ghcr.io", 443, "/v2/", "https://ghcr.io/v2/"},
      {"http://localhost:5000", false, "localhost", 5000, "/", "http://localhost:5000/"},
      {"HTTPS://Registry.EXAMPLE.com:8443/A?b=C#frag", true, "registry.example.com", 8443, "/A?b=C",
       "https://registry.example.com:8443/A?b=C"},
      {"http://[::1]:5000/v2/?n=1", false, "::1", 5000, "/v2/?n=1", "http://[::1]:5000/v2/?n=1"},
      {"https://[2001:DB8::1]", true, "2001:db8::1", 443, "/", "https://[2001:db8::1]/"},
      {"https://10.0.0.1?x", true, "10.0.0.1", 443, "/?x", "https://10.0.0.1/?x"},
      {"http://h:80/a%2Fb", false, "h", 80, "/a%2Fb", "http://h/a%2Fb"},
      {"https://h:/x", true, "h", 443, "/x", "https://h/x"},
      {"https://my_host.local/x@y:z", true, "my_host.local", 443, "/x@y:z",
       "https://my_host.local/x@y:z"},
      {"https://h:65535/", true, "h", 65535, "/", "https://h:65535/"},
  };
  for (const GoodUrl& row : table) {
    const auto url = Url::parse(row.text);
    ASSERT_TRUE(url.has_value()) << row.text << ": " << url.error().message;
    EXPECT_EQ(url->tls, row.tls) << row.text;
    EXPECT_EQ(url->host, row.host) << row.text;
    EXPECT_EQ(url->port, row.port) << row.text;
    EXPECT_EQ(url->target, row.target) << row.text;
    EXPECT_EQ(url->str(), row.canonical);
  }
}

TEST(Url, RefusesWhatCouldFoolAHostCheck) {
  for (const std::string text : {"",
                                 "https",
                                 "https:",
                                 "https:/",
                                 "https://",
                                 "https:///path",
                                 "ftp://h/",
                                 "//h/",
                                 "/v2/",
                                 "https:h/",
                                 "javascript:alert(1)",
                                 "https://user@h/",
                                 "https://user:pass@h/",
                                 "https://h@evil/",
                                 "https://h:0/",
                                 "https://h:65536/",
                                 "https://h:-1/",
                                 "https://h:8a/",
                                 "https://h:80:80/",
                                 "https://[::1/",
                                 "https://[]/",
                                 "https://[h]/",
                                 "https://[::1]x/",
                                 "https://[fe80::1%25eth0]/",
                                 "https://::1/",
                                 "https://a b/",
                                 "https://h/a b",
                                 "https://h/\r\nHost: x",
                                 "https://h/\x7f",
                                 "https://h\\@evil/",
                                 "https://%31/",
                                 "https://b\xc3\xbc"
                                 "cher.de/",
                                 "1https://h/"}) {
    const auto url = Url::parse(text);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(url.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_FALSE(Url::parse(std::string("https://h/\0x", 12)).has_value());
  EXPECT_FALSE(Url::parse("https://" + std::string(254, 'a') + "/").has_value());
  EXPECT_FALSE(Url::parse("https://h/" + std::string(8192, 'a')).has_value());
}

TEST(Url, AuthorityAlwaysHasThePortAndTheHostHeaderOnlyAnUnusualOne) {
  EXPECT_EQ(Url::parse("https://h/")->authority(), "h:443");
  EXPECT_EQ(Url::parse("http://[::1]/")->authority(), "[::1]:80");
  EXPECT_EQ(Url::parse("https://h/")->host_header(), "h");
  EXPECT_EQ(Url::parse("http://h:443/")->host_header(), "h:443");
  EXPECT_EQ(Url::parse("http://[::1]/")->host_header(), "[::1]");
}

TEST(Url, SameOriginNeedsSchemeHostAndPort) {
  const Url url = *Url::parse("https://h/a");
  EXPECT_TRUE(url.same_origin(*Url::parse("https://H:443/b")));
  EXPECT_FALSE(url.same_origin(*Url::parse("http://h:443/a")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://h:444/a")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://g/a")));
}

TEST(Url, ResolvesReferencesAsRfc3986Shows) {
  // The normal and abnormal examples of section 5.4, as far as they are http.
  const Url base = *Url::parse("http://a/b/c/d;p?q");
  const std::vector<std::pair<std::string, std::string>> table = {
      {"g", "/b/c/g"},       {"./g", "/b/c/g"},    {"g/", "/b/c/g/"},
      {"/g", "/g"},          {"?y", "/b/c/d;p?y"}, {"g?y", "/b/c/g?y"},
      {"#s", "/b/c/d;p?q"},  {"g#s", "/b/c/g"},    {"g?y#s", "/b/c/g?y"},
      {";x", "/b/c/;x"},     {"", "/b/c/d;p?q"},   {".", "/b/c/"},
      {"./", "/b/c/"},       {"..", "/b/"},        {"../", "/b/"},
      {"../g", "/b/g"},      {"../..", "/"},       {"../../g", "/g"},
      {"../../../g", "/g"},  {"/./g", "/g"},       {"/../g", "/g"},
      {"g.", "/b/c/g."},     {"..g", "/b/c/..g"},  {"./../g", "/b/g"},
      {"g/./h", "/b/c/g/h"}, {"g/../h", "/b/c/h"}, {"g?y/../x", "/b/c/g?y/../x"},
  };
  for (const auto& [reference, target] : table) {
    const auto url = base.resolve(reference);
    ASSERT_TRUE(url.has_value()) << reference;
    EXPECT_EQ(url->target, target) << reference;
    EXPECT_TRUE(url->same_origin(base)) << reference;
  }
  EXPECT_EQ(base.resolve("//other:81/x")->str(), "http://other:81/x");
  EXPECT_EQ(base.resolve("https://other/x/../y")->str(), "https://other/y");
  EXPECT_FALSE(base.resolve("mailto:x").has_value());
  EXPECT_FALSE(base.resolve("//user@other/").has_value());
}

TEST(Url, EncodesEverythingButUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a b/c:d\xff"), "a%20b%2Fc%3Ad%FF");
}

TEST(RetryAfter, ReadsSecondsAndAllThreeDateForms) {
  const WallTime now{seconds{784'111'777}};  // Sun, 06 Nov 1994 08:49:37 GMT
  const auto after = [now](const std::string& value) {
    return retry_after({{"retry-after", value}}, now);
  };
  EXPECT_EQ(after("0"), milliseconds{0});
  EXPECT_EQ(after("120"), seconds{120});
  EXPECT_EQ(after("Sun, 06 Nov 1994 08:50:37 GMT"), seconds{60});
  EXPECT_EQ(after("Sunday, 06-Nov-94 08:50:37 GMT"), seconds{60});
  EXPECT_EQ(after("Sun Nov  6 08:50:37 1994"), seconds{60});
}

TEST(RetryAfter, IsNeverNegativeNorLongerThanAnHour) {
  const WallTime now{seconds{784'111'777}};
  const auto after = [now](const std::string& value) {
    return retry_after({{"Retry-After", value}}, now);
  };
  EXPECT_EQ(after("Sun, 06 Nov 1994 08:48:37 GMT"), milliseconds{0});
  EXPECT_EQ(after("86400"), hours{1});
  EXPECT_EQ(after("99999999999999999999999"), hours{1});
  EXPECT_EQ(after("Sun, 06 Nov 2094 08:48:37 GMT"), hours{1});
}

TEST(RetryAfter, IgnoresWhatIsNeither) {
  const WallTime now{};
  EXPECT_EQ(retry_after({}, now), std::nullopt);
  for (const std::string value :
       {"", "soon", "-1", "1.5", "12x", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT"}) {
    EXPECT_EQ(retry_after({{"Retry-After", value}}, now), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace tidemark::net
