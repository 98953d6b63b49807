#include "sweeper/sinks.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "net/server.h"
#include "support/fake_clock.h"

namespace tidemark::sweeper {
namespace {

using config::NotificationSink;
using tidemark::testing::FakeClock;

class Sinks : public ::testing::Test {
 protected:
  Sinks() { std::filesystem::create_directories(folder_); }
  ~Sinks() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::filesystem::path file(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  Result<std::unique_ptr<notify::Notifier>> make(const NotificationSink& sink) {
    return make_notifier({.cluster_name = "prod", .sinks = {sink}}, "tidemark-sweeper/test", clock_,
                         metrics_, Logger::none());
  }
  std::string problem(const NotificationSink& sink) {
    const auto made = make(sink);
    EXPECT_FALSE(made);
    return made ? "" : made.error().message;
  }
  static NotificationSink hook() {
    return {.name = "hook", .format = notify::Format::kWebhook, .events = {"Rolled"}};
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / "tidemark-sinks-test";
  FakeClock clock_;
  Metrics metrics_;
};

TEST_F(Sinks, PostToTheUrlAndWithTheHeadersOfTheirFiles) {
  std::mutex mutex;
  std::string target;
  net::Headers headers;
  auto server = net::Server::start(
      {.listen = "127.0.0.1:0"},
      [&](const net::ServerRequest& request) {
        const std::lock_guard lock(mutex);
        target = std::string(request.path) + "?" + std::string(request.query);
        headers = request.headers;
        return net::Response{.status = 204, .headers = {}, .body = ""};
      },
      Logger::none());
  ASSERT_TRUE(server);
  NotificationSink sink = hook();
  sink.url_file =
      file("url", "http://127.0.0.1:" + std::to_string((*server)->port()) + "/in?key=1\n");
  sink.header_files = {{"Authorization", file("token", "Bearer abc\n")}};
  auto notifier = make(sink);
  ASSERT_TRUE(notifier) << notifier.error().message;
  (*notifier)->tell({{.time = clock_.wall_now(),
                      .reason = "Rolled",
                      .api_version = "apps/v1",
                      .kind = "Deployment",
                      .ns = "team-a",
                      .workload = "web",
                      .text = "moved"}});
  ASSERT_TRUE((*notifier)->flush(Deadline::after(std::chrono::seconds{20})));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(target, "/in?key=1");
  EXPECT_EQ(*net::find_header(headers, "Authorization"), "Bearer abc");
  EXPECT_EQ(*net::find_header(headers, "User-Agent"), "tidemark-sweeper/test");
}

TEST_F(Sinks, WhatCannotBeReadNamesTheFileAndNotItsContent) {
  NotificationSink sink = hook();
  sink.url_file = folder_ / "missing";
  EXPECT_NE(problem(sink).find("notification sink hook: "), std::string::npos);
  EXPECT_NE(problem(sink).find("missing"), std::string::npos);
  sink.url_file = file("empty", " \n");
  EXPECT_NE(problem(sink).find("empty: holds no secret"), std::string::npos);
  sink.url_file = file("bad", "ftp://host/the-secret");
  EXPECT_NE(problem(sink).find("bad: URL: not http"), std::string::npos);
  EXPECT_EQ(problem(sink).find("the-secret"), std::string::npos);
  sink.url_file = file("url", "https://host/");
  sink.header_files = {{"X-Key", file("key", "one\ntwo-the-secret")}};
  EXPECT_NE(problem(sink).find("control character in header X-Key"), std::string::npos);
  EXPECT_EQ(problem(sink).find("the-secret"), std::string::npos);
  sink.header_files.clear();
  sink.ca_file = file("ca", "no certificate");
  EXPECT_NE(problem(sink).find("notification sink hook: "), std::string::npos);
  sink.url_file = file("plain", "http://host/");
  EXPECT_NE(problem(sink).find("nothing for caFile"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::sweeper
