#include "cloud/ecr.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "cloud/hosts.h"
#include "cloud/step.h"

namespace tidemark::cloud {

struct EcrLogin::Service {
  std::string host;
  std::string region;
  std::string name;
  std::string target;
};

namespace {

using Json = nlohmann::json;

constexpr std::string_view kStep = "ECR GetAuthorizationToken";
// ECR public has its API in this region alone.
constexpr std::string_view kPublicRegion = "us-east-1";
constexpr const char* kPublicKey = "ecr-public";
// WallTime ends in 2262; this is in 2255.
constexpr double kLastSecond = 9'000'000'000;

std::string ecr_key(std::string_view region) { return "ecr " + std::string(region); }

std::unexpected<Error> not_ours(std::string_view host, std::string_view whose) {
  return fail(ErrorKind::kForbidden,
              std::string(host) + " is not a registry of " + std::string(whose));
}

std::unexpected<Error> unusable(std::string_view what) {
  return fail(ErrorKind::kInvalid, std::string(kStep) + ": " + std::string(what));
}

struct Granted {
  std::string username;
  std::string password;
  WallTime end;
};

// {"authorizationData": [{...}]}, of the public one {"authorizationData": {...}}
Result<Granted> parse(std::string_view body) {
  const Json document = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return unusable("the answer is not a JSON object");
  const auto list = document.find("authorizationData");
  if (list == document.end()) return unusable("the answer has no authorizationData");
  const bool is_list = list->is_array() && !list->empty();
  const Json& data = is_list ? list->front() : *list;
  if (!data.is_object()) return unusable("the answer has no authorizationData");
  const auto token = data.find("authorizationToken");
  const auto expires = data.find("expiresAt");
  if (token == data.end() || !token->is_string()) return unusable("the answer holds no token");
  if (expires == data.end() || !expires->is_number())
    return unusable("the answer has no expiresAt");
  const double end = std::floor(expires->get<double>());
  if (!(end > 0 && end < kLastSecond)) return unusable("expiresAt is not a time");
  const auto decoded = base64_decode(token->get_ref<const std::string&>());
  if (!decoded) return unusable("the token is not Base64");
  const std::size_t colon = decoded->find(':');
  if (colon == std::string::npos || !is_secret(decoded->substr(0, colon)) ||
      !is_secret(decoded->substr(colon + 1))) {
    return unusable("the token is not a user name and password");
  }
  return Granted{.username = decoded->substr(0, colon),
                 .password = decoded->substr(colon + 1),
                 .end = WallTime{std::chrono::seconds{static_cast<std::int64_t>(end)}}};
}

}  // namespace

Result<registry::Credential> EcrLogin::login(std::string_view host, Deadline deadline,
                                             const std::stop_token& stop) {
  const auto region = ecr_region(host);
  if (!region) return not_ours(host, "Amazon ECR");
  return get(ecr_key(*region),
             Service{.host = "api.ecr." + *region + "." + std::string(aws_domain(*region)),
                     .region = *region,
                     .name = "ecr",
                     .target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"},
             deadline, stop);
}

Result<registry::Credential> EcrLogin::login_public(std::string_view host, Deadline deadline,
                                                    const std::stop_token& stop) {
  if (!is_ecr_public(host)) return not_ours(host, "Amazon ECR Public");
  const std::string region(kPublicRegion);
  return get(kPublicKey,
             Service{.host = "api.ecr-public." + region + ".amazonaws.com",
                     .region = region,
                     .name = "ecr-public",
                     .target = "SpencerFrontendService.GetAuthorizationToken"},
             deadline, stop);
}

std::optional<registry::Credential> EcrLogin::known(std::string_view host) {
  const auto region = ecr_region(host);
  return region ? cache_.known(ecr_key(*region)) : std::nullopt;
}

std::optional<registry::Credential> EcrLogin::known_public(std::string_view host) {
  return is_ecr_public(host) ? cache_.known(kPublicKey) : std::nullopt;
}

Result<registry::Credential> EcrLogin::get(const std::string& key, const Service& service,
                                           Deadline deadline, const std::stop_token& stop) {
  return cache_.get(key, deadline, stop, [&] { return fetch(key, service, deadline, stop); });
}

Result<Expiring<registry::Credential>> EcrLogin::fetch(const std::string& key,
                                                       const Service& service, Deadline deadline,
                                                       const std::stop_token& stop) {
  const auto credentials = identity_.get(service.region, deadline, stop);
  if (!credentials) return fail(credentials.error());
  net::Request request = get_request("https://" + service.host + "/");
  request.method = "POST";
  request.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                     {"X-Amz-Target", service.target}};
  request.body = "{}";
  sign(request, *credentials,
       {.region = service.region, .service = service.name, .time = clock_.wall_now()});
  const auto body = ask(api_, std::move(request), kStep, deadline, stop);
  if (!body) return fail(body.error());
  auto granted = parse(*body);
  if (!granted) return fail(std::move(granted.error()));
  const auto lifetime = lifetime_until(granted->end, clock_.wall_now(), kStep);
  if (!lifetime) return fail(lifetime.error());
  return Expiring<registry::Credential>{.value = {.username = std::move(granted->username),
                                                  .password = std::move(granted->password),
                                                  .source = "login " + key,
                                                  .login = key},
                                        .lifetime = *lifetime};
}

}  // namespace tidemark::cloud
