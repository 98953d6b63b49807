// LoginSource: credentials that a cloud gives a program for its own identity.
//
// Purpose: the seam between the registry protocol and the clouds: cloud/ implements it, a program
// passes it to make_resolver(), and this folder knows no vendor but by the name in a configuration.
// Thread-safety: all methods from any thread. Ownership: the caller of make_resolver() keeps it
// alive. Errors: kForbidden for a registry that is not the cloud's own, kNotFound where the program
// has no identity there, those of the requests that a login takes; never a byte of a token.
#pragma once

#include <optional>
#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "registry/credentials.h"

namespace tidemark::registry {

enum class Login { kNone, kEcr, kEcrPublic, kGoogle, kAzure };

// "none", "ecr", "ecr-public", "google", "azure".
std::string_view to_string(Login login);
// kInvalid names the ones there are.
Result<Login> parse_login(std::string_view text);

class LoginSource {
 public:
  virtual ~LoginSource() = default;
  // `registry` as a reference has it: "123456789012.dkr.ecr.eu-west-1.amazonaws.com".
  virtual Result<Credential> login(Login login, std::string_view registry, Deadline deadline,
                                   std::stop_token stop) = 0;
  // What login() would answer without asking anybody; nullopt where it would have to ask.
  virtual std::optional<Credential> known(Login login, std::string_view registry) = 0;
};

}  // namespace tidemark::registry
