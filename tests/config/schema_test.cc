// The schema is what the readers ask for: both are walked key by key.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "config/config.h"

namespace tidemark::config {
namespace {

using Json = nlohmann::ordered_json;

Json schema() { return Json::parse(config_schema()); }

std::string problem(const std::string& yaml) {
  const auto config = parse_config(yaml, "c.yaml", [](const std::string&) { return std::nullopt; });
  return config ? "" : config.error().message;
}

// Where a section stands in a file of which the rest does not matter.
struct Place {
  std::vector<std::string> path;
  const Json* section;
};

void sections(const Json& node, const std::vector<std::string>& path, std::vector<Place>& out) {
  if (const auto found = node.find("properties"); found != node.end()) {
    out.push_back({path, &node});
    for (const auto& [key, value] : found->items()) {
      auto deeper = path;
      deeper.push_back(key);
      sections(value, deeper, out);
    }
  }
  if (const auto items = node.find("items"); items != node.end()) {
    auto deeper = path;
    deeper.push_back("[]");
    sections(*items, deeper, out);
  }
  if (const auto values = node.find("additionalProperties");
      values != node.end() && values->is_object()) {
    auto deeper = path;
    deeper.push_back("example.com/v1/Kind");
    sections(*values, deeper, out);
  }
}

// `inner` at the place, in YAML's flow style.
std::string at(const std::vector<std::string>& path, std::string inner) {
  for (auto part = path.rbegin(); part != path.rend(); ++part) {
    inner = *part == "[]" ? "[" + inner + "]" : "{\"" + *part + "\": " + inner + "}";
  }
  return inner;
}

TEST(Schema, KnowsTheKeysThatTheReadersKnowAndNoOthers) {
  const Json whole = schema();
  std::vector<Place> places;
  sections(whole, {}, places);
  EXPECT_GT(places.size(), 12U);
  for (const Place& place : places) {
    std::string listed;
    for (const auto& [key, value] : place.section->at("properties").items()) {
      listed += (listed.empty() ? "" : ", ") + key;
    }
    const std::string told = problem(at(place.path, "{noSuchKey: 1}"));
    EXPECT_NE(told.find("(known: " + listed + ")"), std::string::npos) << told << "\n" << listed;
    EXPECT_EQ(place.section->at("additionalProperties"), false);
  }
}

// The two branches of a value: itself, and what stands for it.
const Json& own(const Json& value) {
  const auto any = value.find("anyOf");
  return any == value.end() ? value : any->front();
}

void values(const Json& node, const std::vector<std::string>& path,
            std::vector<std::pair<std::vector<std::string>, const Json*>>& out) {
  out.emplace_back(path, &own(node));
  std::vector<Place> ignored;
  if (const auto found = node.find("properties"); found != node.end()) {
    for (const auto& [key, value] : found->items()) {
      auto deeper = path;
      deeper.push_back(key);
      values(value, deeper, out);
    }
  }
  if (const auto items = node.find("items"); items != node.end()) {
    auto deeper = path;
    deeper.push_back("[]");
    values(*items, deeper, out);
  }
}

TEST(Schema, HasTheBoundsAndTheWordsOfTheReaders) {
  const Json whole = schema();
  std::vector<std::pair<std::vector<std::string>, const Json*>> all;
  values(whole, {}, all);
  std::size_t checked = 0;
  for (const auto& [path, value] : all) {
    const auto refused = [&](const std::string& scalar) {
      const std::string told = problem(at(path, scalar));
      // A complaint of another key of the same section is none of this value.
      return told.find("is not a number from") != std::string::npos ||
             told.find("unknown") != std::string::npos ||
             told.find("must be") != std::string::npos ||
             told.find("is not a format") != std::string::npos ||
             told.find("is no ") != std::string::npos || told.find("no such") != std::string::npos;
    };
    if (value->contains("maximum")) {
      const double least = value->at("minimum").get<double>();
      const double most = value->at("maximum").get<double>();
      const bool whole_number = value->at("type") == "integer";
      const auto text = [&](double number) {
        std::ostringstream out;
        out.precision(12);
        if (whole_number) {
          out << static_cast<long long>(number);
        } else {
          out << number;
        }
        return out.str();
      };
      EXPECT_FALSE(refused(text(least))) << at(path, text(least));
      EXPECT_FALSE(refused(text(most))) << at(path, text(most));
      EXPECT_TRUE(refused(text(least - (whole_number ? 1 : 0.001)))) << at(path, "");
      EXPECT_TRUE(refused(text(most + 1))) << at(path, "");
      ++checked;
    }
    if (value->contains("enum")) {
      for (const Json& word : value->at("enum")) {
        if (word.is_string()) {
          EXPECT_FALSE(refused(word.get<std::string>())) << at(path, word.get<std::string>());
        }
      }
      EXPECT_TRUE(refused("nosuchword")) << at(path, "") << problem(at(path, "nosuchword"));
      ++checked;
    }
  }
  EXPECT_GT(checked, 15U);
}

// deploy/generate writes it.
TEST(Schema, IsTheOneThatIsPublished) {
  const std::filesystem::path file =
      std::filesystem::path(TIDEMARK_SOURCE_ROOT) / "deploy/config.schema.json";
  std::ifstream in(file);
  const std::string published{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(published, config_schema())
      << "build/webhook/tidemark-webhook schema > deploy/config.schema.json";
}

}  // namespace
}  // namespace tidemark::config
