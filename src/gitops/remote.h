// Remote: where a Git repository is, and what proves to it who asks.
//
// Purpose: the one reader of a repository's URL and of the Secret beside it, whose keys are those
// of Flux's GitRepository: `username` and `password`, or `bearerToken`; `identity`, `identity.pub`,
// `password` and `known_hosts` for SSH; `ca.crt` (or `caFile`), `tls.crt` and `tls.key` (or
// `certFile` and `keyFile`); and `signingKey`, an Ed25519 key of ssh-keygen's for commits.
// Thread-safety: values. Errors: kInvalid, with no secret in it. Source: Flux "GitRepository",
// spec.secretRef; gitcredentials(7).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/tls.h"

namespace tidemark::gitops {

struct Remote {
  std::string url;  // https://, http:// or ssh://; git@host:path is written as the last
  bool ssh() const { return url.starts_with("ssh://"); }

  // kInvalid for another scheme, a URL without a path, and one with a password in it.
  static Result<Remote> parse(std::string_view url);
};

struct GitCredentials {
  std::string username{};  // "" for SSH: the URL's, or git
  std::string password{};  // of the user, or of the SSH key
  std::string bearer_token{};
  std::string ssh_key{};         // PEM or OpenSSH's format
  std::string ssh_public_key{};  // "" where the library finds it in the key
  std::string known_hosts{};
  std::string ca_pem{};  // beside the system's roots
  std::optional<net::KeyPair> client_pair{};
  std::string signing_key{};

  bool operator==(const GitCredentials&) const = default;
};

// `data`: of a Secret, decoded. What it does not hold stays empty; kInvalid for half a pair.
Result<GitCredentials> read_git_secret(const std::map<std::string, std::string>& data);
// kInvalid where they cannot serve for this remote: SSH needs a key and known hosts.
Status check_credentials(const Remote& remote, const GitCredentials& credentials);

}  // namespace tidemark::gitops
