#include <gtest/gtest.h>

#include <map>
#include <string>

#include "net/client.h"

namespace tidemark::net {
namespace {

using Environment = std::map<std::string, std::string>;

Result<ProxyOptions> from(const Environment& environment) {
  return ProxyOptions::from([&](const std::string& name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  });
}

// "host:port" of the proxy for `url`, or "direct".
std::string choice(const Environment& environment, const std::string& url) {
  const auto options = from(environment);
  if (!options) return "error: " + options.error().message;
  const Proxy* proxy = options->select(*Url::parse(url));
  return proxy == nullptr ? "direct" : proxy->url.authority();
}

TEST(ProxyTest, TheSchemeOfTheTargetChooses) {
  const Environment both = {{"HTTP_PROXY", "http://plain:1"}, {"HTTPS_PROXY", "http://secure:2"}};
  EXPECT_EQ(choice(both, "http://example.com/"), "plain:1");
  EXPECT_EQ(choice(both, "https://example.com/"), "secure:2");
  EXPECT_EQ(choice({{"HTTP_PROXY", "http://plain:1"}}, "https://example.com/"), "direct");
  EXPECT_EQ(choice({{"HTTPS_PROXY", "http://secure:2"}}, "http://example.com/"), "direct");
  EXPECT_EQ(choice({}, "https://example.com/"), "direct");
}

TEST(ProxyTest, UpperCaseNamesAreAskedFirst) {
  EXPECT_EQ(choice({{"https_proxy", "http://low:1"}}, "https://example.com/"), "low:1");
  EXPECT_EQ(choice({{"https_proxy", "http://low:1"}, {"HTTPS_PROXY", "http://up:2"}},
                   "https://example.com/"),
            "up:2");
  EXPECT_EQ(
      choice({{"https_proxy", "http://p:1"}, {"no_proxy", "example.com"}}, "https://example.com/"),
      "direct");
}

TEST(ProxyTest, ACgiRequestCannotSetTheProxy) {
  const Environment cgi = {{"REQUEST_METHOD", "GET"}, {"HTTP_PROXY", "http://evil:1"}};
  EXPECT_EQ(choice(cgi, "http://example.com/"), "direct");
  Environment lower = cgi;
  lower["http_proxy"] = "http://good:1";
  EXPECT_EQ(choice(lower, "http://example.com/"), "good:1");
}

TEST(ProxyTest, SchemeAndPortMayBeLeftOut) {
  EXPECT_EQ(choice({{"HTTP_PROXY", "proxy:3128"}}, "http://example.com/"), "proxy:3128");
  EXPECT_EQ(choice({{"HTTP_PROXY", "http://proxy"}}, "http://example.com/"), "proxy:80");
  EXPECT_EQ(choice({{"HTTP_PROXY", "http://[fd00::1]:3128/"}}, "http://example.com/"),
            "[fd00::1]:3128");
}

TEST(ProxyTest, CredentialsBecomeBasicAuthorizationOfThatProxyAlone) {
  const auto options =
      from({{"HTTP_PROXY", "http://plain:1"}, {"HTTPS_PROXY", "http://user:p%40ss%2Fw@secure:2"}});
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->http->authorization, "");
  EXPECT_EQ(options->https->authorization, "Basic dXNlcjpwQHNzL3c=");  // user:p@ss/w
  EXPECT_EQ(options->https->url.authority(), "secure:2");
  EXPECT_EQ(from({{"HTTP_PROXY", "http://u@p:1"}})->http->authorization, "Basic dTo=");    // u:
  EXPECT_EQ(from({{"HTTP_PROXY", "http://a:b@p:1"}})->http->authorization, "Basic YTpi");  // a:b
}

TEST(ProxyTest, AWrongValueNamesItsVariableAndHidesThePassword) {
  for (const char* bad : {"http://", "https://user:secret@proxy:1", "socks5://user:secret@proxy:1",
                          "http://user:secret@pro xy:1", "http://user:secret@proxy:99999"}) {
    const auto options = from({{"https_proxy", bad}});
    ASSERT_FALSE(options.has_value()) << bad;
    EXPECT_EQ(options.error().kind, ErrorKind::kInvalid);
    EXPECT_TRUE(options.error().message.starts_with("https_proxy: ")) << options.error().message;
    EXPECT_EQ(options.error().message.find("secret"), std::string::npos);
  }
}

TEST(ProxyTest, TooManyExceptionsAreRefused) {
  std::string list;
  for (int i = 0; i < 1025; ++i) list += "a,";
  const auto options = from({{"NO_PROXY", list}});
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error().kind, ErrorKind::kInvalid);
}

struct NoProxyCase {
  std::string no_proxy;
  std::string url;
  bool direct;
};

