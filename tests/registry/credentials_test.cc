#include "registry/credentials.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "registry/encoding.h"
#include "registry/host_pattern.h"
#include "registry/pull_secret.h"

namespace tidemark::registry {
namespace {

image::Reference ref(std::string_view name) { return image::Reference::parse(name).value(); }

// {"auths": {...}} with one entry for each location; the user's name is the location.
std::string config(const std::vector<std::string>& locations) {
  std::string json = R"({"auths":{)";
  for (const std::string& location : locations) {
    if (json.back() != '{') json += ',';
    json += '"' + location + R"(":{"username":")" + location + R"(","password":"pw"})";
  }
  return json + "}}";
}

std::vector<std::string> users(const Keyring& keyring, std::string_view name) {
  std::vector<std::string> out;
  for (const Credential& credential : keyring.lookup(ref(name))) out.push_back(credential.username);
  return out;
}

using Users = std::vector<std::string>;

TEST(Sha2, GivesThePublishedSums) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto sha512 = image::Digest::parse(
      "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  ASSERT_TRUE(sha512);
  EXPECT_TRUE(matches(*sha512, "abc"));
  EXPECT_FALSE(matches(*sha512, "abd"));
}

TEST(HostPattern, MatchesAsTheKubelet) {
  struct Case {
    std::string_view pattern;
    std::string_view host;
    bool matches;
  };
  for (const Case& c : std::vector<Case>{
           {"docker.io", "docker.io", true},
           {"Docker.IO", "docker.io", true},
           {"docker.io", "docker.io.evil", false},
           {"docker.io", "xdocker.io", false},
           {"*.docker.io", "a.docker.io", true},
           {"*.docker.io", "docker.io", false},
           {"*.docker.io", "a.b.docker.io", false},
           {"*.*.docker.io", "a.b.docker.io", true},
           {"*.docker.io", "not.right.io", false},
           {"a*.io", "abc.io", true},
           {"a*c.io", "abcbc.io", true},
           {"a*c.io", "ab.c.io", false},
           {"*", "localhost", true},
           {"*", "a.b", false},
           {"a?c", "abc", true},
           {"a?c", "a.c", false},
           {"host:5000", "host:5000", true},
           {"host:5000", "host", false},
           {"host", "host:5000", false},
           {"*.local:5000", "r.local:5000", true},
           {"*.local:5000", "r.local:5001", false},
           {"[::1]:5000", "[::1]:5000", true},
           {"[::1]", "[::1]", true},
           {"[::1]:5000", "[::2]:5000", false},
           {"", "", true},
           {"", "a", false},
           {"a", "", false},
           {"*", "", true},
       }) {
    EXPECT_EQ(host_matches(c.pattern, c.host), c.matches) << c.pattern << " " << c.host;
  }
  EXPECT_FALSE(host_matches(std::string(200, '*') + "b", std::string(250, 'a')));
}

TEST(Keyring, ReadsEveryFormOfAnEntry) {
  std::vector<std::string> skipped;
  const auto keyring = Keyring::parse_docker_config_json(R"({
    "credsStore": "desktop", "HttpHeaders": {"a": "b"},
    "auths": {
      "auth.test": {"auth": "dXNlcjpwYTpzcw==", "email": "e@x"},
      "raw.test": {"auth": "dXNlcjpwYTpzcw"},
      "plain.test": {"username": "u", "password": "p"},
      "both.test": {"username": "ignored", "password": "ignored", "auth": "dXNlcjpwYTpzcw=="},
      "identity.test": {"identitytoken": "refresh", "auth": "MDAwMDA6"},
      "token.test": {"registrytoken": "bearer"},
      "null.test": {"username": null, "auth": "dXNlcjpwYTpzcw=="},
      "helper.test": {},
      "number.test": {"username": 1},
      "array.test": [],
      "broken.test": {"auth": "!!!"},
      "nocolon.test": {"auth": "dXNlcg=="},
      "user@host.test": {"username": "u", "password": "p"},
      "": {"username": "u", "password": "p"}
    }})",
                                                         "secret ns/pull", &skipped);
  ASSERT_TRUE(keyring) << keyring.error().message;
  const auto one = [&](std::string_view name) {
    const auto found = keyring->lookup(ref(name));
    EXPECT_EQ(found.size(), 1U) << name;
    return found.empty() ? Credential{} : found.front();
  };
  for (const std::string_view name : {"auth.test/a", "raw.test/a", "both.test/a", "null.test/a"}) {
    EXPECT_EQ(one(name).username, "user") << name;
    EXPECT_EQ(one(name).password, "pa:ss") << name;
    EXPECT_EQ(one(name).source, "secret ns/pull");
  }
  EXPECT_EQ(one("plain.test/a").password, "p");
  EXPECT_EQ(one("identity.test/a").identity_token, "refresh");
  EXPECT_EQ(one("identity.test/a").username, "00000");
  EXPECT_EQ(one("token.test/a").registry_token, "bearer");
  EXPECT_TRUE(keyring->lookup(ref("helper.test/a")).empty());
  EXPECT_EQ(skipped, (Users{"\"number.test\"", "\"array.test\"", "\"broken.test\"",
                            "\"nocolon.test\"", "\"user@host.test\"", "\"\""}));
}

