// parse_push(): each vendor's payloads (tests/data/push), and what nobody should send.
#include "push/payload.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"

namespace tidemark::push {
namespace {

using Json = nlohmann::json;
using Names = std::vector<std::string>;

const std::filesystem::path kData = TIDEMARK_PUSH_DATA;
const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string fixture(const std::string& name) {
  std::ifstream file(kData / (name + ".json"));
  EXPECT_TRUE(file) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

Result<Names> names(Format format, std::string_view body, const Options& options = {}) {
  const auto references = parse_push(format, body, options);
  if (!references) return fail(references.error());
  Names out;
  for (const image::Reference& reference : *references) out.push_back(reference.str());
  return out;
}

// The names, or the error's kind alone.
std::string outcome(const Result<Names>& result) {
  if (!result) return std::string(to_string(result.error().kind));
  std::string text;
  for (const std::string& name : *result) text += (text.empty() ? "" : " ") + name;
  return text;
}

struct Case {
  std::string fixture;  // begins with the format's name
  Names expected;
  std::string registry = {};
};

Format format_of(const std::string& fixture_name) {
  return parse_format(fixture_name.substr(0, fixture_name.find('-'))).value();
}

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"distribution-push",
       {"registry.example.com:5000/shop/api:1.27", "registry.example.com:5000/shop/api:latest"}},
      {"distribution-other", {}},
      {"dockerhub-push", {"docker.io/example/api:1.27"}},
      {"dockerhub-push", {"mirror.example.com/hub/example/api:1.27"}, "mirror.example.com/hub"},
      {"ghcr-package", {"ghcr.io/example-org/shop/api:1.27"}},
      {"ghcr-registry-package", {"ghcr.io/example-org/shop/api:1.27"}},
      {"ghcr-untagged", {}},
      {"ghcr-npm", {}},
      {"ghcr-ping", {}},
      {"harbor-push", {"harbor.example.com/shop/api:1.27", "harbor.example.com/shop/api:latest"}},
      {"harbor-untagged", {}},
      {"harbor-pull", {}},
      {"harbor-cloudevent",
       {"harbor.example.com/shop/api:1.27", "harbor.example.com/shop/api:latest"}},
      {"harbor-cloudevent-deleted", {}},
      {"quay-push", {"quay.io/shop/api:1.27", "quay.io/shop/api:latest"}},
      {"quay-push-old", {"quay.io/shop/api:latest"}},
      {"quay-build", {}},
      {"nexus-component",
       {"nexus.example.com:8082/shop/api:1.27",
        "nexus.example.com:8082/docker-hosted/shop/api:1.27"},
       "nexus.example.com:8082"},
      {"nexus-asset",
       {"nexus.example.com/shop/api:1.27", "nexus.example.com/docker-hosted/shop/api:1.27"},
       "nexus.example.com"},
      {"nexus-blob", {}},
      {"nexus-npm", {}},
      {"nexus-deleted", {}},
      {"artifactory-pushed",
       {"example.jfrog.io/shop/api:1.27", "example.jfrog.io/docker-local/shop/api:1.27"},
       "example.jfrog.io"},
      {"artifactory-pushed",
       {"example.jfrog.io/docker/shop/api:1.27",
        "example.jfrog.io/docker/docker-local/shop/api:1.27"},
       "example.jfrog.io/docker"},
      {"artifactory-deleted", {}},
      {"artifactory-artifact", {}},
      {"gar-insert", {"europe-west1-docker.pkg.dev/example-project/shop/api:1.27"}},
      {"gar-unwrapped", {"europe-west1-docker.pkg.dev/example-project/shop/api:1.27"}},
      {"gar-untagged", {}},
      {"gar-delete", {}},
      {"acr-push", {"example.azurecr.io/shop/api:1.27"}},
      {"acr-delete", {}},
      {"acr-chart", {}},
      {"acr-ping", {}},
      {"ecr-push", {"123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop/api:1.27"}},
      {"ecr-push-china", {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/shop/api:1.27"}},
      {"ecr-delete", {}},
      {"ecr-failure", {}},
      {"ecr-untagged", {}},
      {"ecr-scan", {}},
      {"cloudevents-acr-batch", {"example.azurecr.io/shop/api:1.27"}},
      {"cloudevents-pubsub", {"europe-west1-docker.pkg.dev/example-project/shop/api:1.27"}},
      {"cloudevents-generic", {"registry.example.com/shop/api:1.27"}},
      {"cloudevents-base64", {"registry.example.com:5000/shop/api:1.27"}},
      {"cloudevents-other", {}},
      {"generic-image", {"registry.example.com/shop/api:1.27"}},
      {"generic-images",
       {"docker.io/library/nginx:latest", "registry.example.com:5000/shop/api:1.27"}},
  };
  return kCases;
}

TEST(ParsePush, ReadsWhatVendorsSend) {
  for (const auto& [name, expected, registry] : cases()) {
    SCOPED_TRACE(name);
    const auto result = names(format_of(name), fixture(name), {.registry = registry});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, expected);
  }
}

TEST(ParsePush, EveryFixtureIsTested) {
  std::set<std::string> tested;
  for (const Case& one : cases()) tested.insert(one.fixture);
  for (const auto& entry : std::filesystem::directory_iterator(kData)) {
    EXPECT_TRUE(tested.contains(entry.path().stem())) << entry.path();
  }
}

TEST(ParsePush, ReadsTheDataOfOtherFormatsInCloudEvents) {
  for (const auto& [name, expected, registry] : cases()) {
    SCOPED_TRACE(name);
    if (name.starts_with("cloudevents") || name.starts_with("harbor-cloudevent")) continue;
    if (name == "gar-unwrapped") continue;  // nothing tells it from any other action
    const Json event = {{"specversion", "1.0"},
                        {"id", "1"},
                        {"source", "/bridge"},
                        {"type", "com.example.registry"},
                        {"data", Json::parse(fixture(name))}};
    const auto result = names(Format::kCloudEvents, event.dump(), {.registry = registry});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, expected);
  }
}

