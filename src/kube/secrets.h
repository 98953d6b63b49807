// Secrets and service accounts, as far as pull credentials need them.
//
// Purpose: by-name reads only (never a list), decoded to plain bytes. The bytes go to
// registry::Keyring through the program: kube and registry never meet.
// Thread-safety: free functions over a thread-safe Api. Ownership: values; nothing is cached here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kube/api.h"

namespace tidemark::kube {

struct Secret {
  std::string ns;
  std::string name;
  std::string type;  // "kubernetes.io/dockerconfigjson", ...
  std::string resource_version;
  std::map<std::string, std::string> data;  // base64 decoded
};

Result<Secret> get_secret(Api& api, std::string_view ns, std::string_view name, Deadline deadline,
                          std::stop_token stop = {});

struct ServiceAccount {
  std::vector<std::string> image_pull_secrets;  // names, in order
};
Result<ServiceAccount> get_service_account(Api& api, std::string_view ns, std::string_view name,
                                           Deadline deadline, std::stop_token stop = {});

}  // namespace tidemark::kube
