#include "registry/challenge.h"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace tidemark::registry {
namespace {

// A realm is an URL and a scope a repository name (255) with actions; 4 KiB leaves room for both.
constexpr std::size_t kMaxValueBytes = 4096;

bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  bool take(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void skip_spaces() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  void skip_separators() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == ',')) ++at_;
  }
  void skip_to_comma() {
    while (!done() && text_[at_] != ',') ++at_;
  }
  std::string_view token() {
    const std::size_t start = at_;
    while (!done() && is_token_char(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }
  // The rest of a quoted string after its opening quote; nullopt where it does not end.
  std::optional<std::string> quoted_rest() {
    std::string out;
    while (!done()) {
      const char c = text_[at_++];
      if (c == '"') return out;
      if (c != '\\') {
        out.push_back(c);
      } else if (!done()) {
        out.push_back(text_[at_++]);
      }
    }
    return std::nullopt;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

void parse_header(std::string_view text, std::vector<Challenge>& out) {
  Scanner scan(text);
  bool has_scheme = false;  // in this header: parameters never belong to an earlier one's challenge
  while (true) {
    scan.skip_separators();
    if (scan.done()) return;
    const std::string_view name = scan.token();
    if (name.empty()) {
      scan.skip_to_comma();
      continue;
    }
    scan.skip_spaces();
    if (!scan.take('=')) {
      // A name that no '=' follows is a scheme. (A token68 such as Negotiate's is read as the name
      // of a scheme that nobody asks for.)
      if (out.size() == kMaxChallenges) return;
      out.push_back(Challenge{.scheme = to_lower(name), .parameters = {}});
      has_scheme = true;
      continue;
    }
    scan.skip_spaces();
    std::optional<std::string> value;
    if (scan.take('"')) {
      value = scan.quoted_rest();
    } else {
      value = std::string(scan.token());
      if (value->empty()) {
        scan.skip_to_comma();
        continue;
      }
    }
    if (!value) return;
    if (!has_scheme || value->size() > kMaxValueBytes) continue;
    if (out.back().parameters.size() < kMaxChallengeParameters) {
      out.back().parameters.emplace_back(to_lower(name), std::move(*value));
    }
  }
}

}  // namespace

std::string_view Challenge::parameter(std::string_view name) const {
  const auto found =
      std::ranges::find(parameters, name, &std::pair<std::string, std::string>::first);
  return found == parameters.end() ? std::string_view{} : std::string_view(found->second);
}

std::vector<Challenge> parse_challenges(const net::Headers& headers) {
  std::vector<Challenge> challenges;
  for (const std::string_view value : net::find_headers(headers, "WWW-Authenticate")) {
    parse_header(value, challenges);
  }
  return challenges;
}

}  // namespace tidemark::registry
