// YamlSection: one mapping of a YAML file, read by a table of its keys. For this folder's .cc files
// only: yaml-cpp's types are in it.
//
//   YamlSection(node, "webhook", file).read({{"listen", [&](const YamlValue& v) { ... }}, ...});
//
// Purpose: every complaint names file, line and key, whoever finds it. A key without a value keeps
// its default. Thread-safety: values. Errors: ConfigProblem is thrown, and caught in config.cc.
#pragma once

#include <yaml-cpp/yaml.h>

#include <chrono>
#include <cstdint>
#include <functional>
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

// What all sections of one file share.
struct YamlFile {
  std::string name;
  const Environment& environment;
  // "config.yaml:12: <what>"
  [[noreturn]] void fail_at(const YAML::Mark& mark, const std::string& what) const;
};

// The value of one key. Every reader substitutes ${NAME} first.
class YamlValue {
 public:
  YamlValue(const YAML::Node& node, std::string path, const YamlFile& file)
      : node_(node), path_(std::move(path)), file_(file) {}

  std::string text() const;
  bool flag() const;  // true, false
  std::uint64_t number(std::uint64_t least, std::uint64_t most) const;
  std::chrono::milliseconds duration(std::chrono::milliseconds least,
                                     std::chrono::milliseconds most) const;
  // The elements of a list, with paths such as "registries[0]".
  std::vector<YamlValue> list() const;
  // The entries of a mapping whose keys are names, with paths such as "kinds.example.com/v1/Fleet".
  std::vector<std::pair<std::string, YamlValue>> entries() const;
  // What `parse` makes of the text; its error becomes a complaint.
  template <typename Parse>
  auto parsed(Parse parse) const {
    auto value = parse(std::string_view(text()));
    if (!value) fail(value.error().message);
    return std::move(*value);
  }
  // "config.yaml:12: webhook.deadline: <what>"
  [[noreturn]] void fail(const std::string& what) const;

  const YAML::Node& node() const { return node_; }
  const std::string& path() const { return path_; }
  const YamlFile& file() const { return file_; }

 private:
  YAML::Node node_;
  std::string path_;
  const YamlFile& file_;
};

struct YamlField {
  std::string_view key;
  std::function<void(const YamlValue&)> read;
};

// Calls each field's reader with its value; an unknown or repeated key is refused. `value` is a
// mapping, or null for an empty one.
void read_section(const YamlValue& value, const std::vector<YamlField>& fields);

}  // namespace tidemark::config
