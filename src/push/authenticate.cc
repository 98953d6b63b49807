#include "push/authenticate.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <climits>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/text.h"

namespace tidemark::push {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sha256(std::string_view bytes) {
  std::string sum(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(bytes), bytes.size(), reinterpret_cast<unsigned char*>(sum.data()));
  return sum;
}

std::string hmac(const EVP_MD* algorithm, std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned size = 0;
  if (key.size() > INT_MAX || HMAC(algorithm, key.data(), static_cast<int>(key.size()),
                                   bytes_of(bytes), bytes.size(), sum.data(), &size) == nullptr) {
    return {};
  }
  return {reinterpret_cast<const char*>(sum.data()), size};
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  return std::nullopt;
}

// "" where it is not hex of so many bytes.
std::string bytes_of_hex(std::string_view hex, std::size_t size) {
  if (hex.size() != size * 2) return {};
  std::string bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    const auto high = hex_digit(to_lower(hex[at]));
    const auto low = hex_digit(to_lower(hex[at + 1]));
    if (!high || !low) return {};
    bytes.push_back(static_cast<char>((*high << 4U) | *low));
  }
  return bytes;
}

std::string_view find(Headers headers, std::string_view name) {
  const auto found = std::ranges::find_if(
      headers, [&](const Header& header) { return equal_without_case(header.name, name); });
  return found == headers.end() ? std::string_view{} : trimmed(found->value);
}

// What a header shows as a token.
std::string token_of(std::string_view value) {
  std::string_view rest = value;
  const std::string_view scheme = take_word(rest);
  rest = trimmed(rest);
  if (rest.empty()) return std::string(value);
  if (equal_without_case(scheme, "Bearer")) return std::string(rest);
  if (!equal_without_case(scheme, "Basic")) return std::string(value);
  const auto decoded = base64_decode(rest);
  const std::size_t colon = decoded ? decoded->find(':') : std::string::npos;
  return colon == std::string::npos ? std::string{} : decoded->substr(colon + 1);
}

// All secrets are tried and compared by their hashes, so that the time tells neither which matched
// nor how long it is.
bool shows_secret(const Sender& sender, std::string_view token) {
  if (token.empty()) return false;
  const std::string shown = sha256(token);
  bool matches = false;
  for (const std::string& secret : sender.secrets) {
    const bool equal = equal_in_constant_time(sha256(secret), shown);
    matches |= equal && !secret.empty();
  }
  return matches;
}

struct Signature {
  const EVP_MD* algorithm;
  std::string_view prefix;
  std::size_t size;
};

bool is_signed(const Sender& sender, const Signature& kind, std::string_view value,
               std::string_view body) {
  if (value.starts_with(kind.prefix)) value.remove_prefix(kind.prefix.size());
  const std::string shown = bytes_of_hex(value, kind.size);
  if (shown.empty()) return false;
  bool matches = false;
  for (const std::string& secret : sender.secrets) {
    const bool equal = equal_in_constant_time(hmac(kind.algorithm, secret, body), shown);
    matches |= equal && !secret.empty();
  }
  return matches;
}

bool has_time_or_number(Format format) {
  return format != Format::kQuay && format != Format::kArtifactory && format != Format::kGeneric;
}

}  // namespace

Result<Proof> parse_proof(std::string_view text) {
  if (text == "token") return Proof::kToken;
  if (text == "hmac-sha256") return Proof::kHmacSha256;
  if (text == "hmac-sha1") return Proof::kHmacSha1;
  return fail(ErrorKind::kInvalid,
              brief_quote(text) + " is no proof (token, hmac-sha256, hmac-sha1)");
}

std::string_view default_header(Proof proof) {
  switch (proof) {
    case Proof::kToken:
      return "Authorization";
    case Proof::kHmacSha256:
      return "X-Hub-Signature-256";
    case Proof::kHmacSha1:
      return "X-Nexus-Webhook-Signature";
  }
  return {};
}

Status authenticate(const Sender& sender, Headers headers, std::string_view path_token,
                    std::string_view body) {
  const std::string_view name =
      sender.header.empty() ? default_header(sender.proof) : std::string_view(sender.header);
  const std::string_view value = find(headers, name);
  bool proven = false;
  switch (sender.proof) {
    case Proof::kToken:
      proven = shows_secret(sender, token_of(value)) || shows_secret(sender, path_token);
      break;
    case Proof::kHmacSha256:
      proven = is_signed(sender, {EVP_sha256(), "sha256=", SHA256_DIGEST_LENGTH}, value, body);
      break;
    case Proof::kHmacSha1:
      proven = is_signed(sender, {EVP_sha1(), "sha1=", SHA_DIGEST_LENGTH}, value, body);
      break;
  }
  if (proven) return {};
  const bool shown = !value.empty() || (sender.proof == Proof::kToken && !path_token.empty());
  return fail(ErrorKind::kUnauthorized,
              shown ? "push: the sender's proof is wrong" : "push: the sender shows no proof");
}

bool ReplayGuard::seen(Format format, std::string_view body, SteadyTime now) {
  forget_old(now);
  return has_time_or_number(format) && known_.contains(sha256(body));
}

void ReplayGuard::remember(Format format, std::string_view body, SteadyTime now) {
  if (!has_time_or_number(format)) return;
  forget_old(now);
  std::string sum = sha256(body);
  if (!known_.emplace(sum, now).second) return;
  order_.push_back(std::move(sum));
  if (order_.size() > options_.max_bodies) {
    known_.erase(order_.front());
    order_.pop_front();
  }
}

void ReplayGuard::forget_old(SteadyTime now) {
  while (!order_.empty() && now - known_.at(order_.front()) > options_.keep) {
    known_.erase(order_.front());
    order_.pop_front();
  }
}

}  // namespace tidemark::push
