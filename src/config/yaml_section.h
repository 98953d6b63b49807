// YamlSection: one mapping of a YAML file, read by a table of its keys. For this folder's .cc files
// only: yaml-cpp's types are in it.
//
//   YamlSection(node, "webhook", file).read({{"listen", [&](const YamlValue& v) { ... }}, ...});
//
// Purpose: every complaint names file, line and key, whoever finds it. A key without a value keeps
// its default. The same readers describe the file where there is none (YamlShape): what they ask of
// each value is what the schema says of it. Thread-safety: values. Errors: ConfigProblem is thrown,
// and caught in config.cc.
#pragma once

#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace tidemark::config {

struct ConfigProblem {
  std::string message;  // "config.yaml:12: ..."
};

// What the readers ask of a value, gathered by running them over nothing (schema.cc). Every reader
// then gets the least that it would take, and its complaints end its own section alone.
struct YamlShape {
  enum class Kind { kText, kFlag, kNumber, kDecimal, kDuration, kWord, kList, kMapping, kSection };
  Kind kind = Kind::kText;
  std::uint64_t least = 0;  // of a number or a decimal
  std::uint64_t most = 0;
  std::vector<std::string_view> words{};
  // Of a section: its keys and what they hold; of a list or a mapping: what each element holds.
  std::vector<std::string_view> keys{};
  std::vector<YamlShape> parts{};
  bool required = false;
};

// What all sections of one file share.
struct YamlFile {
  std::string name;
  const Environment& environment;
  // What was read of it, for Config; nullptr: nobody wants to know.
  std::vector<Setting>* settings = nullptr;
  std::map<std::filesystem::path, std::string>* files = nullptr;
  // "config.yaml:12: <what>"
  [[noreturn]] void fail_at(const YAML::Mark& mark, const std::string& what) const;
};

// More than a file of 1 MiB has room for.
inline constexpr std::size_t kMaxElements = 1'000'000;

// The value of one key. Every reader substitutes ${NAME} first.
class YamlValue {
 public:
  // `shape`: describes instead of reading; the node is then an empty one.
  YamlValue(const YAML::Node& node, std::string path, const YamlFile& file,
            YamlShape* shape = nullptr)
      : node_(node), path_(std::move(path)), file_(file), shape_(shape) {}

  std::string text() const;
  // A text that may hold a password: nobody is shown it.
  std::string secret() const;
  bool flag() const;  // true, false
  std::uint64_t number(std::uint64_t least, std::uint64_t most) const;
  double decimal(std::uint64_t least_thousandths, std::uint64_t most) const;
  std::chrono::milliseconds duration(std::chrono::milliseconds least,
                                     std::chrono::milliseconds most) const;
  // What the file holds that the value names; relative to the configuration's folder.
  std::string file_content(const std::filesystem::path& folder, std::size_t max_bytes) const;
  // The elements of a list, with paths such as "registries[0]".
  std::vector<YamlValue> list(std::size_t most = kMaxElements) const;
  // The entries of a mapping whose keys are names, with paths such as "kinds.example.com/v1/Fleet".
  std::vector<std::pair<std::string, YamlValue>> entries() const;
  // What `parse` makes of the text; its error becomes a complaint.
  template <typename Parse>
  auto parsed(Parse parse) const {
    auto value = parse(std::string_view(text()));
    if (!value) fail(value.error().message);
    return std::move(*value);
  }
  // The same of a text that is one of a few words. `words`: those that `parse` takes.
  template <typename Parse>
  auto parsed(Parse parse, const std::vector<std::string_view>& words) const {
    if (shape_ == nullptr) return parsed(parse);
    describe(YamlShape{.kind = YamlShape::Kind::kWord, .words = words});
    auto value = parse(words.front());
    for (const std::string_view word : words) {
      if (!parse(word)) throw std::logic_error(path_ + " does not take " + std::string(word));
    }
    return std::move(*value);
  }
  // "config.yaml:12: webhook.deadline: <what>"
  [[noreturn]] void fail(const std::string& what) const;

  const YAML::Node& node() const { return node_; }
  const std::string& path() const { return path_; }
  const YamlFile& file() const { return file_; }
  YamlShape* shape() const { return shape_; }

 private:
  std::string substituted() const;
  // What is remembered of a value that is fine.
  void record(std::string shown) const;
  void describe(YamlShape shape) const;

  YAML::Node node_;
  std::string path_;
  const YamlFile& file_;
  YamlShape* shape_;  // not owned
};

struct YamlField {
  std::string_view key;
  std::function<void(const YamlValue&)> read;
  bool required = false;
};

// Calls each field's reader with its value; an unknown or repeated key is refused, and a required
// one that is not there ("needs a host"). `value` is a
// mapping, or null for an empty one.
void read_section(const YamlValue& value, const std::vector<YamlField>& fields);

// The whole file's (config.cc).
YamlShape config_shape();

}  // namespace tidemark::config
