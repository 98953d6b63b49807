#include "gitops/remote.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/text.h"
#include "net/http.h"

namespace tidemark::gitops {
namespace {

constexpr std::string_view kSsh = "ssh://";
constexpr std::size_t kMaxUrlBytes = 2048;

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// "git@host:path" as "ssh://git@host/path": scp's form, which has no port.
std::optional<std::string> from_scp_form(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.substr(0, colon).find('/') != std::string_view::npos)
    return std::nullopt;
  if (text.substr(colon).starts_with("://")) return std::nullopt;
  std::string_view path = text.substr(colon + 1);
  if (path.starts_with('/')) path.remove_prefix(1);
  return std::string(kSsh) + std::string(text.substr(0, colon)) + "/" + std::string(path);
}

Status check_ssh(std::string_view url) {
  url.remove_prefix(kSsh.size());
  const std::size_t slash = url.find('/');
  const std::string_view authority = url.substr(0, slash);
  const std::size_t at = authority.find('@');
  if (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos) {
    return fail(ErrorKind::kInvalid, "has a password in it, which belongs into its Secret");
  }
  const std::string_view host = at == std::string_view::npos ? authority : authority.substr(at + 1);
  if (host.empty() || host.starts_with('-') || slash == std::string_view::npos ||
      url.substr(slash).size() < 2) {
    return fail(ErrorKind::kInvalid, "needs a host and a path");
  }
  return {};
}

std::string first_of(const std::map<std::string, std::string>& data,
                     std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = data.find(key); found != data.end()) return found->second;
  }
  return {};
}

}  // namespace

Result<Remote> Remote::parse(std::string_view url) {
  if (url.size() > kMaxUrlBytes || !is_plain(url)) {
    return fail(ErrorKind::kInvalid, "is no URL");
  }
  if (auto scp = from_scp_form(url)) {
    if (auto checked = check_ssh(*scp); !checked) return fail(checked.error());
    return Remote{.url = std::move(*scp)};
  }
  if (url.starts_with(kSsh)) {
    if (auto checked = check_ssh(url); !checked) return fail(checked.error());
    return Remote{.url = std::string(url)};
  }
  const auto parsed = net::Url::parse(url);
  if (!parsed || parsed->target.size() < 2) {
    return fail(
        ErrorKind::kInvalid,
        "must be https://host/path, ssh://git@host/path or git@host:path, with no password");
  }
  std::string whole(url);
  while (whole.ends_with('/')) whole.pop_back();
  return Remote{.url = std::move(whole)};
}

Result<GitCredentials> read_git_secret(const std::map<std::string, std::string>& data) {
  GitCredentials out{.username = first_of(data, {"username"}),
                     .password = first_of(data, {"password"}),
                     .bearer_token = std::string(trimmed(first_of(data, {"bearerToken"}))),
                     .ssh_key = first_of(data, {"identity"}),
                     .ssh_public_key = first_of(data, {"identity.pub"}),
                     .known_hosts = first_of(data, {"known_hosts"}),
                     .ca_pem = first_of(data, {"ca.crt", "caFile"}),
                     .client_pair = std::nullopt,
                     .signing_key = first_of(data, {"signingKey"})};
  net::KeyPair pair{.certificate_pem = first_of(data, {"tls.crt", "certFile"}),
                    .key_pem = first_of(data, {"tls.key", "keyFile"})};
  if (pair.certificate_pem.empty() != pair.key_pem.empty()) {
    return fail(ErrorKind::kInvalid, "a client's certificate needs its key, and a key it");
  }
  if (!pair.key_pem.empty()) out.client_pair = std::move(pair);
  // A mounted Secret, or one made with echo, ends with a newline that no password has.
  while (out.password.ends_with('\n')) out.password.pop_back();
  while (out.username.ends_with('\n')) out.username.pop_back();
  return out;
}

Status check_credentials(const Remote& remote, const GitCredentials& credentials) {
  if (!remote.ssh()) return {};
  if (credentials.ssh_key.empty()) {
    return fail(ErrorKind::kInvalid, "SSH needs a key: `identity` in its Secret");
  }
  if (trimmed(credentials.known_hosts).empty()) {
    return fail(ErrorKind::kInvalid,
                "SSH needs the server's keys: `known_hosts` in its Secret (ssh-keyscan HOST)");
  }
  return {};
}

}  // namespace tidemark::gitops