TEST(ParsePush, OtherCloudEventsAreNoPushes) {
  for (const std::string_view data :
       {"null", "7", "[]", "{}", R"("image")", R"({"message":"hello","target":"x","events":7})",
        R"({"order":{"image":"a:1"}})"}) {
    const std::string event = R"({"specversion":"1.0","type":"com.example.any","data":)";
    EXPECT_EQ(outcome(names(Format::kCloudEvents, event + std::string(data) + "}")), "") << data;
  }
  EXPECT_EQ(outcome(names(Format::kCloudEvents, R"({"specversion":"1.0","type":"t"})")), "");
  EXPECT_EQ(outcome(names(Format::kCloudEvents, R"({"specversion":"0.3","type":"t"})")), "invalid");
  EXPECT_EQ(outcome(names(Format::kCloudEvents, R"({"specversion":"1.0"})")), "invalid");
  EXPECT_EQ(outcome(names(Format::kCloudEvents, "[]")), "");
}

TEST(ParsePush, TheConfiguredRegistryStandsInAndWinsWhereAsked) {
  const std::string body = fixture("distribution-push");
  const Options own{.registry = "hub.example.com", .registry_wins = false};
  EXPECT_EQ(names(Format::kDistribution, body, own)->front(),
            "registry.example.com:5000/shop/api:1.27");
  const Options wins{.registry = "hub.example.com", .registry_wins = true};
  EXPECT_EQ(names(Format::kDistribution, body, wins)->front(), "hub.example.com/shop/api:1.27");

  const auto event = [](const std::string& request) {
    return R"({"events":[{"action":"push","target":{"repository":"a/b","tag":"c"})" + request +
           "}]}";
  };
  for (const std::string request :
       {"", R"(,"request":null)", R"(,"request":{})", R"(,"request":{"host":""})",
        R"(,"request":{"host":"registry"})"}) {
    SCOPED_TRACE(request);
    EXPECT_EQ(outcome(names(Format::kDistribution, event(request), own)), "hub.example.com/a/b:c");
    EXPECT_EQ(outcome(names(Format::kDistribution, event(request))), "invalid");
  }
  EXPECT_EQ(outcome(names(Format::kDistribution, event(R"(,"request":{"host":"[::1]:5000"})"))),
            "[::1]:5000/a/b:c");
  EXPECT_EQ(outcome(names(Format::kDistribution, event(""), {.registry = "not a host"})),
            "invalid");
}

TEST(ParsePush, AHarborTakesNoOtherEvents) {
  Json event = Json::parse(fixture("cloudevents-generic"));
  EXPECT_EQ(outcome(names(Format::kHarbor, event.dump())), "");
  event["type"] = "harbor.artifact.pushed";
  EXPECT_EQ(outcome(names(Format::kHarbor, event.dump())), "invalid");
}