class NoProxy : public ::testing::TestWithParam<NoProxyCase> {};

TEST_P(NoProxy, FollowsTheTable) {
  const auto& [no_proxy, url, direct] = GetParam();
  const Environment environment = {
      {"HTTP_PROXY", "p:1"}, {"HTTPS_PROXY", "p:1"}, {"NO_PROXY", no_proxy}};
  EXPECT_EQ(choice(environment, url), direct ? "direct" : "p:1") << no_proxy << " for " << url;
}

INSTANTIATE_TEST_SUITE_P(
    Names, NoProxy,
    ::testing::Values(NoProxyCase{"example.com", "https://example.com/", true},
                      NoProxyCase{"example.com", "https://www.example.com/", true},
                      NoProxyCase{"example.com", "https://notexample.com/", false},
                      NoProxyCase{"example.com", "https://example.com.evil/", false},
                      NoProxyCase{"EXAMPLE.com", "https://Example.COM/", true},
                      NoProxyCase{"example.com", "https://example.com./", true},
                      NoProxyCase{"example.com.", "https://example.com/", true},
                      NoProxyCase{".example.com", "https://example.com/", false},
                      NoProxyCase{".example.com", "https://a.b.example.com/", true},
                      NoProxyCase{"*.example.com", "https://example.com/", false},
                      NoProxyCase{"*.example.com", "https://a.example.com/", true},
                      NoProxyCase{"a.com, example.com ,b.com", "https://example.com/", true},
                      NoProxyCase{" , ,", "https://example.com/", false},
                      NoProxyCase{"*", "https://example.com/", true},
                      NoProxyCase{"*", "http://10.0.0.1/", true},
                      NoProxyCase{"a.com,*", "http://example.com/", true},
                      NoProxyCase{"", "https://example.com/", false},
                      NoProxyCase{"svc", "https://registry.infra.svc/", true},
                      NoProxyCase{"cluster.local", "https://r.ns.svc.cluster.local:5000/", true}));

INSTANTIATE_TEST_SUITE_P(
    Ports, NoProxy,
    ::testing::Values(NoProxyCase{"example.com:443", "https://example.com/", true},
                      NoProxyCase{"example.com:443", "https://example.com:5000/", false},
                      NoProxyCase{"example.com:5000", "https://a.example.com:5000/", true},
                      NoProxyCase{".example.com:80", "http://a.example.com/", true},
                      NoProxyCase{"example.com:x", "https://example.com/", false},
                      NoProxyCase{"example.com:99999", "https://example.com/", false},
                      NoProxyCase{"10.0.0.1:80", "http://10.0.0.1/", true},
                      NoProxyCase{"10.0.0.1:80", "https://10.0.0.1/", false},
                      NoProxyCase{"[fd00::1]:80", "http://[fd00::1]/", true},
                      NoProxyCase{"[fd00::1]:80", "http://[fd00::1]:81/", false}));

INSTANTIATE_TEST_SUITE_P(
    Addresses, NoProxy,
    ::testing::Values(NoProxyCase{"10.0.0.1", "http://10.0.0.1/", true},
                      NoProxyCase{"10.0.0.1", "http://10.0.0.2/", false},
                      NoProxyCase{"10.0.0.1", "http://x.10.0.0.1.example/", false},
                      NoProxyCase{"10.0.0.0/8", "http://10.255.0.1:5000/", true},
                      NoProxyCase{"10.0.0.0/8", "http://11.0.0.1/", false},
                      NoProxyCase{"10.0.0.0/8", "http://ten.example/", false},
                      NoProxyCase{"10.0.0.0/8", "http://[::ffff:10.0.0.1]/", true},
                      NoProxyCase{"fd00::/8", "http://[fd12::1]/", true},
                      NoProxyCase{"fd00::1", "http://[fd00:0::1]/", true},
                      NoProxyCase{"[fd00::1]", "http://[fd00::1]/", true},
                      NoProxyCase{"10.0.0.0/99", "http://10.0.0.1/", false}));

INSTANTIATE_TEST_SUITE_P(LoopbackIsAlwaysDirect, NoProxy,
                         ::testing::Values(NoProxyCase{"", "http://localhost:5000/", true},
                                           NoProxyCase{"", "http://LOCALHOST./", true},
                                           NoProxyCase{"", "http://127.0.0.1:5000/", true},
                                           NoProxyCase{"", "http://127.1/", true},
                                           NoProxyCase{"", "http://[::1]/", true},
                                           NoProxyCase{"", "http://[::ffff:127.0.0.1]/", true},
                                           NoProxyCase{"", "http://localhost.example/", false}));

}  // namespace
}  // namespace tidemark::net
