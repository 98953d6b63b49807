// What AWS answers, for several tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "cloud/step.h"

namespace tidemark::cloud::testing {

// Where the fake clock begins: 2026-01-01T00:00:00Z.
inline constexpr long kNow = 1'767'225'600;

inline Environment environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

// A folder of a test's own, gone with it.
class TempFolder {
 public:
  TempFolder()
      : path_(std::filesystem::path(::testing::TempDir()) /
              ("tidemark-cloud-" + std::to_string(::getpid()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directory(path_);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }

 private:
  const std::filesystem::path path_;
};

inline std::string ecr_answer(std::string_view password, long expires = kNow + 43'200) {
  return R"({"authorizationData":[{"authorizationToken":")" +
         base64_encode("AWS:" + std::string(password)) + R"(","expiresAt":)" +
         std::to_string(expires) +
         R"(.809,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com"}]})";
}

inline std::string sts_answer(std::string_view id, std::string_view expiration) {
  return "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
         "<AccessKeyId>" +
         std::string(id) +
         "</AccessKeyId><SecretAccessKey>stssecret"
         "</SecretAccessKey><SessionToken>ststoken</SessionToken><Expiration>" +
         std::string(expiration) +
         "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
         "</AssumeRoleWithWebIdentityResponse>";
}

inline std::string credentials_answer(std::string_view id, std::string_view expiration) {
  return R"({"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":")" +
         std::string(id) +
         R"(","SecretAccessKey":"rolesecret","Token":"roletoken","Expiration":")" +
         std::string(expiration) + "\"}";
}

}  // namespace tidemark::cloud::testing