TEST(ParsePush, GitHubEnterpriseNamesItsOwnRegistry) {
  Json body = Json::parse(fixture("ghcr-package"));
  Json& version = body["package"]["package_version"];
  version["package_url"] = "containers.github.example.com/example-org/shop/api:1.27";
  EXPECT_EQ(outcome(names(Format::kGhcr, body.dump())),
            "containers.github.example.com/example-org/shop/api:1.27");
  version.erase("package_url");
  body["package"]["namespace"] = nullptr;
  EXPECT_EQ(outcome(names(Format::kGhcr, body.dump())), "ghcr.io/example-org/shop/api:1.27");
  body["package"]["package_version"] = nullptr;
  EXPECT_EQ(outcome(names(Format::kGhcr, body.dump())), "");
}

// A push of each format in which one place stands for a name.
std::string quay_push(const std::string& url, const std::string& tag) {
  return Json{{"docker_url", url}, {"updated_tags", {tag}}}.dump();
}

TEST(ParsePush, RefusesNamesThatAreNone) {
  const std::vector<std::pair<std::string, std::string>> hostile = {
      {"quay.io/a", "tag with spaces"},
      {"quay.io/a", "x@" + kDigest},
      {"quay.io/a", "b/c"},
      {"quay.io/a", "-x"},
      {"quay.io/a", std::string(129, 'a')},
      {"quay.io/a", "caf\xC3\xA9"},
      {"quay.io/a", std::string("a\0b", 3)},
      {"quay.io/a", "a\nb"},
      {"quay.io/a:b", "c"},
      {"quay.io/a@" + kDigest, "c"},
      {"quay.io/UPPER", "c"},
      {"quay.io/../etc", "c"},
      {"quay.io/a/", "c"},
      {"quay.io/", "c"},
      {"quay.io//a", "c"},
      {"quay.io/\xE2\x80\xAE", "c"},
      {"quay.io/" + std::string(300, 'a'), "c"},
      {"http://quay.io/a", "c"},
      {"user@quay.io/a", "c"},
      {"quay.io:port/a", "c"},
      {"quay.io", "c"},
  };
  for (const auto& [url, tag] : hostile) {
    SCOPED_TRACE(url + " " + tag);
    EXPECT_EQ(outcome(names(Format::kQuay, quay_push(url, tag))), "invalid");
  }
  EXPECT_EQ(outcome(names(Format::kQuay, quay_push("quay.io/a", ""))), "");
  EXPECT_EQ(outcome(names(Format::kQuay, quay_push("quay.io/a", kDigest))), "");
  EXPECT_EQ(outcome(names(Format::kQuay, quay_push("index.docker.io/a", "c"))),
            "docker.io/library/a:c");
}

TEST(ParsePush, OneBadNameRefusesTheWhole) {
  EXPECT_EQ(outcome(names(Format::kGeneric, R"({"images":["a:1","b:2","C:3"]})")), "invalid");
}

TEST(ParsePush, NamesEachReferenceOnceInOrder) {
  EXPECT_EQ(outcome(names(Format::kGeneric, R"({"image":"b:2","images":["a:1","b:2","a:1"]})")),
            "docker.io/library/b:2 docker.io/library/a:1");
}

TEST(ParsePush, TheLastOfTwoEqualKeysCounts) {
  EXPECT_EQ(outcome(names(Format::kGeneric, R"({"image":"a:1","image":"b:2"})")),
            "docker.io/library/b:2");
  EXPECT_EQ(outcome(names(Format::kGeneric, R"({"image":"a:1","image":7})")), "invalid");
}

std::string many_tags(std::size_t count) {
  Json tags = Json::array();
  for (std::size_t i = 0; i < count; ++i) tags.push_back("v" + std::to_string(i));
  return Json{{"docker_url", "quay.io/a/b"}, {"updated_tags", std::move(tags)}}.dump();
}

TEST(ParsePush, TakesAThousandReferencesAndNoMore) {
  EXPECT_EQ(names(Format::kQuay, many_tags(kMaxReferences))->size(), kMaxReferences);
  EXPECT_EQ(outcome(names(Format::kQuay, many_tags(kMaxReferences + 1))), "too_large");
}

TEST(ParsePush, BoundsTheBody) {
  std::string body = R"({"image":"a:1","padding":")";
  body += std::string(kMaxBodyBytes - body.size() - 2, 'x') + R"("})";
  ASSERT_EQ(body.size(), kMaxBodyBytes);
  EXPECT_EQ(outcome(names(Format::kGeneric, body)), "docker.io/library/a:1");
  body += ' ';
  EXPECT_EQ(outcome(names(Format::kGeneric, body)), "too_large");
}

