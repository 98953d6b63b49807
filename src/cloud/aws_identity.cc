#include "cloud/aws_identity.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/text.h"
#include "cloud/hosts.h"
#include "cloud/sts_answer.h"

namespace tidemark::cloud {
namespace {

constexpr std::string_view kInstance = "http://169.254.169.254/latest/";
// Long enough for the two requests that follow.
constexpr std::string_view kInstanceTokenSeconds = "60";
constexpr std::string_view kWebIdentityStep = "STS AssumeRoleWithWebIdentity";
constexpr std::string_view kContainerStep = "the container's credential endpoint";
constexpr std::string_view kInstanceStep = "the instance's metadata";
// IAM's own bound of a role's name.
constexpr std::size_t kMaxRoleNameBytes = 64;
// What AWS' SDKs take over http: EKS Pod Identity (both families), ECS, and loopback; by address,
// for a name would be looked up.
constexpr std::array<std::string_view, 5> kContainerHosts = {"169.254.170.23", "fd00:ec2::23",
                                                             "169.254.170.2", "127.0.0.1", "::1"};

std::string variable(const Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

bool is_role_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxRoleNameBytes && is_secret(text) &&
         text.find_first_of("/?#%&\"\\<>") == std::string_view::npos;
}

}  // namespace

AwsIdentity::AwsIdentity(net::HttpClient& metadata, net::HttpClient& api, const Clock& clock,
                         const Logger& log)
    : metadata_(metadata), api_(api), clock_(clock), cache_("AWS credentials", clock, log) {}

Result<AwsIdentity::Container> AwsIdentity::read_container(const Environment& environment,
                                                           std::string url) {
  const auto parsed = net::Url::parse(url);
  if (!parsed || parsed->tls ||
      std::ranges::find(kContainerHosts, parsed->host) == kContainerHosts.end()) {
    return fail(ErrorKind::kInvalid,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI: names no endpoint of this machine");
  }
  return Container{.url = std::move(url),
                   .token_file = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
                   .token = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN")};
}

Result<std::unique_ptr<AwsIdentity>> AwsIdentity::make(const Environment& environment,
                                                       net::HttpClient& metadata,
                                                       net::HttpClient& api, const Clock& clock,
                                                       const Logger& log) {
  auto identity = std::unique_ptr<AwsIdentity>(new AwsIdentity(metadata, api, clock, log));
  const auto get = [&](const std::string& name) { return variable(environment, name); };
  if (const std::string id = get("AWS_ACCESS_KEY_ID"), key = get("AWS_SECRET_ACCESS_KEY");
      !id.empty() && !key.empty()) {
    identity->fixed_ = AwsCredentials{
        .access_key_id = id, .secret_access_key = key, .session_token = get("AWS_SESSION_TOKEN")};
  }
  if (const std::string file = get("AWS_WEB_IDENTITY_TOKEN_FILE"), role = get("AWS_ROLE_ARN");
      !file.empty() && !role.empty()) {
    std::string region = get("AWS_REGION");
    if (region.empty()) region = get("AWS_DEFAULT_REGION");
    if (!region.empty() && !is_aws_region(region)) {
      return fail(ErrorKind::kInvalid, "AWS_REGION: is not a region's name");
    }
    std::string session = get("AWS_ROLE_SESSION_NAME");
    if (session.empty()) session = "tidemark";
    identity->web_identity_ = WebIdentity{
        .token_file = file, .role = role, .session = std::move(session), .region = region};
  }
  std::string url = get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string path = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty()) {
    url = "http://169.254.170.2" + path;
  }
  if (!url.empty()) {
    auto container = read_container(environment, std::move(url));
    if (!container) return fail(std::move(container.error()));
    identity->container_ = std::move(*container);
  }
  identity->ask_instance_ = get("AWS_EC2_METADATA_DISABLED") != "true";
  return identity;
}

Result<AwsCredentials> AwsIdentity::get(std::string_view region, Deadline deadline,
                                        const std::stop_token& stop) {
  if (fixed_) return *fixed_;
  return cache_.get("this program", deadline, stop, [&] { return fetch(region, deadline, stop); });
}

AwsIdentity::Fetched AwsIdentity::fetch(std::string_view region, Deadline deadline,
                                        const std::stop_token& stop) {
  if (web_identity_) return from_web_identity(region, deadline, stop);
  if (container_) return from_container(deadline, stop);
  if (ask_instance_) return from_instance(deadline, stop);
  return fail(ErrorKind::kNotFound, "AWS gives this program no credentials");
}

AwsIdentity::Fetched AwsIdentity::from_web_identity(std::string_view region, Deadline deadline,
                                                    const std::stop_token& stop) {
  auto token = read_token_file(web_identity_->token_file);
  if (!token) return fail(std::move(token.error()));
  const std::string place =
      web_identity_->region.empty() ? std::string(region) : web_identity_->region;
  const auto body =
      ask(api_,
          form_request("https://sts." + place + "." + std::string(aws_domain(place)) + "/",
                       {{"Action", "AssumeRoleWithWebIdentity"},
                        {"Version", "2011-06-15"},
                        {"RoleArn", web_identity_->role},
                        {"RoleSessionName", web_identity_->session},
                        {"WebIdentityToken", *token}}),
          kWebIdentityStep, deadline, stop);
  if (!body) return fail(body.error());
  auto answer = parse_sts_answer(*body);
  if (!answer) return fail(std::move(answer.error()));
  const auto lifetime = lifetime_until(answer->expiration, clock_.wall_now(), kWebIdentityStep);
  if (!lifetime) return fail(lifetime.error());
  return Expiring<AwsCredentials>{.value = std::move(answer->credentials), .lifetime = *lifetime};
}

AwsIdentity::Fetched AwsIdentity::from_container(Deadline deadline, const std::stop_token& stop) {
  net::Request request = get_request(container_->url);
  std::string token = container_->token;
  if (!container_->token_file.empty()) {
    auto read = read_token_file(container_->token_file);
    if (!read) return fail(std::move(read.error()));
    token = std::move(*read);
  }
  if (!token.empty()) request.headers.push_back({"Authorization", std::move(token)});
  const auto body = ask(metadata_, std::move(request), kContainerStep, deadline, stop);
  if (!body) return fail(body.error());
  return parse(*body, kContainerStep);
}

AwsIdentity::Fetched AwsIdentity::from_instance(Deadline deadline, const std::stop_token& stop) {
  const std::string base(kInstance);
  net::Request session = get_request(base + "api/token");
  session.method = "PUT";
  session.headers.push_back(
      {"X-aws-ec2-metadata-token-ttl-seconds", std::string(kInstanceTokenSeconds)});
  const auto token = ask(metadata_, std::move(session), kInstanceStep, deadline, stop);
  if (!token) return fail(token.error());
  if (!is_secret(*token)) {
    return fail(ErrorKind::kInvalid, std::string(kInstanceStep) + ": an answer that is no token");
  }
  const auto read = [&](const std::string& path) {
    net::Request request = get_request(base + "meta-data/iam/security-credentials/" + path);
    request.headers.push_back({"X-aws-ec2-metadata-token", *token});
    return ask(metadata_, std::move(request), kInstanceStep, deadline, stop);
  };
  const auto roles = read("");
  if (!roles) return fail(roles.error());
  const std::string role(trimmed(std::string_view(*roles).substr(0, roles->find('\n'))));
  if (!is_role_name(role)) {
    return fail(ErrorKind::kInvalid, std::string(kInstanceStep) + ": names no role");
  }
  const auto body = read(net::percent_encode(role));
  if (!body) return fail(body.error());
  return parse(*body, kInstanceStep);
}

AwsIdentity::Fetched AwsIdentity::parse(std::string_view body, std::string_view step) const {
  const auto members = json_members(body, step);
  if (!members) return fail(members.error());
  auto id = secret_member(*members, "AccessKeyId", step);
  if (!id) return fail(std::move(id.error()));
  auto key = secret_member(*members, "SecretAccessKey", step);
  if (!key) return fail(std::move(key.error()));
  auto token = secret_member(*members, "Token", step);
  if (!token) return fail(std::move(token.error()));
  const auto until = secret_member(*members, "Expiration", step);
  if (!until) return fail(until.error());
  const auto time = parse_rfc3339(*until);
  if (!time) {
    return fail(ErrorKind::kInvalid, std::string(step) + ": Expiration is not a time");
  }
  const auto lifetime = lifetime_until(*time, clock_.wall_now(), step);
  if (!lifetime) return fail(lifetime.error());
  return Expiring<AwsCredentials>{.value = {.access_key_id = std::move(*id),
                                            .secret_access_key = std::move(*key),
                                            .session_token = std::move(*token)},
                                  .lifetime = *lifetime};
}

}  // namespace tidemark::cloud
