#include "sweeper/receive.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "support/fake_clock.h"

namespace tidemark::sweeper {
namespace {

using config::ReceiverSource;
using tidemark::testing::FakeClock;

constexpr const char* kToken = "correct-horse";
// GitHub's own example, "Validating webhook deliveries".
constexpr const char* kHelloKey = "It's a Secret to Everybody";
constexpr const char* kHelloSum =
    "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

class Receive : public ::testing::Test {
 protected:
  Receive() {
    std::filesystem::create_directories(folder_);
    sources_.push_back({.name = "build",
                        .format = push::Format::kGeneric,
                        .secret_files = {secret("token", std::string(kToken) + "\n")}});
    sources_.push_back({.name = "signed",
                        .format = push::Format::kGhcr,
                        .proof = push::Proof::kHmacSha256,
                        .secret_files = {secret("key", kHelloKey)}});
    due_.know({"registry.test/app:1"});
  }
  ~Receive() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::filesystem::path secret(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  net::Response post(const std::string& path, const std::string& body,
                     const net::Headers& headers = {}, const char* method = "POST") {
    if (!receiver_) {
      auto made = Receiver::make(sources_, {&due_}, clock_, metrics_, Logger::none(), rate_);
      EXPECT_TRUE(made) << made.error().message;
      receiver_ = std::move(*made);
    }
    return receiver_->answer(
        {.method = method, .path = path, .query = "", .headers = headers, .body = body});
  }
  double count(const std::string& source, const std::string& outcome) {
    return metrics_.counter("tidemark_push_posts_total", "Posts to receivers by outcome")
        .with({{"source", source}, {"outcome", outcome}})
        .value();
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / "tidemark-receive-test";
  FakeClock clock_;
  Metrics metrics_;
  Due due_{clock_};
  PushRate rate_;
  std::vector<ReceiverSource> sources_;
  std::unique_ptr<Receiver> receiver_;
};

constexpr const char* kBody = R"({"image":"registry.test/app:1"})";

TEST_F(Receive, AProvenPostMakesWhatItNamesDue) {
  const std::string path = std::string("/push/build/") + kToken;
  const net::Response answer = post(path, kBody);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"references\":1}\n");
  EXPECT_EQ(due_.take().size(), 1U);
  EXPECT_EQ(count("build", "taken"), 1);
  EXPECT_EQ(post("/push/build", kBody, {{"authorization", std::string("Bearer ") + kToken}}).status,
            200);
}

TEST_F(Receive, AForgedPostIsRefusedAndTellsNothing) {
  for (const char* path : {"/push/build", "/push/build/", "/push/build/wrong"}) {
    const net::Response answer = post(path, kBody);
    EXPECT_EQ(answer.status, 401) << path;
    EXPECT_EQ(answer.body.find(kToken), std::string::npos);
  }
  EXPECT_EQ(count("build", "unauthorized"), 3);
  EXPECT_EQ(post("/push/signed", "Hello, World", {{"X-Hub-Signature-256", "sha256=00"}}).status,
            401);
  EXPECT_TRUE(due_.take().empty());
}

TEST_F(Receive, ASignedPostCountsOnce) {
  const net::Headers headers{{"X-Hub-Signature-256", kHelloSum}};
  EXPECT_EQ(post("/push/signed", "Hello, World!", headers).status, 400) << "signed, but no JSON";
  EXPECT_EQ(count("signed", "invalid"), 1);
  sources_.back().format = push::Format::kDistribution;
  sources_.back().proof = push::Proof::kToken;
  receiver_.reset();
  const std::string path = std::string("/push/signed/") + "It's a Secret to Everybody";
  const std::string events = R"({"events":[]})";
  EXPECT_EQ(post(path, events).status, 200);
  EXPECT_EQ(post(path, events).status, 200) << "a token's owner may send again";
  EXPECT_EQ(count("signed", "no-push"), 1);
  EXPECT_EQ(count("signed", "duplicate"), 1);
}

TEST_F(Receive, WhatIsNoPostToASourceIsRefused) {
  EXPECT_EQ(post("/", kBody).status, 404);
  EXPECT_EQ(post("/push/", kBody).status, 404);
  EXPECT_EQ(post("/push/nobody/token", kBody).status, 404);
  EXPECT_EQ(post("/push/build", kBody, {}, "GET").status, 405);
  const std::string path = std::string("/push/build/") + kToken;
  EXPECT_EQ(post(path, "").status, 400);
  EXPECT_EQ(post(path, R"({"image":)").status, 400);
  EXPECT_EQ(post(path, R"({"image":"NO NAME"})").status, 400);
  EXPECT_EQ(post(path, std::string(100, '[') + std::string(100, ']')).status, 400);
  EXPECT_EQ(post(path, std::string(push::kMaxBodyBytes + 1, ' ')).status, 413);
  EXPECT_TRUE(due_.take().empty());
}

TEST_F(Receive, MorePostsThanASourceMaySendAreRefusedAtOnce) {
  rate_ = {.per_second = 2, .burst = 3};
  const std::string path = std::string("/push/build/") + kToken;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post(path, kBody).status, 200);
  const net::Response refused = post(path, kBody);
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(net::find_header(refused.headers, "Retry-After"), nullptr);
  EXPECT_NE(post("/push/signed", "").status, 429) << "a source of its own";
  clock_.advance(std::chrono::milliseconds{500});
  EXPECT_EQ(post(path, kBody).status, 200);
  EXPECT_EQ(post(path, kBody).status, 429);
}

TEST_F(Receive, WhileAnotherReplicaLeadsTheSenderIsToComeAgain) {
  const std::string path = std::string("/push/build/") + kToken;
  (void)post(path, kBody);
  (void)due_.take();
  receiver_->leading(false);
  EXPECT_EQ(post(path, kBody).status, 503);
  EXPECT_TRUE(due_.take().empty());
}

TEST_F(Receive, ASecretThatCannotBeReadIsNamed) {
  sources_.front().secret_files = {folder_ / "missing"};
  auto made = Receiver::make(sources_, {&due_}, clock_, metrics_, Logger::none());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("receiver build: "), std::string::npos);
  sources_.front().secret_files = {secret("empty", " \n")};
  made = Receiver::make(sources_, {&due_}, clock_, metrics_, Logger::none());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("holds no secret"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::sweeper
