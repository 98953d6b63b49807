// Logger: one JSON object per line, for machines first and people second.
//
//   log.warn("resolve failed", {{"reference", ref.str()}, {"cause", error.message}});
//   {"time":"2026-01-31T08:15:00.123Z","level":"warn","msg":"resolve failed","reference":...}
//
// Purpose: the only way a program of Tidemark writes about itself. Secrets are never logged: pass
// names and identities, not credentials or headers.
// Thread-safety: all methods may be called from any thread. Ownership: copies share one sink.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace spdlog {
class logger;
}

namespace tidemark {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

// "debug", "info", "warn", "error", "off".
Result<LogLevel> parse_log_level(std::string_view name);

struct LogField {
  // One constructor for each kind of value, so that a call site needs no casts.
  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, const std::string& text)
      : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool flag) : key(name), value(flag) {}
  template <std::integral I>
  LogField(std::string_view name, I number) : key(name), value(static_cast<std::int64_t>(number)) {}
  LogField(std::string_view name, double number) : key(name), value(number) {}

  std::string_view key;
  std::variant<std::string_view, bool, std::int64_t, double> value;
};

class Logger {
 public:
  using Fields = std::initializer_list<LogField>;

  // To standard error.
  static Logger to_stderr(LogLevel level);
  // Every line (without its newline) goes to `sink`, one call at a time: for tests.
  static Logger to_sink(LogLevel level, std::function<void(std::string_view)> sink);
  // Of all copies, from now on; for a configuration that changes.
  void set_level(LogLevel level) const;
  // Nothing is written anywhere.
  static Logger none();

  void debug(std::string_view message, Fields fields = {}) const;
  void info(std::string_view message, Fields fields = {}) const;
  void warn(std::string_view message, Fields fields = {}) const;
  void error(std::string_view message, Fields fields = {}) const;

 private:
  explicit Logger(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}
  void write(LogLevel level, std::string_view message, Fields fields) const;

  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace tidemark
