#include "sweeper/credentials.h"

#include <utility>

#include "base/text.h"
#include "kube/secrets.h"
#include "registry/pull_secret.h"

namespace tidemark::sweeper {
namespace {

void append_problem(std::string& problems, const std::string& problem) {
  if (!problem.empty()) append_part(problems, "; ", problem);
}

}  // namespace

const PullCredentials::Loaded& PullCredentials::secret(const std::string& ns,
                                                       const std::string& name) {
  const std::string source = "secret " + ns + "/" + name;
  const auto [entry, is_new] = secrets_.try_emplace(source);
  if (!is_new) return entry->second;
  const auto secret = kube::get_secret(*api_, ns, name, deadline_, stop_);
  auto keyring = secret ? registry::read_pull_secret(secret->type, secret->data, source)
                        : Result<registry::Keyring>(fail(within(source, secret.error())));
  if (keyring) {
    entry->second.keyring = std::move(*keyring);
  } else {
    entry->second.problem = keyring.error().message;
  }
  return entry->second;
}

const PullCredentials::Source& PullCredentials::of(const Workload& workload) {
  const auto [entry, is_new] = sources_.try_emplace(workload.pull_source());
  Source& source = entry->second;
  if (!is_new || api_ == nullptr) return source;
  std::vector<std::string> names = workload.pull_secrets;
  if (names.empty()) {
    auto account =
        kube::get_service_account(*api_, workload.ns, workload.service_account, deadline_, stop_);
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
