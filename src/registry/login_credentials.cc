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

void LoginCredentials::replace(std::shared_ptr<LoginSource> logins) {
  const std::lock_guard lock(mutex_);
  logins_.swap(logins);  // the old one is released outside the lock
}

std::shared_ptr<LoginSource> LoginCredentials::source_of(Login login) const {
  if (login == Login::kNone) return nullptr;
  const std::lock_guard lock(mutex_);
  return logins_;
}

template <typename Ask>
auto LoginCredentials::ask_with_credentials(const Query& query, Deadline deadline,
                                            const std::stop_token& stop, Ask ask)
    -> std::invoke_result_t<Ask, const Query&> {
  const std::string& registry = query.reference.registry();
  const Login login = endpoints_.options_of(registry)->login;
  const std::shared_ptr<LoginSource> logins = source_of(login);
  if (logins == nullptr) return ask(query);
  auto credential =
      logins->login(login, registry, deadline.at_most(deadline.remaining() / 2), stop);
  if (credential) {
    return ask(with(query, std::move(*credential)));
  }
  auto result = ask(query);
  if (!result && is_refusal(result.error().kind)) {
    const Error& cause = credential.error();
    result.error().message += "; login " + std::string(to_string(login)) + ": " + cause.message;
    if (cause.retryable()) result.error().kind = cause.kind;
  }
  return result;
}

Result<Resolution> LoginCredentials::resolve(const Query& query, Deadline deadline,
                                             std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.resolve(with_them, deadline, stop);
  });
}

Result<TagList> LoginCredentials::tags(const Query& query, Deadline deadline,
                                       std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.tags(with_them, deadline, stop);
  });
}

Result<Creation> LoginCredentials::created(const Query& query, Deadline deadline,
                                           std::stop_token stop) {
  return ask_with_credentials(query, deadline, stop, [&](const Query& with_them) {
    return next_.created(with_them, deadline, stop);
  });
}

std::optional<Result<Resolution>> LoginCredentials::known(const Query& query) {
  const std::string& registry = query.reference.registry();
  const Login login = endpoints_.options_of(registry)->login;
  const std::shared_ptr<LoginSource> logins = source_of(login);
  if (logins == nullptr) return next_.known(query);
  auto credential = logins->known(login, registry);
  if (!credential) return std::nullopt;
  return next_.known(with(query, std::move(*credential)));
}

}  // namespace tidemark::registry
