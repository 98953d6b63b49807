#include "registry/authorizer.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "registry/challenge.h"

namespace tidemark::registry {
namespace {

constexpr std::string_view kBearer = "Bearer ";

std::string usual_scope(const Question& question) {
  return "repository:" + question.repository + ":pull";
}

std::string repository_key(const Question& question) {
  return question.endpoint.name + "/" + question.repository;
}

std::unexpected<Error> unauthorized(std::string message) {
  return fail(
      Error{.kind = ErrorKind::kUnauthorized, .message = std::move(message), .http_status = 401});
}

bool has_password(const Credential& credential) {
  return !credential.username.empty() || !credential.password.empty();
}

bool is_refusal(const Error& error) {
  return error.kind == ErrorKind::kUnauthorized || error.kind == ErrorKind::kForbidden;
}

// Errors after which asking the registry itself may still help: its token server may have moved.
bool may_have_moved(const Error& error) {
  return error.kind == ErrorKind::kInvalid || error.kind == ErrorKind::kUnavailable ||
         error.kind == ErrorKind::kTls;
}

}  // namespace

Result<Authorization> Authorizer::before(const Question& question) {
  const Credential& credential = question.credential;
  if (!credential.registry_token.empty()) {
    if (!is_header_safe(credential.registry_token)) {
      return unauthorized("the registry token cannot be sent in a header");
    }
    return Authorization{.header = std::string(kBearer) + credential.registry_token, .final = true};
  }
  const std::optional<Known> known = recall(question);
  if (!known) return Authorization{};
  // A registry may serve some repositories to everybody and ask for credentials for others, so who
  // has none asks the registry itself.
  if (!known->bearer && !has_password(credential)) return Authorization{};
  auto authorization = authorize(question, *known, {});
  if (!authorization && credential.anonymous() && is_refusal(authorization.error())) {
    return Authorization{};
  }
  if (!authorization && may_have_moved(authorization.error())) {
    forget(question);
    return Authorization{};
  }
  return authorization;
}

Result<Authorization> Authorizer::after_refusal(const Question& question,
                                                const net::Headers& headers,
                                                const Authorization& sent) {
  if (!question.credential.registry_token.empty()) {
    return unauthorized("the registry refuses the registry token (401)");
  }
  const std::vector<Challenge> challenges = parse_challenges(headers);
  const auto bearer = std::ranges::find_if(challenges, [](const Challenge& challenge) {
    return challenge.scheme == "bearer" && !challenge.parameter("realm").empty();
  });
  const bool basic = std::ranges::any_of(
      challenges, [](const Challenge& challenge) { return challenge.scheme == "basic"; });

  Known known;
  if (bearer != challenges.end()) {
    auto realm = net::Url::parse(bearer->parameter("realm"));
    if (!realm) return fail(within("realm of the token server", realm.error()));
    if (!realm->tls && !question.endpoint.plain_http) {
      return fail(ErrorKind::kForbidden, "the realm of the token server is not https");
    }
    const std::string_view scope = bearer->parameter("scope");
    known = Known{.bearer = true,
                  .realm = std::move(*realm),
                  .service = std::string(bearer->parameter("service")),
                  .scope = scope == usual_scope(question) ? "" : std::string(scope)};
  } else if (!basic) {
    return unauthorized("the registry asks for no credentials that are known here (401)");
  }
  const std::optional<Known> before = recall(question);
  const bool same = before && before->bearer == known.bearer && before->service == known.service &&
                    before->scope == known.scope && before->realm.str() == known.realm.str();
  if (sent.final && same) {
    return unauthorized(question.credential.anonymous()
                            ? "unauthorized (401): there are no credentials for it"
                            : "unauthorized (401): the registry refuses the credentials");
  }
  remember(question, known);
  const std::string_view rejected = sent.header.starts_with(kBearer)
                                        ? std::string_view(sent.header).substr(kBearer.size())
                                        : std::string_view{};
  return authorize(question, known, rejected);
}

Result<Authorization> Authorizer::authorize(const Question& question, const Known& known,
                                            std::string_view rejected) {
  const Credential& credential = question.credential;
  if (!known.bearer) {
    if (!has_password(credential)) {
      return unauthorized("unauthorized (401): the registry asks for a user name and password");
    }
    return Authorization{.header = basic_authorization(credential), .final = true};
  }
  const bool at_home = known.realm.same_origin(question.endpoint.base);
  const TokenRequest request{
      .registry = question.reference.registry(),
      .endpoint = question.endpoint.name,
      .realm = known.realm,
      .service = known.service,
      .scope = known.scope.empty() ? usual_scope(question) : known.scope,
      .spacing = at_home ? question.endpoint.spacing : std::chrono::microseconds::zero()};
  auto token = tokens_.get(request, credential, rejected, question.deadline, question.stop);
  if (!token) return fail(token.error());
  return Authorization{.header = std::string(kBearer) + token->value, .final = token->fresh};
}

std::optional<Authorizer::Known> Authorizer::recall(const Question& question) {
  const std::lock_guard lock(mutex_);
  const Known* known = known_.find(repository_key(question));
  if (known == nullptr) known = known_.find(question.endpoint.name);
  return known == nullptr ? std::nullopt : std::optional(*known);
}

void Authorizer::remember(const Question& question, const Known& known) {
  const std::lock_guard lock(mutex_);
  if (known.scope.empty()) {
    known_.erase(repository_key(question));
    known_.put(question.endpoint.name, known);
  } else {
    known_.put(repository_key(question), known);
  }
}

void Authorizer::forget(const Question& question) {
  const std::lock_guard lock(mutex_);
  known_.erase(repository_key(question));
  known_.erase(question.endpoint.name);
}

}  // namespace tidemark::registry
