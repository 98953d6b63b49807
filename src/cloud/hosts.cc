#include "cloud/hosts.h"

#include <algorithm>
#include <array>

namespace tidemark::cloud {
namespace {

using registry::Login;

constexpr std::string_view kEcrPublic = "public.ecr.aws";
constexpr std::string_view kEcrMiddle = ".dkr.ecr.";
constexpr std::size_t kAccountDigits = 12;
// The longest today has 14 ("ap-southeast-1", "us-gov-east-1").
constexpr std::size_t kMaxRegionBytes = 32;
constexpr std::size_t kMaxLabelBytes = 63;

constexpr std::array kAzureClouds = {
    AzureCloud{.registry_domain = ".azurecr.io", .authority = "login.microsoftonline.com"},
    AzureCloud{.registry_domain = ".azurecr.cn", .authority = "login.chinacloudapi.cn"},
    AzureCloud{.registry_domain = ".azurecr.us", .authority = "login.microsoftonline.us"},
};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= kMaxLabelBytes && text.front() != '-' &&
         text.back() != '-' &&
         std::ranges::all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool is_label_of(std::string_view host, std::string_view domain) {
  return host.ends_with(domain) && is_label(host.substr(0, host.size() - domain.size()));
}

}  // namespace

std::string_view aws_domain(std::string_view region) {
  return region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

bool is_aws_region(std::string_view text) {
  return is_label(text) && text.size() <= kMaxRegionBytes && is_lower(text.front()) &&
         text.find('-') != std::string_view::npos;
}

std::optional<std::string> ecr_region(std::string_view host) {
  if (host.size() <= kAccountDigits) return std::nullopt;
  if (!std::ranges::all_of(host.substr(0, kAccountDigits), is_digit)) return std::nullopt;
  std::string_view rest = host.substr(kAccountDigits);
  if (!rest.starts_with(kEcrMiddle)) return std::nullopt;
  rest.remove_prefix(kEcrMiddle.size());
  const std::string_view region = rest.substr(0, rest.find('.'));
  if (!is_aws_region(region)) return std::nullopt;
  rest.remove_prefix(region.size());
  if (rest.empty() || rest.substr(1) != aws_domain(region)) return std::nullopt;
  return std::string(region);
}

bool is_ecr_public(std::string_view host) { return host == kEcrPublic; }

bool is_google(std::string_view host) {
  return host == "gcr.io" || is_label_of(host, ".gcr.io") || is_label_of(host, ".pkg.dev");
}

const AzureCloud* azure_cloud(std::string_view host) {
  const auto* const found = std::ranges::find_if(kAzureClouds, [&](const AzureCloud& cloud) {
    return is_label_of(host, cloud.registry_domain);
  });
  return found == kAzureClouds.end() ? nullptr : found;
}

Status check_pattern(Login login, std::string_view pattern) {
  const auto ends = [&](std::string_view end) { return pattern.ends_with(end); };
  bool fits = true;
  switch (login) {
    case Login::kNone:
      break;
    case Login::kEcr:
      fits = pattern.find(kEcrMiddle) != std::string_view::npos &&
             (ends(".amazonaws.com") || ends(".amazonaws.com.cn"));
      break;
    case Login::kEcrPublic:
      fits = is_ecr_public(pattern);
      break;
    case Login::kGoogle:
      fits = pattern == "gcr.io" || ends(".gcr.io") || ends(".pkg.dev");
      break;
    case Login::kAzure:
      fits = std::ranges::any_of(
          kAzureClouds, [&](const AzureCloud& cloud) { return ends(cloud.registry_domain); });
      break;
  }
  if (fits) return {};
  return fail(ErrorKind::kInvalid, "is " + std::string(registry::to_string(login)) + ", and " +
                                       std::string(pattern) + " names none of its hosts");
}

}  // namespace tidemark::cloud
