#include "cloud/hosts.h"

#include <gtest/gtest.h>

#include <string>

namespace tidemark::cloud {
namespace {

using registry::Login;

TEST(Hosts, EcrIsTwelveDigitsAndARegion) {
  EXPECT_EQ(ecr_region("123456789012.dkr.ecr.eu-west-1.amazonaws.com"), "eu-west-1");
  EXPECT_EQ(ecr_region("123456789012.dkr.ecr.us-gov-east-1.amazonaws.com"), "us-gov-east-1");
  EXPECT_EQ(ecr_region("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), "cn-north-1");
  for (const char* host :
       {"", "123456789012", "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
        "1234567890123.dkr.ecr.eu-west-1.amazonaws.com",
        "a23456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
        "123456789012.dkr.ecr.eu-west-1.evil.example", "123456789012.dkr.ecr.eu-west-1",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443",
        "123456789012.dkr.ecr.eu-west-1.xamazonaws.com",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com", "123456789012.dkr.ecr..amazonaws.com",
        "123456789012.dkr.ecr.evil.example.amazonaws.com",
        "123456789012.dkr.ecr.-west-1.amazonaws.com", "123456789012.dkr.ecr.s3.amazonaws.com",
        "123456789012.dkr.ecr.EU-WEST-1.amazonaws.com",
        "x.123456789012.dkr.ecr.eu-west-1.amazonaws.com"}) {
    EXPECT_EQ(ecr_region(host), std::nullopt) << host;
  }
  EXPECT_FALSE(is_aws_region("eu-" + std::string(40, 'w')));
  EXPECT_TRUE(is_ecr_public("public.ecr.aws"));
  EXPECT_FALSE(is_ecr_public("public.ecr.aws.evil.example"));
}

TEST(Hosts, GoogleAndAzureAreTheirOwnDomains) {
  for (const char* host : {"gcr.io", "eu.gcr.io", "europe-west3-docker.pkg.dev"}) {
    EXPECT_TRUE(is_google(host)) << host;
  }
  for (const char* host : {"evilgcr.io", "gcr.io.evil.example", "a.b.gcr.io", ".gcr.io", "pkg.dev",
                           "-a.pkg.dev", "evilpkg.dev", "gcr.io:5000", "a_b.pkg.dev"}) {
    EXPECT_FALSE(is_google(host)) << host;
  }
  ASSERT_NE(azure_cloud("team.azurecr.io"), nullptr);
  EXPECT_EQ(azure_cloud("team.azurecr.io")->authority, "login.microsoftonline.com");
  EXPECT_EQ(azure_cloud("team.azurecr.us")->authority, "login.microsoftonline.us");
  EXPECT_EQ(azure_cloud("team.azurecr.cn")->authority, "login.chinacloudapi.cn");
  for (const char* host : {"azurecr.io", ".azurecr.io", "a.b.azurecr.io", "evilazurecr.io",
                           "team.azurecr.io.evil.example", "team.azurecr.io:443", "Team.azurecr.io",
                           "team.azurecr.de"}) {
    EXPECT_EQ(azure_cloud(host), nullptr) << host;
  }
}

TEST(Hosts, APatternMustNameHostsOfItsLogin) {
  EXPECT_TRUE(check_pattern(Login::kNone, "registry.example.com"));
  EXPECT_TRUE(check_pattern(Login::kEcr, "*.dkr.ecr.*.amazonaws.com"));
  EXPECT_TRUE(check_pattern(Login::kEcr, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"));
  EXPECT_TRUE(check_pattern(Login::kEcrPublic, "public.ecr.aws"));
  EXPECT_TRUE(check_pattern(Login::kGoogle, "gcr.io"));
  EXPECT_TRUE(check_pattern(Login::kGoogle, "*.pkg.dev"));
  EXPECT_TRUE(check_pattern(Login::kAzure, "*.azurecr.io"));
  EXPECT_FALSE(check_pattern(Login::kEcr, "*.example.com"));
  EXPECT_FALSE(check_pattern(Login::kEcrPublic, "*.ecr.aws"));
  EXPECT_FALSE(check_pattern(Login::kGoogle, "docker.io"));
  const auto refused = check_pattern(Login::kAzure, "team.example.com");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "is azure, and team.example.com names none of its hosts");
}

}  // namespace
}  // namespace tidemark::cloud
