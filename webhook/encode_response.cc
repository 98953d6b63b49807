#include "webhook/encode_response.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/json_text.h"
#include "base/text.h"

namespace tidemark::webhook {
namespace {

// Of an answer with a few warnings, but for its patch.
constexpr std::size_t kUsualBytes = 1024;
// "tidemark: and 12345 more warnings", at most.
constexpr std::size_t kMoreBytes = 64;

std::string one_line(std::string line) {
  for (char& c : line) c = static_cast<unsigned char>(c) < 0x20U || c == 0x7F ? ' ' : c;
  if (line.size() <= kMaxWarningBytes) return line;
  constexpr std::string_view kCut = "...";
  return cut(line, kMaxWarningBytes - kCut.size()).append(kCut);
}

}  // namespace

std::vector<std::string> bound_warnings(std::vector<std::string> warnings) {
  std::vector<std::string> bounded;
  bounded.reserve(warnings.size());
  std::size_t total = 0;
  std::size_t left_out = 0;
  for (std::string& warning : warnings) {
    std::string line = one_line(std::move(warning));
    if (std::ranges::find(bounded, line) != bounded.end()) continue;
    if (left_out > 0 || total + line.size() > kMaxWarningsBytes - kMoreBytes) {
      ++left_out;
      continue;
    }
    total += line.size();
    bounded.push_back(std::move(line));
  }
  if (left_out > 0) {
    bounded.push_back("tidemark: and " + std::to_string(left_out) + " more warnings");
  }
  return bounded;
}

std::string encode_response(std::string_view uid, Decision decision) {
  const std::string& patch = decision.patch.str();
  const auto warnings = bound_warnings(std::move(decision.warnings));
  std::string json;
  json.reserve(kUsualBytes + patch.size() / 3 * 4);
  json += R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":)";
  append_json_quoted(json, uid);
  if (decision.denial) {
    json += R"(,"allowed":false,"status":{"code":403,"reason":"Forbidden","message":)";
    append_json_quoted(json, *decision.denial);
    json += '}';
  } else {
    json += R"(,"allowed":true)";
    if (!decision.patch.empty()) {
      json += R"(,"patchType":"JSONPatch","patch":")";
      append_base64(json, patch);
      json += '"';
    }
  }
  if (!warnings.empty()) {
    json += R"(,"warnings":[)";
    for (std::size_t i = 0; i < warnings.size(); ++i) {
      if (i > 0) json += ',';
      append_json_quoted(json, warnings[i]);
    }
    json += ']';
  }
  json += "}}";
  return json;
}

}  // namespace tidemark::webhook
