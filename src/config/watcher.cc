#include "config/watcher.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/shutdown.h"
#include "base/text.h"

namespace tidemark::config {
namespace {

bool is_below(std::string_view key, std::string_view above) {
  return key == above ||
         (key.starts_with(above) && (key[above.size()] == '.' || key[above.size()] == '['));
}

bool is_below_any(std::string_view key, const std::vector<std::string_view>& all) {
  return std::ranges::any_of(all, [&](std::string_view above) { return is_below(key, above); });
}

// "registries[0].host" is told as "registries", "webhook.deadline" as it is.
std::string told_as(const std::string& key) {
  const std::size_t first = std::min(key.find_first_of(".["), key.size());
  if (first == key.size() || key[first] == '[') return key.substr(0, first);
  return key.substr(0, key.find_first_of(".[", first + 1));
}

// The keys whose text differs.
std::set<std::string> changed(const Config& before, const Config& after) {
  const auto texts = [](const Config& config) {
    std::map<std::string, std::string_view> out;
    for (const Setting& setting : config.settings) out.emplace(setting.key, setting.written);
    return out;
  };
  const auto old = texts(before);
  const auto now = texts(after);
  std::set<std::string> keys;
  for (const auto& [key, text] : old) {
    const auto found = now.find(key);
    if (found == now.end() || found->second != text) keys.insert(told_as(key));
  }
  for (const auto& [key, text] : now) {
    if (!old.contains(key)) keys.insert(told_as(key));
  }
  if (before.registries.registries != after.registries.registries) keys.insert("registries");
  return keys;
}

std::string joined(const std::set<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) append_part(out, ", ", key);
  return out;
}

// Whether every file still holds what was read.
bool is_unchanged(const Config& config) {
  return std::ranges::all_of(config.files, [](const auto& file) {
    const auto now = read_file(file.first, file.second.size());
    return now && *now == file.second;
  });
}

}  // namespace

ConfigWatcher::ConfigWatcher(Config started, Program program, Metrics& metrics, Logger log)
    : started_(std::move(started)),
      program_(std::move(program)),
      reloads_(metrics.counter("tidemark_config_reloads_total",
                               "Changed configuration files, by what became of them.")),
      log_(std::move(log)),
      current_(started_) {}

void ConfigWatcher::refuse(const std::string& cause) {
  if (cause == last_cause_) return;  // told already
  last_cause_ = cause;
  reloads_.with({{"outcome", "refused"}}).add();
  log_.warn("configuration not reloaded, the old one stays", {{"cause", cause}});
}

void ConfigWatcher::look() {
  if (is_unchanged(current_)) {
    last_cause_.clear();
    return;
  }
  auto loaded = program_.load();
  if (!loaded) {
    refuse(loaded.error().message);
    return;
  }
  if (const Status applied = program_.apply(*loaded); !applied) {
    refuse(applied.error().message);
    return;
  }
  last_cause_.clear();
  reloads_.with({{"outcome", "loaded"}}).add();
  log_.info("configuration reloaded", {{"changed", joined(changed(current_, *loaded))}});
  std::set<std::string> pending = changed(started_, *loaded);
  std::erase_if(pending, [&](const std::string& key) {
    return is_below_any(key, program_.live) || is_below_any(key, program_.others);
  });
  if (!pending.empty()) log_.warn("restart needed for: " + joined(pending));
  current_ = std::move(*loaded);
}

void ConfigWatcher::start(std::chrono::milliseconds interval) {
  thread_ = std::jthread([this, interval](const std::stop_token& stop) {
    while (sleep_for(interval, stop)) look();
  });
}

}  // namespace tidemark::config
