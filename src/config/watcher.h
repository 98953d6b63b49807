// ConfigWatcher: a configuration file that changes while its program runs.
//
// Purpose: looks at the file, and at those whose content is part of it, and compares bytes: a
// mounted ConfigMap changes by a symbolic link that is swapped, which no watch on one inode sees.
// What changed is read, checked and handed to the program; a file that cannot be used keeps what
// was there, and says why. What a program takes only at its start is named in the log.
//   tidemark_config_reloads_total{outcome}   loaded, refused
// Thread-safety: look() from one thread at a time; start() makes it the watcher's own.
// Ownership: refers to `metrics`, which outlives it; the destructor ends the thread.
// Errors: none; everything is told in the log and the metric.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/config.h"

namespace tidemark::config {

class ConfigWatcher {
 public:
  // A ConfigMap reaches its pods within a minute or so; ten seconds more do not matter.
  static constexpr std::chrono::milliseconds kInterval{10'000};

  struct Program {
    // The file as it is now, with the program's flags applied.
    std::function<Result<Config>()> load;
    // Takes what can be taken; an error takes nothing.
    std::function<Status(const Config&)> apply;
    // Keys that apply() takes, and keys of no concern to this program: "registries",
    // "webhook.deadline". A key stands for all below it.
    std::vector<std::string_view> live;
    std::vector<std::string_view> others;
  };

  // `started`: what load() gave at the start.
  ConfigWatcher(Config started, Program program, Metrics& metrics, Logger log);

  // Looks once.
  void look();
  // Looks each `interval`, from now on.
  void start(std::chrono::milliseconds interval = kInterval);

 private:
  void refuse(const std::string& cause);

  const Config started_;
  const Program program_;
  const CounterFamily reloads_;
  const Logger log_;
  Config current_;
  std::string last_cause_;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace tidemark::config
