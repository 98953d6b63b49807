// WWW-Authenticate: each line of the input is one header. What was read is written again in the
// plainest form, as headers of their own and as one folded header, and read to the same.
#include "registry/challenge.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/target.h"

namespace tidemark::fuzz {
namespace {

constexpr const char* kName = "WWW-Authenticate";

std::string written(const registry::Challenge& challenge) {
  std::string text = challenge.scheme;
  for (const auto& [name, value] : challenge.parameters) {
    text += &challenge.parameters.front().first == &name ? " " : ", ";
    text += name + "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

bool equal(const std::vector<registry::Challenge>& a, const std::vector<registry::Challenge>& b) {
  return std::ranges::equal(a, b, [](const auto& left, const auto& right) {
    return left.scheme == right.scheme && left.parameters == right.parameters;
  });
}

bool has_no_upper_case(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

void run(std::string_view input) {
  net::Headers headers;
  while (!input.empty()) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    headers.push_back({.name = kName, .value = std::string(input.substr(0, end))});
    input.remove_prefix(std::min(end + 1, input.size()));
  }

  const auto challenges = registry::parse_challenges(headers);
  require(challenges.size() <= registry::kMaxChallenges, "challenges have a bound");
  net::Headers apart;
  std::string folded;
  for (const registry::Challenge& challenge : challenges) {
    require(!challenge.scheme.empty() && has_no_upper_case(challenge.scheme),
            "a scheme is a lower-case word");
    require(challenge.parameters.size() <= registry::kMaxChallengeParameters,
            "parameters have a bound");
    for (const auto& [name, value] : challenge.parameters) {
      require(!name.empty() && has_no_upper_case(name), "a parameter is a lower-case word");
      const auto first = std::ranges::find(challenge.parameters, name,
                                           &std::pair<std::string, std::string>::first);
      require(challenge.parameter(name) == first->second, "the first of a name counts");
    }
    apart.push_back({.name = kName, .value = written(challenge)});
    folded += (folded.empty() ? "" : ", ") + apart.back().value;
  }
  require(equal(registry::parse_challenges(apart), challenges), "written apart it means the same");
  require(equal(registry::parse_challenges({{.name = kName, .value = folded}}), challenges),
          "folded into one header it means the same");
}

}  // namespace tidemark::fuzz