TEST(Keyring, ReadsDockerCfg) {
  const auto keyring =
      Keyring::parse_docker_cfg(R"({"r.test":{"username":"u","password":"p"}})", "old");
  ASSERT_TRUE(keyring);
  EXPECT_EQ(users(*keyring, "r.test/a"), Users{"u"});
  EXPECT_FALSE(keyring->empty());
  EXPECT_TRUE(Keyring::parse_docker_cfg("{}", "old")->empty());
}

TEST(Keyring, RefusesWhatIsNoConfigurationWithoutQuotingIt) {
  for (const std::string& json :
       {std::string(), std::string("hunter2"), std::string("[]"), std::string("{"),
        std::string(R"({"auths":[]})"), std::string(R"({"hunter2":{}})"),
        "{\"auths\":{\"hunter2" + std::string(1024 * 1024, 'x') + "\":{}}}"}) {
    const auto keyring = Keyring::parse_docker_config_json(json, "secret a/b");
    ASSERT_FALSE(keyring);
    EXPECT_EQ(keyring.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(keyring.error().message.find("hunter2"), std::string::npos);
    EXPECT_EQ(keyring.error().message.find("secret a/b"), 0U);
  }
}

TEST(Keyring, FindsWhatTheKubeletFinds) {
  struct Case {
    std::vector<std::string> locations;
    std::string_view image;
    Users expected;
  };
  const std::vector<Case> cases = {
      // Docker Hub's many names.
      {{"https://index.docker.io/v1/"}, "nginx", {"https://index.docker.io/v1/"}},
      {{"https://index.docker.io/v1/"}, "team/app", {"https://index.docker.io/v1/"}},
      {{"index.docker.io"}, "nginx", {"index.docker.io"}},
      {{"https://index.docker.io/v2/"}, "nginx", {"https://index.docker.io/v2/"}},
      {{"docker.io"}, "nginx", {"docker.io"}},
      {{"https://docker.io"}, "docker.io/team/app", {"https://docker.io"}},
      // The fallback holds only where nothing else matches, and only for Docker Hub.
      {{"index.docker.io", "docker.io"}, "nginx", {"docker.io"}},
      {{"index.docker.io"}, "localhost/nginx", {}},
      {{"index.docker.io"}, "r.test/nginx", {}},
      {{"registry-1.docker.io"}, "nginx", {}},
      // Schemes, slashes and API versions say nothing.
      {{"http://r.test"}, "r.test/a", {"http://r.test"}},
      {{"https://r.test/"}, "r.test/a", {"https://r.test/"}},
      {{"https://r.test/v2/"}, "r.test/a", {"https://r.test/v2/"}},
      {{"https://r.test/v1/team"}, "r.test/team/a", {"https://r.test/v1/team"}},
      {{"https://r.test/v1/team"}, "r.test/other/a", {}},
      // Ports.
      {{"r.test:5000"}, "r.test:5000/a", {"r.test:5000"}},
      {{"r.test:5000"}, "r.test/a", {}},
      {{"r.test"}, "r.test:5000/a", {}},
      {{"[::1]:5000"}, "[::1]:5000/a", {"[::1]:5000"}},
      // Paths: a plain prefix, the longest first.
      {{"r.test", "r.test/team", "r.test/team/app"},
       "r.test/team/app",
       {"r.test/team/app", "r.test/team", "r.test"}},
      {{"r.test", "r.test/team"}, "r.test/other/app", {"r.test"}},
      {{"r.test/team"}, "r.test/teams/app", {"r.test/team"}},
      {{"r.test/team"}, "r.test/tea", {}},
      {{"docker.io/library"}, "nginx", {"docker.io/library"}},
      {{"docker.io/library"}, "team/nginx", {}},
      // Wildcards: never across a dot, behind the exact names.
      {{"*.test"}, "r.test/a", {"*.test"}},
      {{"*.test"}, "a.r.test/a", {}},
      {{"*.test", "r.test"}, "r.test/a", {"r.test", "*.test"}},
      {{"*.test/team", "*.test"}, "r.test/team/a", {"*.test/team", "*.test"}},
      {{"*.dkr.ecr.*.amazonaws.com"},
       "123.dkr.ecr.eu-west-1.amazonaws.com/a",
       {"*.dkr.ecr.*.amazonaws.com"}},
      {{"*.test:5000"}, "r.test:5000/a", {"*.test:5000"}},
      {{"*.test:5000"}, "r.test:5001/a", {}},
      // Letters of hosts have no case.
      {{"R.Test"}, "r.test/a", {"R.Test"}},
      {{}, "nginx", {}},
  };
  for (const Case& c : cases) {
    const auto keyring = Keyring::parse_docker_config_json(config(c.locations), "s");
    ASSERT_TRUE(keyring);
    EXPECT_EQ(users(*keyring, c.image), c.expected)
        << c.image << " with " << (c.locations.empty() ? "nothing" : c.locations.front());
  }
}

// The cases of Kubernetes' own keyring_test.go (1.34): location, image, found or not.
TEST(Keyring, PassesTheKubeletsOwnCases) {
  struct Case {
    std::string_view location;
    std::string_view image;
    bool found;
  };
  for (const Case& c : std::vector<Case>{
           {"https://hello.kubernetes.io", "hello.kubernetes.io/foo/bar", true},
           {"https://*.docker.io", "prefix.docker.io/foo/bar", true},
           {"https://prefix.*.io", "prefix.docker.io/foo/bar", true},
           {"https://prefix.docker.*", "prefix.docker.io/foo/bar", true},
           {"https://*.docker.io/path", "prefix.docker.io/path/foo/bar", true},
           {"https://prefix.*.io/path", "prefix.docker.io/path/subpath/foo/bar", true},
           {"https://prefix.docker.*/path", "prefix.docker.io/path/foo/bar", true},
           {"https://*.docker.io:8888", "prefix.docker.io:8888/foo/bar", true},
           {"https://prefix.*.io:8888", "prefix.docker.io:8888/foo/bar", true},
           {"https://prefix.docker.*:8888", "prefix.docker.io:8888/foo/bar", true},
           {"https://*.docker.io/v1/", "prefix.docker.io/path/foo/bar", true},
           {"https://*.docker.io/v2/", "prefix.docker.io/path/foo/bar", true},
           {"prefix.docker.io:1111", "prefix.docker.io:1111/path/foo/bar", true},
           {"*.docker.io:1111", "prefix.docker.io:1111/path/foo/bar", true},
           {"*-good.kubernetes.io", "prefix-good.kubernetes.io/a", true},
           {"*.kubernetes.io/blah", "prefix.kubernetes.io/blah", true},
           {"*.kubernetes.io:1111/blah", "prefix.kubernetes.io:1111/blah", true},
           {"prefix.*.io:1111/foo", "prefix.kubernetes.io:1111/foo/bar", true},
           {"*kubernetes.io", "kubernetes.io/a", true},
           {"*.*.*.kubernetes.io", "a.b.c.kubernetes.io/a", true},
           {"*.kubernetes.io", "kubernetes.io/a", false},
           {"*.*.kubernetes.io", "prefix.kubernetes.io/a", false},
           {"*.*.kubernetes.io", "kubernetes.io/a", false},
           {"*kubernetes.io", "a.kubernetes.io/a", false},
           {"kubernetes.io", "kubernetes.com/a", false},
           {"k*.io", "quay.io/a", false},
           {"*.kubernetes.io:1234/blah", "prefix.kubernetes.io:1111/blah", false},
           {"prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar", false},
           {"https://hello.kubernetes.io", "world.mesos.org/foo/bar", false},
           {"https://*.docker.com", "prefix.docker.io/foo/bar", false},
           {"https://suffix.*.io", "prefix.docker.io/foo/bar", false},
           {"https://prefix.docker.c*", "prefix.docker.io/foo/bar", false},
           {"https://prefix.*.io/path:1111", "prefix.docker.io/path/subpath/foo/bar", false},
           {"suffix.*.io", "prefix.docker.io/foo/bar", false},
           {"https://index.docker.io/v1/", "world.mesos.org/foo/bar", false},
           {"https://index.docker.io/v1/", "google/docker-registry", true},
           {"https://index.docker.io/v1/", "jenkins", true},
           {"https://index.docker.io/v1/", "docker.io/jenkins", true},
           {"https://index.docker.io/v1/", "index.docker.io/library/jenkins", true},
       }) {
    const auto keyring = Keyring::parse_docker_cfg(
        R"({")" + std::string(c.location) + R"(":{"email":"foo@bar.baz","auth":"Zm9vOmJhcg=="}})",
        "s");
    ASSERT_TRUE(keyring) << c.location;
    EXPECT_EQ(users(*keyring, c.image), c.found ? Users{"foo"} : Users{})
        << c.location << " " << c.image;
  }
}

TEST(PullSecret, IsKnownByTypeAndKey) {
  const std::string entry = R"({"r.test":{"username":"u","password":"hunter2"}})";
  const std::string config = R"({"auths":)" + entry + "}";
  const char* const json_type = "kubernetes.io/dockerconfigjson";
  const char* const cfg_type = "kubernetes.io/dockercfg";
  using Data = std::map<std::string, std::string>;
  EXPECT_EQ(users(read_pull_secret(json_type, Data{{".dockerconfigjson", config}}, "s").value(),
                  "r.test/a"),
            Users{"u"});
  EXPECT_EQ(users(read_pull_secret(cfg_type, Data{{".dockercfg", entry}}, "s").value(), "r.test/a"),
            Users{"u"});
  for (const auto& [type, data] : std::vector<std::pair<std::string, Data>>{
           {json_type, {}},
           {json_type, {{".dockercfg", entry}}},
           {json_type, {{".dockerconfigjson", ""}}},
           {json_type, {{".dockerconfigjson", "hunter2"}}},
           {cfg_type, {{".dockerconfigjson", config}}},
           {"Opaque", {{".dockerconfigjson", config}, {".dockercfg", entry}}},
           {"", {{".dockerconfigjson", config}}},
       }) {
    const auto keyring = read_pull_secret(type, data, "secret a/b");
    ASSERT_FALSE(keyring) << type;
    EXPECT_EQ(keyring.error().kind, ErrorKind::kInvalid);
    EXPECT_TRUE(keyring.error().message.starts_with("secret a/b: ")) << keyring.error().message;
    EXPECT_EQ(keyring.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(Keyring, TriesSeveralForOneHostInOrderAndEachOnce) {
  const auto entry = [](std::string_view user) {
    return Keyring::parse_docker_cfg(
               R"({"r.test":{"username":")" + std::string(user) + R"(","password":"p"}})", user)
        .value();
  };
  Keyring keyring = entry("first");
  keyring.append(entry("second"));
  keyring.append(entry("first"));
  keyring.append(Keyring());
  EXPECT_EQ(users(keyring, "r.test/a"), (Users{"first", "second"}));
}

TEST(Credential, IdentityTellsSecretsApartAndNothingElse) {
  const Credential base{.username = "u", .password = "p", .source = "a"};
  Credential same = base;
  same.source = "b";
  EXPECT_EQ(base.identity(), same.identity());
  EXPECT_EQ(base.identity().size(), 64U);
  EXPECT_EQ(Credential{.source = "s"}.identity(), "anonymous");

  const std::vector<Credential> others = {
      base,
      {.username = "up"},
      {.username = "u", .password = "p", .identity_token = "t"},
      {.username = "u", .identity_token = "p"},
      {.username = "u", .registry_token = "p"},
      {.password = "up"},
      {.username = "u:p"},
      {},
  };
  for (std::size_t i = 0; i < others.size(); ++i) {
    for (std::size_t j = i + 1; j < others.size(); ++j) {
      EXPECT_NE(others[i].identity(), others[j].identity()) << i << " " << j;
    }
  }
}

}  // namespace
}  // namespace tidemark::registry
