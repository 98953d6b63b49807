#include "gitops/known_hosts.h"

#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"

namespace tidemark::gitops {
namespace {

// RFC 8709, 4: a type and 32 bytes, each after its length.
std::string key(char fill) {
  return std::string("\0\0\0\x0b", 4) + "ssh-ed25519" + std::string("\0\0\0\x20", 4) +
         std::string(32, fill);
}

std::string line(const std::string& hosts, char fill) {
  return hosts + " ssh-ed25519 " + base64_encode(key(fill)) + "\n";
}

Status check(const std::string& file, const std::string& url = "ssh://git@git.test/a",
             char shown = 'a') {
  return check_known_host(file, url, "git.test", key(shown));
}

TEST(KnownHosts, AKeyIsKnownByItsHostAndPort) {
  EXPECT_TRUE(check("# a comment\n\n" + line("other.test", 'b') + line("git.test", 'a')));
  EXPECT_TRUE(check(line("other.test,git.test", 'a')));
  EXPECT_TRUE(check(line("[git.test]:2222", 'a'), "ssh://git@git.test:2222/a"));
  EXPECT_TRUE(check(line("git.test", 'b') + line("git.test", 'a'))) << "a server may have two";
  EXPECT_FALSE(check(line("[git.test]:2222", 'a')));
}

TEST(KnownHosts, WhatIsHashedIsKnownToo) {
  // `ssh-keygen -H` of a line for git.test with the key of 'a'.
  const std::string hashed =
      "|1|MDEyMzQ1Njc4OWFiY2RlZmdoaWo=|48leerQl328zyM0chBCudxTmbDE= ssh-ed25519 " +
      base64_encode(key('a')) + "\n";
  EXPECT_TRUE(check(hashed));
}

TEST(KnownHosts, AnotherKeyAndAnUnknownHostAreTold) {
  const auto another = check(line("git.test", 'b'));
  ASSERT_FALSE(another);
  EXPECT_EQ(another.error().kind, ErrorKind::kTls);
  EXPECT_NE(another.error().message.find("another key"), std::string::npos);
  const auto unknown = check(line("other.test", 'a'));
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("ssh-keyscan"), std::string::npos);
  EXPECT_FALSE(check(""));
  EXPECT_FALSE(check("@revoked " + line("git.test", 'a')));
}

TEST(KnownHosts, ABrokenLineIsNoSilence) {
  const auto broken = check("git.test\n" + line("git.test", 'a'));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace tidemark::gitops
