#include "config/yaml_section.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/json_text.h"
#include "workload/duration.h"

namespace tidemark::config {
namespace {

// Enough to recognise a key or a value in a message.
constexpr std::size_t kMaxQuotedBytes = 80;
// What a variable may add to one value: more than a certificate bundle.
constexpr std::size_t kMaxVariableBytes = std::size_t{1024} * 1024;
// Longer values are shown by their size.
constexpr std::size_t kMaxShownBytes = 200;

std::string in_quotes(std::string_view text) { return json_quote(text.substr(0, kMaxQuotedBytes)); }

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !is_digit(name.front()) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || is_digit(c); });
}

std::string in_words(std::chrono::milliseconds duration) {
  if (duration.count() % 3'600'000 == 0) return std::to_string(duration.count() / 3'600'000) + "h";
  if (duration.count() % 1'000 == 0) return std::to_string(duration.count() / 1'000) + "s";
  return std::to_string(duration.count()) + "ms";
}

}  // namespace

void YamlFile::fail_at(const YAML::Mark& mark, const std::string& what) const {
  throw ConfigProblem{mark.is_null() ? name + ": " + what
                                     : name + ":" + std::to_string(mark.line + 1) + ": " + what};
}

void YamlValue::fail(const std::string& what) const {
  file_.fail_at(node_.Mark(), path_ + ": " + what);
}

void YamlValue::describe(YamlShape shape) const {
  shape.required = shape_->required;
  *shape_ = std::move(shape);
}

void YamlValue::record(std::string shown) const {
  if (file_.settings == nullptr) return;
  auto& all = *file_.settings;
  // Some readers look twice.
  if (!all.empty() && all.back().key == path_) all.pop_back();
  const std::string& written = node_.Scalar();
  if (shown.find('\n') != std::string::npos || shown.size() > kMaxShownBytes) {
    shown = "(" + std::to_string(shown.size()) + " bytes)";
  }
  all.push_back(Setting{.key = path_, .shown = std::move(shown), .written = written});
}

std::string YamlValue::text() const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kText});
    return {};
  }
  std::string value = substituted();
  record(node_.Scalar());  // as it was written: a variable may hold a secret
  return value;
}

std::string YamlValue::secret() const {
  if (shape_ != nullptr) return text();
  std::string value = substituted();
  record(value.empty() ? "" : "***");
  return value;
}

std::string YamlValue::file_content(const std::filesystem::path& folder,
                                    std::size_t max_bytes) const {
  const std::string name = text();
  if (name.empty()) fail("names no file");
  auto content = read_file(folder / name, max_bytes);
  if (!content) fail(content.error().message);
  if (file_.files != nullptr) file_.files->insert_or_assign(folder / name, *content);
  return std::move(*content);
}

std::string YamlValue::substituted() const {
  if (!node_.IsScalar()) fail("must be a single value");
  const std::string& scalar = node_.Scalar();
  std::string out;
  for (std::size_t at = 0; at < scalar.size();) {
    const std::string_view rest = std::string_view(scalar).substr(at);
    if (rest.starts_with("$${")) {
      out.append("${");
      at += 3;
    } else if (rest.starts_with("${")) {
      const std::size_t end = rest.find('}');
      const std::string name(rest.substr(2, end == std::string_view::npos ? end : end - 2));
      if (end == std::string_view::npos || !is_variable_name(name)) {
        fail(in_quotes(rest) + " is not ${NAME} (write $${ for a plain ${)");
      }
      const auto value = file_.environment(name);
      if (!value)
        fail("the environment variable " + name.substr(0, kMaxQuotedBytes) + " is not set");
      if (out.size() + value->size() > kMaxVariableBytes) fail("is too long");
      out.append(*value);
      at += end + 1;
    } else {
      out.push_back(scalar[at++]);
    }
  }
  return out;
}

bool YamlValue::flag() const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kFlag});
    return false;
  }
  const std::string value = substituted();
  if (value != "true" && value != "false") fail(in_quotes(value) + " is neither true nor false");
  record(value);
  return value == "true";
}

std::uint64_t YamlValue::number(std::uint64_t least, std::uint64_t most) const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kNumber, .least = least, .most = most});
    return least;
  }
  const std::string value = substituted();
  std::uint64_t number = 0;
  const char* const begin = value.data();
  const auto [end, error] = std::from_chars(begin, begin + value.size(), number);
  if (error != std::errc() || end != begin + value.size() || number < least || number > most) {
    fail(in_quotes(value) + " is not a number from " + std::to_string(least) + " to " +
         std::to_string(most));
  }
  record(value);
  return number;
}

