// SshSigningKey: signs commits as git does with gpg.format=ssh.
//
// Purpose: an Ed25519 key as ssh-keygen writes it, without a passphrase; GitHub, GitLab, Gitea and
// `git verify-commit` verify what it signs. OpenPGP keys are not read.
// Thread-safety: immutable. Ownership: of the key's bytes, which are wiped with it. Errors:
// kInvalid, with nothing of the key. Source: OpenSSH PROTOCOL.sshsig, PROTOCOL.key; RFC 8709.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace tidemark::gitops {

class SshSigningKey {
 public:
  // The file that `ssh-keygen -t ed25519 -N ''` makes.
  static Result<SshSigningKey> parse(std::string_view file);

  // The armoured signature, for the header `gpgsig`.
  Result<std::string> sign(std::string_view message) const;

 private:
  SshSigningKey(std::shared_ptr<evp_pkey_st> key, std::string public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}

  std::shared_ptr<evp_pkey_st> key_;
  std::string public_key_;  // as it goes over the wire
};

}  // namespace tidemark::gitops