std::string nested(std::size_t levels) {
  return R"({"image":"a:1","x":)" + std::string(levels - 1, '[') + std::string(levels - 1, ']') +
         "}";
}

TEST(ParsePush, BoundsTheNesting) {
  EXPECT_EQ(outcome(names(Format::kGeneric, nested(kMaxNesting))), "docker.io/library/a:1");
  EXPECT_EQ(outcome(names(Format::kGeneric, nested(kMaxNesting + 1))), "invalid");
  for (const Format format : kFormats) {
    EXPECT_EQ(outcome(names(format, std::string(500'000, '['))), "invalid") << to_string(format);
  }
  // Brackets in texts nest nothing.
  EXPECT_EQ(outcome(names(Format::kGeneric,
                          R"({"image":"a:1","x":"\"\\)" + std::string(100, '[') + "\"}")),
            "docker.io/library/a:1");
  const std::string inner = base64_encode(std::string(100, '['));
  EXPECT_EQ(outcome(names(Format::kGar, R"({"message":{"data":")" + inner + "\"}}")), "invalid");
  EXPECT_EQ(outcome(names(Format::kCloudEvents,
                          R"({"specversion":"1.0","type":"t","data_base64":")" + inner + "\"}")),
            "invalid");
}

TEST(ParsePush, RefusesWhatIsNoJsonObject) {
  for (const Format format : kFormats) {
    for (const std::string_view body : {"", " ", "{", "}", "null", "7", "\"text\"", "{}{}",
                                        "{\"a\":}", "<xml/>", "[7]", "{\"a\":\"\xFF\"}"}) {
      EXPECT_EQ(outcome(names(format, body)), "invalid") << to_string(format) << ' ' << body;
    }
  }
}

TEST(ParsePush, RefusesWhatIsCutOff) {
  for (const Case& one : cases()) {
    const std::string whole = Json::parse(fixture(one.fixture)).dump();
    for (std::size_t size = 0; size < whole.size(); size += 7) {
      EXPECT_EQ(outcome(names(format_of(one.fixture), std::string_view(whole).substr(0, size))),
                "invalid")
          << one.fixture << " " << size;
    }
  }
}

// All places of a document, as JSON pointers.
void collect(const Json& value, const Json::json_pointer& at,
             std::vector<Json::json_pointer>& out) {
  out.push_back(at);
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) collect(inner, at / key, out);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) collect(value[i], at / i, out);
  }
}

TEST(ParsePush, AWrongTypeAnywhereIsRefusedOrDoesNotMatter) {
  const std::vector<Json> wrong = {nullptr,          true,          7, "", "\xE2\x98\x83",
                                   Json::array({1}), Json::object()};
  std::map<Format, int> refused;
  for (const auto& [name, expected, registry] : cases()) {
    const Json whole = Json::parse(fixture(name));
    std::vector<Json::json_pointer> places;
    collect(whole, Json::json_pointer(), places);
    for (const Json::json_pointer& place : places) {
      for (const Json& value : wrong) {
        Json changed = whole;
        changed[place] = value;
        const auto result = names(format_of(name), changed.dump(), {.registry = registry});
        if (!result) {
          EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
          ++refused[format_of(name)];
          continue;
        }
        for (const std::string& found : *result) {
          EXPECT_TRUE(std::ranges::find(expected, found) != expected.end())
              << name << " " << place << " " << value << " " << found;
        }
      }
    }
  }
  for (const Format format : kFormats) EXPECT_GT(refused[format], 0) << to_string(format);
}

TEST(ParsePush, ErrorsAreShortAndOfOneLine) {
  const auto result = parse_push(Format::kGeneric,
                                 Json{{"image", std::string(5000, 'A') + "\n\x1b[31m"}}.dump(), {});
  ASSERT_FALSE(result);
  EXPECT_LT(result.error().message.size(), 400U);
  EXPECT_EQ(result.error().message.find_first_of("\n\x1b"), std::string::npos);
}

TEST(Format, IsNamedAndFoundByItsName) {
  std::set<std::string_view> seen;
  for (const Format format : kFormats) {
    EXPECT_EQ(parse_format(to_string(format)), format);
    seen.insert(to_string(format));
  }
  EXPECT_EQ(seen.size(), kFormats.size());
  const auto unknown = parse_format("gitlab");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kInvalid);
  EXPECT_NE(unknown.error().message.find("distribution, dockerhub"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::push