double YamlValue::decimal(std::uint64_t least_thousandths, std::uint64_t most) const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kDecimal, .least = least_thousandths, .most = most});
    return static_cast<double>(most);
  }
  const std::string value = substituted();
  double number = 0;
  const char* const begin = value.data();
  const auto [end, error] = std::from_chars(begin, begin + value.size(), number);
  const double least = static_cast<double>(least_thousandths) / 1000;
  if (error != std::errc() || end != begin + value.size() || !(number >= least) ||
      !(number <= static_cast<double>(most))) {
    std::string bound = std::to_string(least);
    while (bound.ends_with('0')) bound.pop_back();
    fail(in_quotes(value) + " is not a number from " + bound + " to " + std::to_string(most));
  }
  record(value);
  return number;
}

std::chrono::milliseconds YamlValue::duration(std::chrono::milliseconds least,
                                              std::chrono::milliseconds most) const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kDuration});
    return least;
  }
  const auto value = parsed(workload::parse_duration);
  if (value < least || value > most) {
    fail("must be from " + in_words(least) + " to " + in_words(most));
  }
  return value;
}

std::vector<YamlValue> YamlValue::list(std::size_t most) const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kList, .most = most, .parts = {YamlShape{}}});
    return {YamlValue(node_, path_ + "[]", file_, shape_->parts.data())};
  }
  if (node_.IsNull()) return {};
  if (!node_.IsSequence()) fail("must be a list");
  if (node_.size() > most) fail("has more than " + std::to_string(most) + " elements");
  std::vector<YamlValue> out;
  for (const YAML::Node& element : node_) {
    out.emplace_back(element, path_ + "[" + std::to_string(out.size()) + "]", file_);
  }
  return out;
}

std::vector<std::pair<std::string, YamlValue>> YamlValue::entries() const {
  if (shape_ != nullptr) {
    describe({.kind = YamlShape::Kind::kMapping, .parts = {YamlShape{}}});
    return {{"name", YamlValue(node_, path_ + ".name", file_, shape_->parts.data())}};
  }
  if (node_.IsNull()) return {};
  if (!node_.IsMap()) fail("must be a mapping (name: value)");
  std::vector<std::pair<std::string, YamlValue>> out;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) file_.fail_at(entry.first.Mark(), path_ + ": a key is no name");
    const std::string& key = entry.first.Scalar();
    if (std::ranges::find(out, key, [](const auto& each) { return each.first; }) != out.end()) {
      file_.fail_at(entry.first.Mark(),
                    "key " + in_quotes(key) + " in " + path_ + " is given twice");
    }
    out.emplace_back(key,
                     YamlValue(entry.second, path_ + "." + key.substr(0, kMaxQuotedBytes), file_));
  }
  return out;
}

namespace {

void describe_section(const YamlValue& value, const std::vector<YamlField>& fields) {
  YamlShape section{.kind = YamlShape::Kind::kSection, .required = value.shape()->required};
  section.parts.reserve(fields.size());  // readers hold pointers to them
  for (const YamlField& field : fields) {
    section.keys.push_back(field.key);
    YamlShape& part = section.parts.emplace_back();
    part.required = field.required;
    const std::string path =
        value.path().empty() ? std::string(field.key) : value.path() + "." + std::string(field.key);
    try {
      field.read(YamlValue(value.node(), path, value.file(), &part));
      // NOLINTNEXTLINE(bugprone-empty-catch): what is least may not do for what follows
    } catch (const ConfigProblem&) {
    }
  }
  *value.shape() = std::move(section);
}

}  // namespace

void read_section(const YamlValue& value, const std::vector<YamlField>& fields) {
  if (value.shape() != nullptr) {
    describe_section(value, fields);
    return;
  }
  const std::string where = value.path().empty() ? "" : " in " + value.path();
  if (!value.node().IsNull() && !value.node().IsMap()) {
    value.file().fail_at(value.node().Mark(), (value.path().empty() ? "the file" : value.path()) +
                                                  " must be a mapping (key: value)");
  }
  std::set<std::string> seen;
  for (const auto& entry : value.node()) {
    const YAML::Node& key_node = entry.first;
    const std::string key = key_node.IsScalar() ? key_node.Scalar() : "";
    const auto field = std::ranges::find(fields, key, &YamlField::key);
    if (field == fields.end()) {
      std::string known;
      for (const YamlField& each : fields) known.append(known.empty() ? "" : ", ").append(each.key);
      value.file().fail_at(key_node.Mark(),
                           "unknown key " + in_quotes(key) + where + " (known: " + known + ")");
    }
    if (!seen.insert(key).second) {
      value.file().fail_at(key_node.Mark(), "key " + in_quotes(key) + where + " is given twice");
    }
    if (entry.second.IsNull()) continue;
    field->read(YamlValue(entry.second, value.path().empty() ? key : value.path() + "." + key,
                          value.file()));
  }
  for (const YamlField& field : fields) {
    if (field.required && !seen.contains(std::string(field.key))) {
      value.fail("needs a " + std::string(field.key));
    }
  }
}

}  // namespace tidemark::config
