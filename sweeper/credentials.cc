#include "sweeper/credentials.h"

#include <utility>

#include "kube/secrets.h"

namespace tidemark::sweeper {
namespace {

// Source: core/v1 SecretTypeDockerConfigJson and SecretTypeDockercfg.
constexpr std::string_view kDockerConfigJson = ".dockerconfigjson";
constexpr std::string_view kDockerCfg = ".dockercfg";

Result<registry::Keyring> keyring_of(const kube::Secret& secret, const std::string& source) {
  if (const auto data = secret.data.find(std::string(kDockerConfigJson));
      data != secret.data.end()) {
    return registry::Keyring::parse_docker_config_json(data->second, source);
  }
  if (const auto data = secret.data.find(std::string(kDockerCfg)); data != secret.data.end()) {
    return registry::Keyring::parse_docker_cfg(data->second, source);
  }
  return fail(ErrorKind::kInvalid, "holds no docker configuration");
}

void append_problem(std::string& problems, const std::string& problem) {
  if (problem.empty()) return;
  if (!problems.empty()) problems += "; ";
  problems += problem;
}

}  // namespace

const PullCredentials::Loaded& PullCredentials::secret(const std::string& ns,
                                                       const std::string& name) {
  const std::string source = "secret " + ns + "/" + name;
  const auto [entry, is_new] = secrets_.try_emplace(source);
  if (!is_new) return entry->second;
  const auto secret = kube::get_secret(api_, ns, name, deadline_, stop_);
  if (!secret) {
    entry->second.problem = source + ": " + secret.error().message;
    return entry->second;
  }
  auto keyring = keyring_of(*secret, source);
  if (keyring) {
    entry->second.keyring = std::move(*keyring);
  } else {
    entry->second.problem = source + ": " + keyring.error().message;
  }
  return entry->second;
}

const PullCredentials::Source& PullCredentials::of(const Workload& workload) {
  const auto [entry, is_new] = sources_.try_emplace(workload.pull_source());
  Source& source = entry->second;
  if (!is_new) return source;
  std::vector<std::string> names = workload.pull_secrets;
  if (names.empty()) {
    auto account =
        kube::get_service_account(api_, workload.ns, workload.service_account, deadline_, stop_);
    if (account) {
      names = std::move(account->image_pull_secrets);
    } else {
      append_problem(source.problems, "service account " + workload.ns + "/" +
                                          workload.service_account + ": " +
                                          account.error().message);
    }
  }
  for (const std::string& name : names) {
    const Loaded& loaded = secret(workload.ns, name);
    source.keyring.append(loaded.keyring);
    append_problem(source.problems, loaded.problem);
  }
  return source;
}

}  // namespace tidemark::sweeper
