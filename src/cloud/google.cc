#include "cloud/google.h"

#include <string>
#include <utility>

#include "cloud/hosts.h"
#include "cloud/step.h"

namespace tidemark::cloud {
namespace {

constexpr const char* kUrl =
    "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token";
constexpr std::string_view kStep = "Google's metadata server";
constexpr const char* kKey = "google";

Result<Expiring<registry::Credential>> fetch(net::HttpClient& metadata, Deadline deadline,
                                             const std::stop_token& stop) {
  net::Request request = get_request(kUrl);
  request.headers.push_back({"Metadata-Flavor", "Google"});
  const auto body = ask(metadata, std::move(request), kStep, deadline, stop);
  if (!body) return fail(body.error());
  const auto members = json_members(*body, kStep);
  if (!members) return fail(members.error());
  auto token = secret_member(*members, "access_token", kStep);
  if (!token) return fail(std::move(token.error()));
  const auto seconds = members->find("expires_in");
  const auto lifetime =
      lifetime_of_seconds(seconds == members->end() ? "" : seconds->second, kStep);
  if (!lifetime) return fail(lifetime.error());
  return Expiring<registry::Credential>{.value = {.username = "oauth2accesstoken",
                                                  .password = std::move(*token),
                                                  .source = "login google",
                                                  .login = kKey},
                                        .lifetime = *lifetime};
}

}  // namespace

Result<registry::Credential> GoogleLogin::login(std::string_view host, Deadline deadline,
                                                const std::stop_token& stop) {
  if (!is_google(host)) {
    return fail(ErrorKind::kForbidden, std::string(host) + " is not a registry of Google's");
  }
  return cache_.get(kKey, deadline, stop, [&] { return fetch(metadata_, deadline, stop); });
}

std::optional<registry::Credential> GoogleLogin::known(std::string_view host) {
  return is_google(host) ? cache_.known(kKey) : std::nullopt;
}

}  // namespace tidemark::cloud
