#include "registry/credentials.h"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/base64.h"
#include "base/json_text.h"
#include "registry/encoding.h"
#include "registry/host_pattern.h"

namespace tidemark::registry {
namespace {

// Ordered: several entries for one host are tried in the order of the file.
using Json = nlohmann::ordered_json;

// Kubernetes' own limit for a Secret (core/v1 MaxSecretSize).
constexpr std::size_t kMaxConfigBytes = std::size_t{1024} * 1024;
// A host name in a message or in `skipped`.
constexpr std::size_t kMaxHostBytes = 253 + 6;

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kDockerHubConfigHost = "index.docker.io";

struct Location {
  std::string host;
  std::string path;
};

// "https://host:port/path", "host/path" or "host". The API versions that docker writes ("/v1/",
// "/v2/") say nothing of the repository and are dropped.
std::optional<Location> parse_location(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      break;
    }
  }
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? "" : text.substr(slash);
  const auto plain = [](char c) {
    return c > ' ' && c < '\x7f' && c != '@' && c != '#' && c != '%' && c != '\\';
  };
  if (host.empty() || host.size() > kMaxHostBytes || !std::ranges::all_of(text, plain)) {
    return std::nullopt;
  }
  if (path.starts_with("/v1/") || path.starts_with("/v2/")) path.remove_prefix(3);
  if (path == "/") path = {};
  return Location{.host = std::string(host), .path = std::string(path)};
}

// A string field; absent and null are "". False where it is anything else.
bool read_string(const Json& entry, const char* name, std::string& into) {
  const auto found = entry.find(name);
  if (found == entry.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  into = found->get<std::string>();
  return true;
}

std::optional<Credential> parse_entry(const Json& entry, std::string_view source) {
  if (!entry.is_object()) return std::nullopt;
  Credential credential;
  credential.source = std::string(source);
  std::string auth;
  if (!read_string(entry, "username", credential.username) ||
      !read_string(entry, "password", credential.password) ||
      !read_string(entry, "identitytoken", credential.identity_token) ||
      !read_string(entry, "registrytoken", credential.registry_token) ||
      !read_string(entry, "auth", auth)) {
    return std::nullopt;
  }
  if (!auth.empty()) {
    const Result<std::string> decoded = base64_decode(auth);
    if (!decoded) return std::nullopt;
    const std::size_t colon = decoded->find(':');
    if (colon == std::string::npos) return std::nullopt;
    credential.username = decoded->substr(0, colon);
    credential.password = decoded->substr(colon + 1);
  }
  return credential;
}

std::string printable_host(std::string_view location) {
  return json_quote(location.substr(0, kMaxHostBytes));
}

}  // namespace

std::string identity_of(const std::vector<Credential>& credentials) {
  std::string identity;
  for (const Credential& credential : credentials) identity += credential.identity() + " ";
  return identity;
}

std::string Credential::identity() const {
  if (anonymous()) return "anonymous";
  if (!login.empty()) return "login " + login;
  // Lengths first, so that no two different credentials give the same bytes.
  std::string bytes;
  for (const std::string* part : {&username, &password, &identity_token, &registry_token}) {
    bytes.append(std::to_string(part->size())).append(":").append(*part);
  }
  return sha256_hex(bytes);
}

Result<Keyring> Keyring::parse_docker_config_json(std::string_view json, std::string_view source,
                                                  std::vector<std::string>* skipped) {
  return parse(json, source, "auths", skipped);
}

Result<Keyring> Keyring::parse_docker_cfg(std::string_view json, std::string_view source,
                                          std::vector<std::string>* skipped) {
  return parse(json, source, "", skipped);
}

Result<Keyring> Keyring::parse(std::string_view json, std::string_view source,
                               const std::string& member, std::vector<std::string>* skipped) {
  const std::string what(source);
  if (json.size() > kMaxConfigBytes) return fail(ErrorKind::kInvalid, what + ": over 1 MiB");
  // Without exceptions: their text would quote the secret.
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return fail(ErrorKind::kInvalid, what + ": not a JSON object");
  const Json* entries = &document;
  if (!member.empty()) {
    const auto found = document.find(member);
    if (found == document.end() || !found->is_object()) {
      return fail(ErrorKind::kInvalid, what + ": no object \"" + member + "\"");
    }
    entries = &*found;
  }

  Keyring keyring;
  for (const auto& [location, value] : entries->items()) {
    const std::optional<Location> place = parse_location(location);
    std::optional<Credential> credential = place ? parse_entry(value, source) : std::nullopt;
    if (!credential) {
      if (skipped != nullptr) skipped->push_back(printable_host(location));
      continue;
    }
    // What a credential helper leaves behind: an entry that holds nothing.
    if (credential->anonymous()) continue;
    keyring.entries_.push_back(
        Entry{.host = place->host, .path = place->path, .credential = std::move(*credential)});
  }
  return keyring;
}

void Keyring::append(const Keyring& other) {
  entries_.insert(entries_.end(), other.entries_.begin(), other.entries_.end());
}

std::vector<Credential> Keyring::lookup(const image::Reference& reference) const {
  if (entries_.empty()) return {};
  const std::string target = std::string("/").append(reference.repository());
  std::vector<const Entry*> found;
  for (const Entry& entry : entries_) {
    if (host_matches(entry.host, reference.registry()) && target.starts_with(entry.path)) {
      found.push_back(&entry);
    }
  }
  if (found.empty() && reference.registry() == kDockerHub) {
    for (const Entry& entry : entries_) {
      if (entry.host == kDockerHubConfigHost && entry.path.empty()) found.push_back(&entry);
    }
  }
  // Longer paths sort behind their prefixes and '*' before every letter, so the reverse order is:
  // the most specific first.
  std::ranges::stable_sort(
      found, [](const Entry* a, const Entry* b) { return a->host + a->path > b->host + b->path; });

  std::vector<Credential> credentials;
  std::set<std::string> seen;
  for (const Entry* entry : found) {
    if (seen.insert(entry->credential.identity()).second) credentials.push_back(entry->credential);
  }
  return credentials;
}

}  // namespace tidemark::registry
