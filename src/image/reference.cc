// The scanner follows the grammar of distribution/reference from the outside in: the digest is
// what follows the only '@', the tag what follows the first ':' after the last '/', the registry
// what stands before the first '/' where it looks like a host, the repository the rest. Each part
// is then held against its own production. No part is scanned twice, so the time is linear in the
// length of the text, whatever an attacker writes.

#include "image/reference.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/json_text.h"

namespace tidemark::image {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";
constexpr std::string_view kLegacyDefaultRegistry = "index.docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr std::string_view kDefaultTag = "latest";

// distribution/reference: RepositoryNameTotalLengthMax.
constexpr std::size_t kMaxRepositoryBytes = 255;
// distribution-spec: the tag's production is at most 128 characters.
constexpr std::size_t kMaxTagBytes = 128;
// A DNS name has at most 253 characters (RFC 1035, 2.3.4, without the root), then ":65535". The
// grammar itself names no bound.
constexpr std::size_t kMaxRegistryBytes = 253 + 6;
// "sha512:" and 128 hex digits.
constexpr std::size_t kMaxDigestBytes = 7 + 128;
// registry / repository : tag @ digest
constexpr std::size_t kMaxReferenceBytes =
    kMaxRegistryBytes + 1 + kMaxRepositoryBytes + 1 + kMaxTagBytes + 1 + kMaxDigestBytes;
// A name of exactly 64 lower-case hex digits would be an image ID.
constexpr std::size_t kIdentifierDigits = 64;

// Enough to recognise a name in a message.
constexpr std::size_t kMaxQuotedBytes = 160;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_lower_alphanumeric(char c) { return is_lower(c) || is_digit(c); }
bool is_alphanumeric(char c) { return is_lower_alphanumeric(c) || is_upper(c); }
bool is_word(char c) { return is_alphanumeric(c) || c == '_'; }

// Calls `check` with each part of `text` between separators; false as soon as one is refused.
template <typename Check>
bool all_parts(std::string_view text, char separator, Check check) {
  while (true) {
    const std::size_t end = text.find(separator);
    if (!check(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

// domain-component: letters, digits and inner dashes.
bool is_domain_component(std::string_view text) {
  return !text.empty() && text.front() != '-' && text.back() != '-' &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

// domain: components or a bracketed IPv6 address, then an optional port.
bool is_domain(std::string_view text) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || close == 1) return false;
    const std::string_view address = text.substr(1, close - 1);
    if (!std::ranges::all_of(address, [](char c) { return is_hex(c) || c == ':'; })) return false;
    const std::string_view rest = text.substr(close + 1);
    has_port = rest.starts_with(':');
    if (!has_port && !rest.empty()) return false;
    if (has_port) port = rest.substr(1);
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    if (has_port) port = text.substr(colon + 1);
    if (!all_parts(text.substr(0, colon), '.', is_domain_component)) return false;
  }
  return !has_port || (!port.empty() && std::ranges::all_of(port, is_digit));
}

// path-component: alphanumeric runs with one separator between two of them, where a separator is
// ".", "_", "__" or any number of dashes.
bool is_path_component(std::string_view text) {
  std::size_t at = 0;
  const auto run_length = [&](auto belongs) {
    const std::size_t start = at;
    while (at < text.size() && belongs(text[at])) ++at;
    return at - start;
  };
  while (true) {
    if (run_length(is_lower_alphanumeric) == 0) return false;
    if (at == text.size()) return true;
    if (text[at] == '.') {
      ++at;
    } else if (text[at] == '_') {
      if (run_length([](char c) { return c == '_'; }) > 2) return false;
    } else if (run_length([](char c) { return c == '-'; }) == 0) {
      return false;
    }
  }
}

// Docker's rule for what stands before the first '/': "localhost", anything with a dot or a colon,
// and anything with an upper-case letter (which no repository may have) is a registry.
bool looks_like_registry(std::string_view text) {
  return text == "localhost" || text.find_first_of(".:") != std::string_view::npos ||
         std::ranges::any_of(text, is_upper);
}

std::unexpected<Error> invalid(std::string_view text, std::string_view reason) {
  return fail(ErrorKind::kInvalid, "image name " + json_quote(text.substr(0, kMaxQuotedBytes)) +
                                       ": " + std::string(reason));
}

}  // namespace

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTagBytes && is_word(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::string with_tag(std::string_view written, std::string_view tag) {
  written = written.substr(0, written.find('@'));
  const std::size_t slash = written.rfind('/');
  const std::size_t colon = written.find(':', slash == std::string_view::npos ? 0 : slash);
  return std::string(written.substr(0, colon)).append(":").append(tag);
}

Result<Reference> Reference::parse(std::string_view text) {
  if (text.empty()) return invalid(text, "is empty");
  if (text.size() > kMaxReferenceBytes) return invalid(text, "is too long");
  if (text.size() == kIdentifierDigits &&
      std::ranges::all_of(text, [](char c) { return is_hex(c) && !is_upper(c); })) {
    return invalid(text, "is an image ID, not a name");
  }

  Reference reference;
  std::string_view rest = text;

  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    auto digest = Digest::parse(rest.substr(at + 1));
    if (!digest) return invalid(text, "the digest is not sha256 or sha512 with lower-case hex");
    reference.digest_ = std::move(*digest);
    rest = rest.substr(0, at);
  }

  std::string_view tag;
  const std::size_t last_slash = rest.rfind('/');
  const std::size_t name_start = last_slash == std::string_view::npos ? 0 : last_slash + 1;
  if (const std::size_t colon = rest.find(':', name_start); colon != std::string_view::npos) {
    tag = rest.substr(colon + 1);
    if (!is_tag(tag)) {
      return invalid(text, "the tag is not 1 to 128 letters, digits, '_', '.' and '-'");
    }
    rest = rest.substr(0, colon);
  }

  std::string_view registry = kDefaultRegistry;
  std::string_view repository = rest;
  if (const std::size_t slash = rest.find('/');
      slash != std::string_view::npos && looks_like_registry(rest.substr(0, slash))) {
    registry = rest.substr(0, slash);
    repository = rest.substr(slash + 1);
  }
  if (registry == kLegacyDefaultRegistry) registry = kDefaultRegistry;
  if (registry.size() > kMaxRegistryBytes || !is_domain(registry)) {
    return invalid(text, "the registry is not a host with an optional port");
  }
  if (std::ranges::any_of(repository, is_upper)) {
    return invalid(text, "the repository must be lower-case");
  }
  if (!all_parts(repository, '/', is_path_component)) {
    return invalid(text,
                   "the repository is not lower-case letters and digits separated by '/', "
                   "'.', '_', '__' or '-'");
  }

  const bool official =
      registry == kDefaultRegistry && repository.find('/') == std::string_view::npos;
  const std::string_view prefix = official ? kOfficialPrefix : std::string_view();
  if (prefix.size() + repository.size() > kMaxRepositoryBytes) {
    return invalid(text, "the repository has more than 255 characters");
  }
  if (tag.empty() && !reference.digest_) tag = kDefaultTag;
  reference.registry_ = std::string(registry);
  std::string& out = reference.text_;
  out.reserve(registry.size() + 1 + prefix.size() + repository.size() + 1 + tag.size());
  out.append(registry).append("/").append(prefix).append(repository);
  reference.name_bytes_ = out.size();
  if (!tag.empty()) out.append(":").append(tag);
  return reference;
}

Result<Reference> Reference::parse_name(std::string_view text) {
  auto out = parse(text);
  // A second tag would be none, and a tag behind a digest is none.
  if (out && (out->digest() || !parse(std::string(text) + ":x"))) {
    return fail(ErrorKind::kInvalid,
                "must be an image without a tag and a digest (ghcr.io/example/app)");
  }
  return out;
}

std::string_view Reference::repository() const {
  return std::string_view(text_).substr(0, name_bytes_).substr(registry_.size() + 1);
}

std::optional<std::string_view> Reference::tag() const {
  if (text_.size() == name_bytes_) return std::nullopt;
  return std::string_view(text_).substr(name_bytes_ + 1);
}

std::string Reference::str() const {
  std::string out;
  append_to(out);
  return out;
}

void Reference::append_to(std::string& out) const {
  out += text_;
  if (digest_) out.append("@").append(digest_->str());
}

const std::string& Reference::tagged() const {
  static const std::string kNone;
  return text_.size() == name_bytes_ ? kNone : text_;
}

Reference Reference::with_tag(std::string_view tag) const {
  Reference out;
  out.registry_ = registry_;
  out.text_ = name().append(":").append(tag);
  out.name_bytes_ = name_bytes_;
  return out;
}

std::string Reference::manifest_name() const {
  if (const auto own = tag()) return std::string(*own);
  return digest_ ? digest_->str() : std::string{};  // parse() leaves at least one of the two
}

}  // namespace tidemark::image
