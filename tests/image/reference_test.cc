#include "image/reference.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::image {
namespace {

const std::string kSha256 = "sha256:" + std::string(64, 'f');
const std::string kSha512 = "sha512:" + std::string(128, 'f');

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Good {
  std::string text;
  std::string registry;
  std::string repository;
  std::string tag;     // "" for none
  std::string digest;  // "" for none
};

std::vector<Good> good_names() {
  return {
      // What people write: Docker Hub by default, official images under library/.
      {"nginx", "docker.io", "library/nginx", "latest", ""},
      {"nginx:1.27", "docker.io", "library/nginx", "1.27", ""},
      {"docker.io/nginx", "docker.io", "library/nginx", "latest", ""},
      {"docker.io/library/nginx", "docker.io", "library/nginx", "latest", ""},
      {"index.docker.io/nginx:1", "docker.io", "library/nginx", "1", ""},
      {"index.docker.io/library/nginx", "docker.io", "library/nginx", "latest", ""},
      {"index.docker.io/team/app", "docker.io", "team/app", "latest", ""},
      {"library/nginx", "docker.io", "library/nginx", "latest", ""},
      {"team/app", "docker.io", "team/app", "latest", ""},
      {"team/app/part:v1", "docker.io", "team/app/part", "v1", ""},
      {"docker.io/library/foo/bar", "docker.io", "library/foo/bar", "latest", ""},
      {"docker/migrator", "docker.io", "docker/migrator", "latest", ""},
      // Without a slash nothing is a registry: the part after the colon is a tag.
      {"test.com", "docker.io", "library/test.com", "latest", ""},
      {"test.com:tag", "docker.io", "library/test.com", "tag", ""},
      {"test.com:5000", "docker.io", "library/test.com", "5000", ""},
      {"localhost", "docker.io", "library/localhost", "latest", ""},
      {"localhost:5000", "docker.io", "library/localhost", "5000", ""},
      {"192.168.1.1", "docker.io", "library/192.168.1.1", "latest", ""},
      {"192.168.1.1:tag", "docker.io", "library/192.168.1.1", "tag", ""},
      {"192.168.1.1:5000", "docker.io", "library/192.168.1.1", "5000", ""},
      {"foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", ""},
      {"lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", ""},
      // Hosts.
      {"localhost/foo", "localhost", "foo", "latest", ""},
      {"localhost:5000/foo:bar", "localhost:5000", "foo", "bar", ""},
      {"foo.bar/baz", "foo.bar", "baz", "latest", ""},
      {"test.com/repo:tag", "test.com", "repo", "tag", ""},
      {"test:5000/repo", "test:5000", "repo", "latest", ""},
      {"test:5000/repo:tag", "test:5000", "repo", "tag", ""},
      {"test-com:8080/foo", "test-com:8080", "foo", "latest", ""},
      {"sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux",
       "some-long-tag", ""},
      {"b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app",
       "test.example.com", ""},
      {"xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", ""},
      {"xn--n3h.com:18080/foo", "xn--n3h.com:18080", "foo", "latest", ""},
      {"foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", ""},
      {"test_com/foo", "docker.io", "test_com/foo", "latest", ""},
      {"a.b.c.d.e/x", "a.b.c.d.e", "x", "latest", ""},
      {"docker.io:443/nginx", "docker.io:443", "nginx", "latest", ""},
      // An upper-case first element can only be a host; its case is kept.
      {"Docker/docker", "Docker", "docker", "latest", ""},
      {"FOO/bar:1", "FOO", "bar", "1", ""},
      {"Registry.Example.COM/app", "Registry.Example.COM", "app", "latest", ""},
      {"Uppercase/lowercase:tag", "Uppercase", "lowercase", "tag", ""},
      // Addresses.
      {"127.0.0.1:5000/docker/docker", "127.0.0.1:5000", "docker/docker", "latest", ""},
      {"192.168.0.1:8/debian", "192.168.0.1:8", "debian", "latest", ""},
      {"192.168.1.1/repo", "192.168.1.1", "repo", "latest", ""},
      {"192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", ""},
      {"[2001:db8::1]/repo", "[2001:db8::1]", "repo", "latest", ""},
      {"[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", "tag", ""},
      {"[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000", "repo", "tag", ""},
      {"[2001:DB8::1]:5000/repo", "[2001:DB8::1]:5000", "repo", "latest", ""},
      {"[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo", "latest", ""},
      {"[::1]:5000/repo@" + kSha256, "[::1]:5000", "repo", "", kSha256},
      {"[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian",
       "latest", ""},
      // Digests, and both.
      {"nginx@" + kSha256, "docker.io", "library/nginx", "", kSha256},
      {"test:5000/repo@" + kSha256, "test:5000", "repo", "", kSha256},
      {"test:5000/repo:tag@" + kSha256, "test:5000", "repo", "tag", kSha256},
      {"nginx:1.27@" + kSha256, "docker.io", "library/nginx", "1.27", kSha256},
      {"xn--7o8h.com/myimage:xn--7o8h.com@" + kSha512, "xn--7o8h.com", "myimage", "xn--7o8h.com",
       kSha512},
      // Path components: every separator, and the shortest ones.
      {"d/docker", "docker.io", "d/docker", "latest", ""},
      {"a", "docker.io", "library/a", "latest", ""},
      {"0/1", "docker.io", "0/1", "latest", ""},
      {"docker-rules/docker", "docker.io", "docker-rules/docker", "latest", ""},
      {"docker---rules/docker", "docker.io", "docker---rules/docker", "latest", ""},
      {"dock__er/docker", "docker.io", "dock__er/docker", "latest", ""},
      {"dock_er/do.ck.er", "docker.io", "dock_er/do.ck.er", "latest", ""},
      {"ubuntu-12.04-base", "docker.io", "library/ubuntu-12.04-base", "latest", ""},
      // Tags: any word character first, then dots and dashes too.
      {"app:_", "docker.io", "library/app", "_", ""},
      {"app:0", "docker.io", "library/app", "0", ""},
      {"app:V1.2.3-rc_4", "docker.io", "library/app", "V1.2.3-rc_4", ""},
      {"app:a--..__", "docker.io", "library/app", "a--..__", ""},
      // Bounds.
      {"app:" + std::string(128, 't'), "docker.io", "library/app", std::string(128, 't'), ""},
      {"r.io/" + std::string(255, 'a'), "r.io", std::string(255, 'a'), "latest", ""},
      {"r.io/" + repeat("a/", 127) + "a", "r.io", repeat("a/", 127) + "a", "latest", ""},
      {std::string(247, 'a'), "docker.io", "library/" + std::string(247, 'a'), "latest", ""},
      {repeat("a.", 126) + "a:65535/b", repeat("a.", 126) + "a:65535", "b", "latest", ""},
      // 64 characters are an image ID only where all of them are lower-case hex and nothing else
      // is there.
      {"thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "docker.io",
       "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev", "latest", ""},
      {"docker.io/" + std::string(64, 'a'), "docker.io", "library/" + std::string(64, 'a'),
       "latest", ""},
      {std::string(63, 'a'), "docker.io", "library/" + std::string(63, 'a'), "latest", ""},
      {std::string(64, 'a') + ":v1", "docker.io", "library/" + std::string(64, 'a'), "v1", ""},
  };
}

std::vector<std::string> bad_names() {
  return {
      "",
      " ",
      "/",
      "//",
      ":",
      "@",
      ":justtag",
      "@" + kSha256,
      "nginx:",
      "nginx@",
      "nginx:1.27@",
      " nginx",
      "nginx ",
      "nginx\n",
      "ngi nx",
      "nginx:a b",
      std::string("nginx\0", 6),
      std::string("ng\0inx", 6),
      "nginx\xc3\xa9",
      "\xe2\x98\x83.com/app",
      "https://github.com/docker/docker",
      "http://registry.example.com/app",
      "docker/Docker",
      "Uppercase:tag",
      "UPPER",
      "test:5000/Uppercase/lowercase:tag",
      "docker.io/docker/Docker",
      "-docker",
      "-docker/docker",
      "docker-/docker",
      "-docker-/docker",
      "-docker.io/docker/docker",
      "docker.io-/app",
      "foo..com/app",
      ".com/app",
      "com./app",
      "foo_bar.com/app",
      "docker///docker",
      "docker.io/docker///docker",
      "docker/",
      "docker.io/",
      "/docker",
      "docker.io//docker",
      "____/____",
      "_docker/_docker",
      "docker_/docker",
      "dock___er/docker",
      "dock..er/docker",
      "dock_.er/docker",
      "dock-.er/docker",
      "dock._er/docker",
      "app.",
      ".app",
      "aa/asdf$$^/aa",
      "app:-tag",
      "app:.tag",
      "app:tag:tag",
      "app:ta/g:x:y",
      "app:tag@" + kSha256 + "@" + kSha256,
      "app:" + std::string(129, 't'),
      "host:/app",
      "host:port/app",
      "host:80:80/app",
      ":5000/app",
      "[2001:db8::1]",
      "[2001:db8::1]:5000",
      "[2001:db8::1]:tag",
      "[]:5000/app",
      "[::1/app",
      "::1]/app",
      "[::1]x/app",
      "[::1]:/app",
      "[::1]:x/app",
      "fc00::1:5000/debian",
      "[fe80::1%eth0]:5000/repo",
      "[fe80::1%@invalidzone]:5000/repo",
      "[2001:db8:3:4::192.0.2.33]:5000/debian",
      "repo@sha256:" + std::string(34, 'f'),
      "repo@sha256:" + std::string(64, 'F'),
      "repo@sha256:" + std::string(65, 'f'),
      "repo@sha384:" + std::string(96, 'f'),
      "repo@sha512:" + std::string(64, 'f'),
      "validname@invaliddigest:" + std::string(128, 'f'),
      "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a",
      "r.io/" + std::string(256, 'a'),
      "r.io/" + repeat("a/", 128) + "a:tag",
      std::string(248, 'a'),  // with "library/" one more than 255
      repeat("a.", 127) + "abcde:65535/b",
      repeat("this_is_not_a_valid_namespace_because_its_length_is_greater_than_255_", 4) +
          "/docker",
      std::string(1'000'000, 'a'),
      repeat("a/", 100'000),
  };
}

TEST(Reference, ReadsEveryGoodName) {
  for (const Good& good : good_names()) {
    SCOPED_TRACE(good.text);
    const auto reference = Reference::parse(good.text);
    ASSERT_TRUE(reference) << reference.error().message;
    EXPECT_EQ(reference->registry(), good.registry);
    EXPECT_EQ(reference->repository(), good.repository);
    EXPECT_EQ(reference->tag().value_or(""), good.tag);
    EXPECT_EQ(reference->digest() ? reference->digest()->str() : "", good.digest);

    const std::string name = good.registry + "/" + good.repository;
    const std::string tagged = good.tag.empty() ? "" : name + ":" + good.tag;
    EXPECT_EQ(reference->tagged(), tagged);
    EXPECT_EQ(reference->str(),
              (tagged.empty() ? name : tagged) + (good.digest.empty() ? "" : "@" + good.digest));
    EXPECT_EQ(reference->manifest_name(), good.tag.empty() ? good.digest : good.tag);
  }
}

TEST(Reference, IsNormalisedOnce) {
  for (const Good& good : good_names()) {
    SCOPED_TRACE(good.text);
    const Reference first = Reference::parse(good.text).value();
    const auto second = Reference::parse(first.str());
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(*second, first);
  }
}

TEST(Reference, RefusesEveryBadNameWithAShortReason) {
  for (const std::string& text : bad_names()) {
    SCOPED_TRACE(text.substr(0, 80));
    const auto reference = Reference::parse(text);
    ASSERT_FALSE(reference) << reference->str();
    EXPECT_EQ(reference.error().kind, ErrorKind::kInvalid);
    EXPECT_LT(reference.error().message.size(), 1'200U);
    EXPECT_EQ(reference.error().message.find('\n'), std::string::npos);
  }
}

TEST(Reference, IsHeldAgainstAtLeastEightyNames) {
  EXPECT_GE(good_names().size() + bad_names().size(), 80U);
}

TEST(Reference, NamesOfTheSameImageAreEqual) {
  const Reference nginx = Reference::parse("nginx").value();
  for (const std::string_view same :
       {"nginx:latest", "library/nginx", "docker.io/nginx", "docker.io/library/nginx:latest",
        "index.docker.io/nginx", "index.docker.io/library/nginx:latest"}) {
    EXPECT_EQ(Reference::parse(same).value(), nginx) << same;
  }
  for (const std::string_view other :
       {"nginx:1", "team/nginx", "localhost/nginx", "registry-1.docker.io/library/nginx"}) {
    EXPECT_NE(Reference::parse(other).value(), nginx) << other;
  }
}

TEST(Reference, SaysWhatIsWrong) {
  const auto reason = [](std::string_view text) { return Reference::parse(text).error().message; };
  EXPECT_EQ(reason("Nginx"), R"(image name "Nginx": the repository must be lower-case)");
  EXPECT_NE(reason("nginx:-1").find("tag"), std::string::npos);
  EXPECT_NE(reason("nginx@sha256:1").find("digest"), std::string::npos);
  EXPECT_NE(reason("foo_bar.com/app").find("registry"), std::string::npos);
}

TEST(Reference, AnotherTagInItsPlace) {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_EQ(with_tag("nginx", "1.28"), "nginx:1.28");
  EXPECT_EQ(with_tag("nginx:1.27", "1.28"), "nginx:1.28");
  EXPECT_EQ(with_tag("host:5000/team/app", "2"), "host:5000/team/app:2");
  EXPECT_EQ(with_tag("host:5000/team/app:1" + digest, "2"), "host:5000/team/app:2");
  EXPECT_EQ(with_tag("[fd00::1]:5000/app:1", "2"), "[fd00::1]:5000/app:2");
  EXPECT_EQ(Reference::parse("nginx:1" + digest).value().with_tag("2").str(),
            "docker.io/library/nginx:2");
}

TEST(Reference, WhatIsATag) {
  for (const char* tag : {"1", "v1.2-rc_1", "_x", "latest"}) EXPECT_TRUE(is_tag(tag)) << tag;
  for (const char* tag : {"", "-1", ".1", "a b", "a:b", "a/b", "a@b"}) EXPECT_FALSE(is_tag(tag));
  EXPECT_FALSE(is_tag(std::string(129, 'a')));
}

}  // namespace
}  // namespace tidemark::image
