#include "registry/token.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "registry/answer_error.h"

namespace tidemark::registry {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

constexpr std::string_view kClientId = "tidemark";

// The specification's default and, "for compatibility with older clients", its minimum.
constexpr seconds kDefaultLifetime{60};
// A token that claims to live longer is asked for again all the same: access may be withdrawn.
constexpr seconds kMaxLifetime{3600};
// Used up to 30 s before its end, so that it does not end between here and the registry's clock.
constexpr seconds kMaxMargin{30};

// The query or the form: names and values percent-encoded, joined by '&'.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += '&';
  out.append(name).append("=").append(net::percent_encode(value));
}

net::Request get_request(const TokenRequest& request) {
  std::string query;
  if (!request.service.empty()) append_field(query, "service", request.service);
  for (std::size_t at = 0; at < request.scope.size();) {
    const std::size_t end = std::min(request.scope.find(' ', at), request.scope.size());
    if (end > at) append_field(query, "scope", request.scope.substr(at, end - at));
    at = end + 1;
  }
  net::Request get{.method = "GET", .url = request.realm, .headers = {}, .body = {}};
  if (!query.empty()) {
    get.url.target += get.url.target.find('?') == std::string::npos ? "?" : "&";
    get.url.target += query;
  }
  return get;
}

net::Request refresh_request(const TokenRequest& request, const std::string& identity_token) {
  net::Request post{.method = "POST", .url = request.realm, .headers = {}, .body = {}};
  post.headers.push_back({"Content-Type", "application/x-www-form-urlencoded"});
  append_field(post.body, "grant_type", "refresh_token");
  if (!request.service.empty()) append_field(post.body, "service", request.service);
  append_field(post.body, "client_id", kClientId);
  if (!request.scope.empty()) append_field(post.body, "scope", request.scope);
  append_field(post.body, "refresh_token", identity_token);
  return post;
}

struct Granted {
  std::string value;
  seconds lifetime = kDefaultLifetime;
};

Result<Granted> parse_grant(const std::string& body) {
  // Without exceptions: their text would quote the token.
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return fail(ErrorKind::kInvalid, "the answer is not a JSON object");
  Granted granted;
  for (const char* name : {"access_token", "token"}) {
    const auto found = document.find(name);
    if (found != document.end() && found->is_string()) granted.value = found->get<std::string>();
    if (!granted.value.empty()) break;
  }
  if (granted.value.empty()) return fail(ErrorKind::kInvalid, "the answer holds no token");
  if (!is_header_safe(granted.value)) {
    return fail(ErrorKind::kInvalid, "the token cannot be sent in a header");
  }
  if (const auto found = document.find("expires_in");
      found != document.end() && found->is_number_integer()) {
    const std::int64_t wanted = found->is_number_unsigned()
                                    ? static_cast<std::int64_t>(std::min<std::uint64_t>(
                                          found->get<std::uint64_t>(), kMaxLifetime.count()))
                                    : found->get<std::int64_t>();
    granted.lifetime = std::clamp(seconds{wanted}, kDefaultLifetime, kMaxLifetime);
  }
  return granted;
}

}  // namespace

bool is_header_safe(std::string_view token) {
  return !token.empty() && token.size() <= kMaxTokenBytes &&
         std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string basic_authorization(const Credential& credential) {
  return "Basic " + base64_encode(credential.username + ":" + credential.password);
}

Result<Token> TokenCache::get(const TokenRequest& request, const Credential& credential,
                              std::string_view rejected, Deadline deadline,
                              const std::stop_token& stop) {
  const std::string key = request.endpoint + '\n' + request.realm.str() + '\n' + request.service +
                          '\n' + request.scope + '\n' + credential.identity();
  const auto look = [&]() -> std::optional<Result<Token>> {
    const std::lock_guard lock(mutex_);
    const Cached* cached = tokens_.find(key);
    if (cached == nullptr || cached->value == rejected ||
        clock_.steady_now() >= cached->good_until) {
      return std::nullopt;
    }
    return Token{.value = cached->value, .fresh = false};
  };
  if (auto token = look()) return *std::move(token);
  return flights_.run(key, deadline, stop, look,
                      [&] { return fetch(request, credential, key, deadline, stop); });
}

Result<Token> TokenCache::fetch(const TokenRequest& request, const Credential& credential,
                                const std::string& key, Deadline deadline,
                                const std::stop_token& stop) {
  if (request.spacing.count() > 0) {
    if (auto turn = pacer_.wait(request.endpoint, request.spacing, deadline, stop); !turn) {
      return fail(within("token server", std::move(turn.error())));
    }
  }
  const SteadyTime asked = clock_.steady_now();
  const bool refreshes = !credential.identity_token.empty();
  net::Request http =
      refreshes ? refresh_request(request, credential.identity_token) : get_request(request);
  http.headers.push_back({"Accept", "application/json"});
  http.max_body_bytes = kMaxTokenResponseBytes;
  const bool basic = !refreshes && !(credential.username.empty() && credential.password.empty());
  const std::string authorization = basic ? basic_authorization(credential) : std::string{};

  auto answer = exchange_.send(request.registry, Operation::kToken, std::move(http), authorization,
                               deadline, stop);
  if (!answer) return fail(within("token server", answer.error()));
  const net::Response& response = answer->response;
  if (response.status != 200) {
    Error error = answer_error(response, clock_.wall_now(), credential, authorization);
    // RFC 6749 answers 400 for a refresh token that is no longer good; and a token server that is
    // not there says nothing of the image.
    if (refreshes && response.status == 400) error.kind = ErrorKind::kUnauthorized;
    if (error.kind == ErrorKind::kNotFound) error.kind = ErrorKind::kInvalid;
    return fail(within("token server", std::move(error)));
  }
  auto granted = parse_grant(response.body);
  if (!granted) return fail(within("token server", granted.error()));

  const seconds margin = std::min(granted->lifetime / 5, kMaxMargin);
  const std::lock_guard lock(mutex_);
  tokens_.put(key,
              Cached{.value = granted->value, .good_until = asked + granted->lifetime - margin});
  return Token{.value = std::move(granted->value), .fresh = true};
}

}  // namespace tidemark::registry
