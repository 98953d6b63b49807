// The hosts that may get a cloud's token, and no others.
//
// Purpose: image names are attacker-chosen; a login is asked for by the registry in one of them, so
// what that registry is decides whether there is a login for it. Ports, capital letters and names
// around a cloud's own are refused.
// Thread-safety: pure functions. Errors: kInvalid for a pattern that no host of the cloud matches.
// Source: Amazon ECR user guide "Private registries" (aws_account_id.dkr.ecr.region.amazonaws.com),
// "ECR Public" (public.ecr.aws), Google "Artifact Registry: repository and image names", Azure
// "Container registry endpoints".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "registry/login.h"

namespace tidemark::cloud {

// A partition's own domain: "amazonaws.com", in China "amazonaws.com.cn".
std::string_view aws_domain(std::string_view region);
// "eu-west-1": what may stand in a host name of ours.
bool is_aws_region(std::string_view text);
// The region of "123456789012.dkr.ecr.eu-west-1.amazonaws.com".
std::optional<std::string> ecr_region(std::string_view host);

bool is_ecr_public(std::string_view host);

// gcr.io, *.gcr.io, *.pkg.dev
bool is_google(std::string_view host);

// The one cloud that a registry of "<name>.azurecr.io" (.cn, .us) belongs to.
struct AzureCloud {
  std::string_view registry_domain;  // ".azurecr.io"
  std::string_view authority;        // host of the default login
};
// nullptr for anything else than one of Azure's registries. Lives for ever.
const AzureCloud* azure_cloud(std::string_view host);

// Whether a host pattern of a configuration names registries of this login.
Status check_pattern(registry::Login login, std::string_view pattern);

}  // namespace tidemark::cloud
