#include "gitops/repository.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "support/fake_http_client.h"

namespace tidemark::gitops {
namespace {

using tidemark::testing::FakeHttpClient;
using tidemark::testing::reply;

constexpr const char* kUrl = "https://git.test/apps.git";
constexpr const char* kReferences = "https://git.test/apps.git/info/refs?service=git-upload-pack";
constexpr const char* kType = "application/x-git-upload-pack-advertisement";

// gitprotocol-http(5), "Smart Server Response": a length of four hexadecimal digits before each
// line.
std::string line(const std::string& text) {
  static constexpr const char* kDigits = "0123456789abcdef";
  const std::size_t size = text.size() + 4;
  std::string out;
  for (const unsigned shift : {12U, 8U, 4U, 0U}) out += kDigits[size >> shift & 15U];
  return out + text;
}

// Of a repository without a commit.
std::string nothing() {
  return line("# service=git-upload-pack\n") + "0000" +
         line(std::string(40, '0') + std::string(" capabilities^{}\0 ofs-delta agent=x\n", 35)) +
         "0000";
}

class RepositoryTest : public ::testing::Test {
 protected:
  RepositoryTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("tidemark-repository-test-" + std::to_string(getpid()))) {}
  ~RepositoryTest() override { std::filesystem::remove_all(folder_); }

  Result<std::map<std::string, std::string>> fetch(GitCredentials credentials = {}) {
    auto repository =
        Repository::open(folder_, Remote::parse(kUrl).value(), std::move(credentials), http_);
    if (!repository) return fail(repository.error());
    return repository->fetch({"main"}, true, Deadline::after(std::chrono::seconds(10)), {});
  }

  std::filesystem::path folder_;
  std::shared_ptr<FakeHttpClient> http_ = std::make_shared<FakeHttpClient>();
};

TEST_F(RepositoryTest, ARepositoryWithoutACommitHasNoBranches) {
  http_->push("GET", kReferences, reply(200, nothing(), {{"Content-Type", kType}}));
  const auto heads = fetch();
  ASSERT_TRUE(heads) << heads.error().message;
  EXPECT_TRUE(heads->empty());
}

TEST_F(RepositoryTest, CredentialsAreSentOfThemselves) {
  for (const auto& [credentials, expected] :
       {std::pair<GitCredentials, std::string>{{.username = "me", .password = "word"},
                                               "Basic bWU6d29yZA=="},
        {{.password = "token"}, "Basic Z2l0OnRva2Vu"},
        {{.bearer_token = "abc"}, "Bearer abc"},
        {{}, ""}}) {
    http_ = std::make_shared<FakeHttpClient>();
    http_->push("GET", kReferences, reply(200, nothing(), {{"Content-Type", kType}}));
    ASSERT_TRUE(fetch(credentials));
    const auto requests = http_->requests();
    const std::string* sent = net::find_header(requests.front().headers, "Authorization");
    EXPECT_EQ(sent == nullptr ? "" : *sent, expected);
  }
}

TEST_F(RepositoryTest, WhatTheServerAnswersIsTold) {
  const auto kind = [&](auto answer) {
    http_->push("GET", kReferences, answer);
    const auto heads = fetch();
    EXPECT_FALSE(heads);
    return heads ? ErrorKind::kInternal : heads.error().kind;
  };
  EXPECT_EQ(kind(reply(401)), ErrorKind::kUnauthorized);
  EXPECT_EQ(kind(reply(403)), ErrorKind::kForbidden);
  EXPECT_EQ(kind(reply(404)), ErrorKind::kNotFound);
  EXPECT_EQ(kind(reply(503)), ErrorKind::kUnavailable);
  EXPECT_EQ(kind(fail(ErrorKind::kTimeout, "slow")), ErrorKind::kTimeout);
  EXPECT_EQ(kind(fail(ErrorKind::kTls, "who?")), ErrorKind::kTls);
  // A page for people, and the protocol of servers that only serve files.
  EXPECT_EQ(kind(reply(200, "<html>", {{"Content-Type", "text/html"}})), ErrorKind::kInvalid);
  EXPECT_EQ(kind(reply(200, "x", {{"Content-Type", "text/plain"}})), ErrorKind::kInvalid);
  // Broken lines are the library's to refuse.
  http_->push("GET", kReferences, reply(200, "zzzz", {{"Content-Type", kType}}));
  EXPECT_FALSE(fetch());
}

TEST_F(RepositoryTest, ARedirectIsFollowedOnItsOwnHostAlone) {
  http_->push("GET", kReferences,
              reply(301, "", {{"Location", "/group/apps.git/info/refs?service=git-upload-pack"}}));
  http_->push("GET", "https://git.test/group/apps.git/info/refs?service=git-upload-pack",
              reply(200, nothing(), {{"Content-Type", kType}}));
  EXPECT_TRUE(fetch({.password = "token"}));

  for (const char* to : {"https://evil.test/apps.git/info/refs?service=git-upload-pack",
                         "https://git.test:444/apps.git/info/refs?service=git-upload-pack",
                         "http://git.test/apps.git/info/refs?service=git-upload-pack"}) {
    http_->push("GET", kReferences, reply(302, "", {{"Location", to}}));
    const auto heads = fetch({.password = "token"});
    ASSERT_FALSE(heads) << to;
    EXPECT_EQ(heads.error().kind, ErrorKind::kForbidden);
  }
  http_->push("GET", kReferences, reply(302, "", {{"Location", "/login"}}));
  EXPECT_FALSE(fetch());
  http_->on("GET", kReferences, [](const net::Request&) -> Result<net::Response> {
    return reply(302, "", {{"Location", "/apps.git/info/refs?service=git-upload-pack"}});
  });
  EXPECT_FALSE(fetch()) << "round and round";
}

TEST_F(RepositoryTest, AnotherRemotesCloneIsReplaced) {
  http_->push("GET", kReferences, reply(200, nothing(), {{"Content-Type", kType}}));
  ASSERT_TRUE(fetch());
  const auto mark = folder_ / "mark";
  const auto has_mark = [&] { return std::filesystem::exists(mark); };
  ASSERT_TRUE(std::filesystem::create_directory(mark));
  ASSERT_TRUE(Repository::open(folder_, Remote::parse(kUrl).value(), {}, http_));
  EXPECT_TRUE(has_mark());
  ASSERT_TRUE(
      Repository::open(folder_, Remote::parse("https://git.test/other").value(), {}, http_));
  EXPECT_FALSE(has_mark());
}

TEST_F(RepositoryTest, AWornCloneIsMadeAnew) {
  auto repository = Repository::open(folder_, Remote::parse(kUrl).value(), {}, http_);
  ASSERT_TRUE(repository);
  EXPECT_FALSE(repository->worn());
  for (std::size_t i = 0; i <= kMaxCloneFiles; ++i) {
    std::filesystem::create_directory(folder_ / ("x" + std::to_string(i)));
  }
  EXPECT_TRUE(repository->worn());
  EXPECT_FALSE(Repository::open(folder_, Remote::parse(kUrl).value(), {}, http_)->worn());
}

TEST_F(RepositoryTest, SshIsNotTriedWithoutAKey) {
  const auto opened =
      Repository::open(folder_, Remote::parse("git@git.test:a").value(), {}, nullptr);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalid);
}

}  // namespace
}  // namespace tidemark::gitops
