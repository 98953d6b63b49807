#include "sweeper/credentials.h"

#include <algorithm>
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

void PullCredentials::begin(Deadline deadline, std::stop_token stop) {
  deadline_ = deadline;
  stop_ = std::move(stop);
  began_ = clock_.steady_now();
  const auto too_old = [this](const auto& entry) {
    return !entry.second.keep || began_ - entry.second.at >= kTtl;
  };
  std::erase_if(sources_, too_old);
  std::erase_if(secrets_, too_old);
}

void PullCredentials::forget() {
  sources_.clear();
  secrets_.clear();
}

bool PullCredentials::refused(const std::string& pull_source) {
  const auto found = sources_.find(pull_source);
  if (found == sources_.end() || found->second.at >= began_) return false;
  for (const std::string& key : found->second.secrets) {
    const auto secret = secrets_.find(key);
    if (secret != secrets_.end() && secret->second.at < began_) secrets_.erase(secret);
  }
  sources_.erase(found);
  return true;
}

const PullCredentials::Loaded& PullCredentials::secret(const std::string& key,
                                                       const std::string& ns,
                                                       const std::string& name) {
  const auto [entry, is_new] = secrets_.try_emplace(key);
  Loaded& loaded = entry->second;
  if (!is_new) return loaded;
  loaded.at = clock_.steady_now();
  const std::string source = "secret " + key;
  const auto secret = kube::get_secret(*api_, ns, name, deadline_, stop_);
  auto keyring = secret ? registry::read_pull_secret(secret->type, secret->data, source)
                        : Result<registry::Keyring>(fail(within(source, secret.error())));
  if (keyring) {
    loaded.keyring = std::move(*keyring);
  } else {
    loaded.problem = keyring.error().message;
    loaded.keep = !keyring.error().retryable();
  }
  return loaded;
}

const PullCredentials::Source& PullCredentials::of(const Workload& workload) {
  const auto [found, is_new] = sources_.try_emplace(workload.pull_source());
  Entry& entry = found->second;
  if (!is_new || api_ == nullptr) return entry.source;
  entry.at = clock_.steady_now();
  std::vector<std::string> names = workload.pull_secrets;
  if (names.empty()) {
    auto account =
        kube::get_service_account(*api_, workload.ns, workload.service_account, deadline_, stop_);
    if (account) {
      names = std::move(account->image_pull_secrets);
    } else {
      append_problem(entry.source.problems, "service account " + workload.ns + "/" +
                                                workload.service_account + ": " +
                                                account.error().message);
      entry.keep = !account.error().retryable();
    }
  }
  for (const std::string& name : names) {
    const std::string& key = entry.secrets.emplace_back(workload.ns + "/" + name);
    const Loaded& loaded = secret(key, workload.ns, name);
    entry.source.keyring.append(loaded.keyring);
    append_problem(entry.source.problems, loaded.problem);
    entry.keep = entry.keep && loaded.keep;
    entry.at = std::min(entry.at, loaded.at);
  }
  return entry.source;
}

}  // namespace tidemark::sweeper
