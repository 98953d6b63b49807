#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/json_text.h"

namespace tidemark {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      return "off";
  }
  return "info";
}

class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    write_(std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  std::function<void(std::string_view)> write_;
};

}  // namespace

Result<LogLevel> parse_log_level(std::string_view name) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError, LogLevel::kOff}) {
    if (name == name_of(level)) return level;
  }
  return fail(ErrorKind::kInvalid,
              "unknown log level " + json_quote(name) + " (debug, info, warn, error, off)");
}

Logger Logger::to_stderr(LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("tidemark",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(to_spdlog(level));
  logger->set_pattern("%v");
  logger->flush_on(spdlog::level::debug);
  return Logger(std::move(logger));
}

Logger Logger::to_sink(LogLevel level, std::function<void(std::string_view)> sink) {
  auto logger =
      std::make_shared<spdlog::logger>("tidemark", std::make_shared<FunctionSink>(std::move(sink)));
  logger->set_level(to_spdlog(level));
  return Logger(std::move(logger));
}

Logger Logger::none() {
  auto logger =
      std::make_shared<spdlog::logger>("tidemark", std::make_shared<spdlog::sinks::null_sink_mt>());
  logger->set_level(spdlog::level::off);
  return Logger(std::move(logger));
}

void Logger::debug(std::string_view message, Fields fields) const {
  write(LogLevel::kDebug, message, fields);
}
void Logger::info(std::string_view message, Fields fields) const {
  write(LogLevel::kInfo, message, fields);
}
void Logger::warn(std::string_view message, Fields fields) const {
  write(LogLevel::kWarn, message, fields);
}
void Logger::error(std::string_view message, Fields fields) const {
  write(LogLevel::kError, message, fields);
}

void Logger::set_level(LogLevel level) const { logger_->set_level(to_spdlog(level)); }

void Logger::write(LogLevel level, std::string_view message, Fields fields) const {
  if (!logger_->should_log(to_spdlog(level))) return;

  const auto now = std::chrono::system_clock::now();
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &parts);

  std::string line = fmt::format(R"({{"time":"{}.{:03}Z","level":"{}","msg":)", stamp.data(),
                                 millis, name_of(level));
  append_json_quoted(line, message);
  for (const LogField& field : fields) {
    line.push_back(',');
    append_json_quoted(line, field.key);
    line.push_back(':');
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_quoted(line, *text);
    } else if (const auto* flag = std::get_if<bool>(&field.value)) {
      line.append(*flag ? "true" : "false");
    } else if (const auto* whole = std::get_if<std::int64_t>(&field.value)) {
      line.append(fmt::to_string(*whole));
    } else if (const auto* real = std::get_if<double>(&field.value)) {
      line.append(std::isfinite(*real) ? fmt::to_string(*real) : "null");
    }
  }
  line.push_back('}');
  logger_->log(to_spdlog(level), spdlog::string_view_t(line));
}

}  // namespace tidemark
