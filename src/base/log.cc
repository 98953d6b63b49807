#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

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

// The length of the well-formed UTF-8 sequence at text[at], or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(at + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return tail(at + 1, low, high) && tail(at + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return tail(at + 1, low, high) && tail(at + 2) && tail(at + 3) ? 4 : 0;
  }
  return 0;
}

// Stands for itself in a JSON string; ASCII only.
constexpr bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

// True where one of the eight bytes is not plain. Source: Anderson's Bit Twiddling Hacks, "Determine
// if a word has a zero byte" and "... a byte less than n".
bool has_special(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  const auto has_zero = [](std::uint64_t bytes) { return (bytes - kOnes) & ~bytes; };
  const std::uint64_t control = (word - kOnes * 0x20) & ~word;
  return ((word | control | has_zero(word ^ kOnes * '"') | has_zero(word ^ kOnes * '\\') |
           has_zero(word ^ kOnes * 0x7F)) &
          kHighs) != 0;
}

// How many bytes from the beginning on are plain.
std::size_t plain_length(std::string_view text) {
  std::size_t length = 0;
  std::uint64_t word = 0;
  for (; length + sizeof(word) <= text.size(); length += sizeof(word)) {
    std::memcpy(&word, text.data() + length, sizeof(word));
    if (has_special(word)) break;
  }
  while (length < text.size() && is_plain(text[length])) ++length;
  return length;
}

}  // namespace

void append_json_quoted(std::string& out, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    // Almost all of almost every text is copied at once.
    const std::size_t plain = plain_length(text.substr(i));
    out.append(text, i, plain);
    i += plain;
    if (i == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4U]);
      out.push_back(kHex[byte & 0xFU]);
      ++i;
    } else if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(byte));
      ++i;
    } else if (const std::size_t length = utf8_length(text, i); length > 0) {
      out.append(text.substr(i, length));
      i += length;
    } else {
      out.append("\xEF\xBF\xBD");
      ++i;
    }
  }
  out.push_back('"');
}

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_json_quoted(out, text);
  return out;
}

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
