#include "config/watcher.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

namespace tidemark::config {
namespace {

// A mounted ConfigMap: config.yaml -> ..data/config.yaml, ..data -> a folder that is swapped.
class WatcherTest : public ::testing::Test {
 protected:
  WatcherTest() {
    std::filesystem::create_directory(folder_);
    std::filesystem::create_symlink("..data/config.yaml", file());
    swap_in("registries: [{host: a.test}]\nwebhook: {listen: ':1', deadline: 1s}\n");
    started_ = load().value();
  }
  ~WatcherTest() override { std::filesystem::remove_all(folder_); }
  WatcherTest(const WatcherTest&) = delete;
  WatcherTest& operator=(const WatcherTest&) = delete;

  std::filesystem::path file() const { return folder_ / "config.yaml"; }
  // As the kubelet does: a new folder, then one rename of the link to it.
  void swap_in(const std::string& yaml, const std::string& ca = "") {
    const std::string version = "..v" + std::to_string(++version_);
    std::filesystem::create_directory(folder_ / version);
    std::ofstream(folder_ / version / "config.yaml") << yaml;
    if (!ca.empty()) std::ofstream(folder_ / version / "ca.crt") << ca;
    std::filesystem::create_symlink(version, folder_ / "..data_tmp");
    std::filesystem::rename(folder_ / "..data_tmp", folder_ / "..data");
  }
  Result<Config> load() const {
    return load_config(file(), [](const std::string&) { return std::nullopt; });
  }
  std::unique_ptr<ConfigWatcher> watcher() {
    return std::make_unique<ConfigWatcher>(
        started_,
        ConfigWatcher::Program{.load = [this] { return load(); },
                               .apply =
                                   [this](const Config& config) {
                                     if (!refuses_) applied_.push_back(config);
                                     return refuses_ ? fail(ErrorKind::kInvalid, "cannot work")
                                                     : Status{};
                                   },
                               .live = {"registries", "webhook.deadline"},
                               .others = {"sweeper"}},
        metrics_, Logger::to_sink(LogLevel::kInfo, [this](std::string_view line) {
          log_.append(line).append("\n");
        }));
  }
  double counted(const std::string& outcome) {
    return metrics_
        .counter("tidemark_config_reloads_total",
                 "Changed configuration files, by what became of them.")
        .with({{"outcome", outcome}})
        .value();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tidemark-watcher-" + std::to_string(::getpid()));
  int version_ = 0;
  Config started_;
  std::vector<Config> applied_;
  bool refuses_ = false;
  std::string log_;
  Metrics metrics_;
};

TEST_F(WatcherTest, TakesWhatChangedAndNothingElse) {
  const auto watcher = this->watcher();
  watcher->look();
  EXPECT_TRUE(applied_.empty());
  swap_in("registries: [{host: a.test}]\nwebhook: {listen: ':1', deadline: 1s}\n");
  watcher->look();
  EXPECT_TRUE(applied_.empty()) << "the same text in another file";

  swap_in("registries: [{host: b.test}]\nwebhook: {listen: ':1', deadline: 2s}\n");
  watcher->look();
  watcher->look();
  ASSERT_EQ(applied_.size(), 1U);
  EXPECT_EQ(applied_[0].registries.registries[0].host, "b.test");
  EXPECT_EQ(counted("loaded"), 1.0);
  EXPECT_NE(log_.find(R"("changed":"registries, webhook.deadline")"), std::string::npos) << log_;
  EXPECT_EQ(log_.find("restart needed"), std::string::npos);
}

TEST_F(WatcherTest, SaysWhatNeedsARestart) {
  const auto watcher = this->watcher();
  swap_in(
      "registries: [{host: a.test}]\nwebhook: {listen: ':2', deadline: 1s}\nlogLevel: warn\n"
      "sweeper: {interval: 5s}\n");
  watcher->look();
  EXPECT_NE(log_.find("restart needed for: logLevel, webhook.listen"), std::string::npos) << log_;
  log_.clear();
  swap_in("registries: [{host: a.test}]\nwebhook: {listen: ':1', deadline: 1s}\n");
  watcher->look();
  EXPECT_EQ(log_.find("restart needed"), std::string::npos) << "it is as it was at the start";
}

TEST_F(WatcherTest, ABadFileKeepsTheOldOneAndSaysWhyOnce) {
  const auto watcher = this->watcher();
  swap_in("registries: [{hots: b.test}]\n");
  watcher->look();
  watcher->look();
  EXPECT_TRUE(applied_.empty());
  EXPECT_EQ(counted("refused"), 1.0);
  const std::string why = "config.yaml:1: unknown key \\\"hots\\\" in registries[0]";
  EXPECT_NE(log_.find(why), std::string::npos) << log_;
  EXPECT_EQ(log_.find(why, log_.find(why) + 1), std::string::npos);

  std::filesystem::remove(folder_ / "..data");
  watcher->look();
  EXPECT_EQ(counted("refused"), 2.0) << "it is not there at all";

  version_ = 10;
  swap_in("registries: [{host: c.test}]\n");
  watcher->look();
  ASSERT_EQ(applied_.size(), 1U);
  EXPECT_EQ(applied_[0].registries.registries[0].host, "c.test");
}

TEST_F(WatcherTest, WhatTheProgramCannotUseIsRefusedAsWell) {
  const auto watcher = this->watcher();
  refuses_ = true;
  swap_in("registries: [{host: b.test}]\n");
  watcher->look();
  watcher->look();
  EXPECT_EQ(counted("refused"), 1.0);
  EXPECT_NE(log_.find("cannot work"), std::string::npos);
  refuses_ = false;
  watcher->look();
  EXPECT_EQ(applied_.size(), 1U) << "tried again: the cause may have been elsewhere";
}

TEST_F(WatcherTest, FilesThatArePartOfItCountAsWell) {
  const std::string yaml = "registries: [{host: a.test, caFile: ..data/ca.crt}]\n";
  const std::string begin = "-----BEGIN CERTIFICATE-----\n";
  swap_in(yaml, begin + "one");
  started_ = load().value();
  const auto watcher = this->watcher();
  watcher->look();
  EXPECT_TRUE(applied_.empty());
  swap_in(yaml, begin + "two");
  watcher->look();
  ASSERT_EQ(applied_.size(), 1U);
  EXPECT_EQ(applied_[0].registries.registries[0].ca_pem, begin + "two");
  EXPECT_NE(log_.find(R"("changed":"registries")"), std::string::npos) << log_;
}

}  // namespace
}  // namespace tidemark::config
