#include "registry/login_credentials.h"

#include <string>
#include <utility>

namespace tidemark::registry {
namespace {

Query with(const Query& query, Credential credential) {
  Query out = query;
  out.credentials.push_back(std::move(credential));
  return out;
}

bool is_refusal(ErrorKind kind) {
  return kind == ErrorKind::kUnauthorized || kind == ErrorKind::kForbidden ||
         kind == ErrorKind::kNotFound;
}

}  // namespace

Result<Resolution> LoginCredentials::resolve(const Query& query, Deadline deadline,
                                             std::stop_token stop) {
  const std::string& registry = query.reference.registry();
  const Login login = endpoints_.login_of(registry);
  if (login == Login::kNone) return next_.resolve(query, deadline, std::move(stop));
  auto credential =
      logins_.login(login, registry, deadline.at_most(deadline.remaining() / 2), stop);
  if (credential) {
    return next_.resolve(with(query, std::move(*credential)), deadline, std::move(stop));
  }
  auto result = next_.resolve(query, deadline, std::move(stop));
  if (!result && is_refusal(result.error().kind)) {
    const Error& cause = credential.error();
    result.error().message += "; login " + std::string(to_string(login)) + ": " + cause.message;
    if (cause.retryable()) result.error().kind = cause.kind;
  }
  return result;
}

std::optional<Result<Resolution>> LoginCredentials::known(const Query& query) {
  const std::string& registry = query.reference.registry();
  const Login login = endpoints_.login_of(registry);
  if (login == Login::kNone) return next_.known(query);
  auto credential = logins_.known(login, registry);
  if (!credential) return std::nullopt;
  return next_.known(with(query, std::move(*credential)));
}

}  // namespace tidemark::registry
