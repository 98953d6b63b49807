#include "registry/login.h"

#include <array>
#include <string>

namespace tidemark::registry {
namespace {

constexpr std::array kAll = {Login::kNone, Login::kEcr, Login::kEcrPublic, Login::kGoogle,
                             Login::kAzure};

}  // namespace

std::string_view to_string(Login login) {
  switch (login) {
    case Login::kNone:
      return "none";
    case Login::kEcr:
      return "ecr";
    case Login::kEcrPublic:
      return "ecr-public";
    case Login::kGoogle:
      return "google";
    case Login::kAzure:
      return "azure";
  }
  return "none";
}

Result<Login> parse_login(std::string_view text) {
  for (const Login login : kAll) {
    if (text == to_string(login)) return login;
  }
  return fail(ErrorKind::kInvalid, "must be none, ecr, ecr-public, google or azure");
}

}  // namespace tidemark::registry
