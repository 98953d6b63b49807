#include "cloud/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "registry/encoding.h"

namespace tidemark::cloud {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum.data(), &size);
  return {reinterpret_cast<const char*>(sum.data()), size};
}

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kHex[byte >> 4U]);
    out.push_back(kHex[byte & 0xFU]);
  }
  return out;
}

// Without blanks around it, and one for several within.
std::string trim_all(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text)) {
    if (c != ' ' || !out.ends_with(' ')) out.push_back(c);
  }
  return out;
}

// Sorted by name; values of one name in their order.
std::map<std::string, std::string> canonical_headers(const net::Request& request) {
  std::map<std::string, std::string> out{{"host", request.url.host_header()}};
  for (const net::Header& header : request.headers) {
    const auto [position, added] = out.emplace(ascii_lower(header.name), trim_all(header.value));
    if (!added) position->second += "," + trim_all(header.value);
  }
  return out;
}

std::string signed_headers(const std::map<std::string, std::string>& headers) {
  std::string out;
  for (const auto& [name, value] : headers) append_part(out, ";", name);
  return out;
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    if (field.empty()) continue;
    const std::string_view name = field.substr(0, field.find('='));
    fields.emplace_back(name, field.substr(std::min(name.size() + 1, field.size())));
  }
  std::ranges::sort(fields);
  std::string out;
  for (const auto& [name, value] : fields) {
    append_part(out, "&", std::string(name) + "=" + std::string(value));
  }
  return out;
}

// "20150830T123600Z"
std::string basic_time(WallTime time) {
  std::string text = to_rfc3339(time);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

}  // namespace

std::string canonical_request(const net::Request& request) {
  const std::string_view target = request.url.target;
  const std::string_view path = target.substr(0, target.find('?'));
  const auto headers = canonical_headers(request);
  std::string out = request.method;
  out.append("\n").append(path).append("\n");
  out += canonical_query(target.substr(std::min(path.size() + 1, target.size())));
  out += "\n";
  for (const auto& [name, value] : headers) out.append(name).append(":").append(value).append("\n");
  out += "\n" + signed_headers(headers) + "\n" + registry::sha256_hex(request.body);
  return out;
}

void sign(net::Request& request, const AwsCredentials& credentials, const SigningScope& scope) {
  const std::string time = basic_time(scope.time);
  const std::string date = time.substr(0, time.find('T'));
  request.headers.push_back({"X-Amz-Date", time});
  if (!credentials.session_token.empty()) {
    request.headers.push_back({"X-Amz-Security-Token", credentials.session_token});
  }

  const std::string place =
      date + "/" + scope.region + "/" + scope.service + "/" + std::string(kTerminator);
  std::string text(kAlgorithm);
  text += "\n" + time + "\n" + place + "\n" + registry::sha256_hex(canonical_request(request));
  std::string key = hmac("AWS4" + credentials.secret_access_key, date);
  key = hmac(key, scope.region);
  key = hmac(key, scope.service);
  key = hmac(key, kTerminator);

  std::string value(kAlgorithm);
  value += " Credential=" + credentials.access_key_id + "/" + place;
  value += ", SignedHeaders=" + signed_headers(canonical_headers(request));
  value += ", Signature=" + hex(hmac(key, text));
  request.headers.push_back({"Authorization", std::move(value)});
}

}  // namespace tidemark::cloud
