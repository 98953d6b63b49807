#include "gitops/remote.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::gitops {
namespace {

TEST(Remote, ReadsTheFormsThatGitHas) {
  EXPECT_EQ(Remote::parse("https://git.test/a/b.git")->url, "https://git.test/a/b.git");
  EXPECT_EQ(Remote::parse("http://git.test:3000/a/")->url, "http://git.test:3000/a");
  EXPECT_EQ(Remote::parse("ssh://git@git.test:2222/a/b")->url, "ssh://git@git.test:2222/a/b");
  EXPECT_EQ(Remote::parse("git@git.test:a/b.git")->url, "ssh://git@git.test/a/b.git");
  EXPECT_EQ(Remote::parse("git.test:/a")->url, "ssh://git.test/a");
  EXPECT_TRUE(Remote::parse("git@git.test:a")->ssh());
  EXPECT_FALSE(Remote::parse("https://git.test/a")->ssh());
}

TEST(Remote, RefusesWhatIsNoRepositoryOrHoldsAPassword) {
  for (const char* url :
       {"", "/srv/git/a", "file:///srv/a", "git://git.test/a", "ext::sh -c true",
        "https://git.test", "https://git.test/", "https://me:word@git.test/a",
        "https://me@git.test/a", "ssh://git.test", "ssh://git.test/", "ssh://git:word@git.test/a",
        "ssh://-oProxyCommand=x/a", "a b:c", "-oProxyCommand=x:a"}) {
    EXPECT_FALSE(Remote::parse(url)) << url;
  }
  EXPECT_FALSE(Remote::parse("https://git.test/" + std::string(3000, 'a')));
  EXPECT_EQ(Remote::parse("https://me:word@git.test/a").error().message.find("word@"),
            std::string::npos);
}

TEST(Remote, TheSecretsKeysAreThoseOfFlux) {
  const auto read = read_git_secret({{"username", "me"},
                                     {"password", "a\n"},
                                     {"bearerToken", " t\n"},
                                     {"identity", "KEY"},
                                     {"identity.pub", "PUB"},
                                     {"known_hosts", "host ssh-rsa AAAA"},
                                     {"caFile", "CA"},
                                     {"certFile", "CERT"},
                                     {"keyFile", "K"},
                                     {"signingKey", "S"},
                                     {"unknown", "is passed over"}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->username, "me");
  EXPECT_EQ(read->password, "a");
  EXPECT_EQ(read->bearer_token, "t");
  EXPECT_EQ(read->ssh_key, "KEY");
  EXPECT_EQ(read->ssh_public_key, "PUB");
  EXPECT_EQ(read->known_hosts, "host ssh-rsa AAAA");
  EXPECT_EQ(read->ca_pem, "CA");
  ASSERT_TRUE(read->client_pair);
  EXPECT_EQ(read->client_pair->certificate_pem, "CERT");
  EXPECT_EQ(read->signing_key, "S");
  EXPECT_EQ(read_git_secret({{"ca.crt", "NEW"}, {"caFile", "OLD"}})->ca_pem, "NEW");
  EXPECT_FALSE(read_git_secret({{"tls.crt", "CERT"}}));
  EXPECT_TRUE(read_git_secret({}));
}

TEST(Remote, SshNeedsAKeyAndKnownHosts) {
  const Remote ssh = Remote::parse("git@git.test:a").value();
  EXPECT_FALSE(check_credentials(ssh, {}));
  EXPECT_FALSE(check_credentials(ssh, {.ssh_key = "KEY"}));
  EXPECT_FALSE(check_credentials(ssh, {.ssh_key = "KEY", .known_hosts = "\n"}));
  EXPECT_TRUE(check_credentials(ssh, {.ssh_key = "KEY", .known_hosts = "git.test ssh-rsa AAAA"}));
  EXPECT_TRUE(check_credentials(Remote::parse("https://git.test/a").value(), {}));
}

}  // namespace
}  // namespace tidemark::gitops
