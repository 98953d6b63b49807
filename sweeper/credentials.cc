#include "sweeper/credentials.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "base/worker_pool.h"
#include "kube/secrets.h"
#include "registry/pull_secret.h"

namespace tidemark::sweeper {
namespace {

void append_problem(std::string& problems, const std::string& problem) {
  if (!problem.empty()) append_part(problems, "; ", problem);
}

std::string key_of(const std::string& ns, const std::string& name) { return ns + "/" + name; }

using Named = std::pair<std::string, std::string>;  // namespace, name

// Reads that a connection serves before another one is worth its TLS handshake, which costs the API
// server as much as some of them.
constexpr std::size_t kReadsAConnection = 5;

// read() of every one of `wanted`, some at a time.
template <typename Value, typename Read>
std::map<std::string, Value> read_all(const std::map<std::string, Named>& wanted,
                                      std::size_t concurrency, Read read) {
  std::map<std::string, Value> out;
  if (wanted.empty()) return out;
  for (const auto& [key, named] : wanted) out.try_emplace(key);
  {
    const std::size_t worth = (wanted.size() + kReadsAConnection - 1) / kReadsAConnection;
    WorkerPool pool(std::clamp<std::size_t>(concurrency, 1, worth), wanted.size());
    for (auto& [key, value] : out) {
      // It takes all of them: the queue holds as many.
      (void)pool.submit([&value, &read, &named = wanted.at(key)] { value = read(named); });
    }
  }  // all are read
  return out;
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
  std::erase_if(accounts_, too_old);
  std::erase_if(secrets_, too_old);
}

void PullCredentials::forget() {
  sources_.clear();
  accounts_.clear();
  secrets_.clear();
}

bool PullCredentials::refused(const std::string& pull_source) {
  const auto found = sources_.find(pull_source);
  if (found == sources_.end() || found->second.at >= began_) return false;
  for (const std::string& key : found->second.secrets) {
    const auto secret = secrets_.find(key);
    if (secret != secrets_.end() && secret->second.at < began_) secrets_.erase(secret);
  }
  const auto account = accounts_.find(found->second.account);
  if (account != accounts_.end() && account->second.at < began_) accounts_.erase(account);
  sources_.erase(found);
  return true;
}

PullCredentials::Account PullCredentials::read_account(const std::string& ns,
                                                       const std::string& name) const {
  Account account{.secrets = {}, .problem = {}, .at = clock_.steady_now()};
  auto found = kube::get_service_account(*api_, ns, name, deadline_, stop_);
  if (found) {
    account.secrets = std::move(found->image_pull_secrets);
  } else {
    account.problem = "service account " + ns + "/" + name + ": " + found.error().message;
    account.keep = !found.error().retryable();
  }
  return account;
}

PullCredentials::Loaded PullCredentials::read_secret(const std::string& ns,
                                                     const std::string& name) const {
  Loaded loaded{.keyring = {}, .problem = {}, .at = clock_.steady_now()};
  const std::string source = "secret " + key_of(ns, name);
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

const PullCredentials::Account& PullCredentials::account(const Workload& workload) {
  const std::string key = key_of(workload.ns, workload.service_account);
  const auto found = accounts_.find(key);
  if (found != accounts_.end()) return found->second;
  return accounts_.emplace(key, read_account(workload.ns, workload.service_account)).first->second;
}

const PullCredentials::Loaded& PullCredentials::secret(const std::string& ns,
                                                       const std::string& name) {
  const std::string key = key_of(ns, name);
  const auto found = secrets_.find(key);
  if (found != secrets_.end()) return found->second;
  return secrets_.emplace(key, read_secret(ns, name)).first->second;
}

void PullCredentials::prefetch(const std::vector<const Workload*>& workloads,
                               std::size_t concurrency) {
  if (api_ == nullptr) return;
  std::map<std::string, Named> accounts;
  for (const Workload* workload : workloads) {
    const std::string key = key_of(workload->ns, workload->service_account);
    if (workload->pull_secrets.empty() && !accounts_.contains(key)) {
      accounts.try_emplace(key, workload->ns, workload->service_account);
    }
  }
  accounts_.merge(read_all<Account>(accounts, concurrency, [this](const Named& named) {
    return read_account(named.first, named.second);
  }));
  std::map<std::string, Named> secrets;
  for (const Workload* workload : workloads) {
    const auto& names =
        workload->pull_secrets.empty() ? account(*workload).secrets : workload->pull_secrets;
    for (const std::string& name : names) {
      const std::string key = key_of(workload->ns, name);
      if (!secrets_.contains(key)) secrets.try_emplace(key, workload->ns, name);
    }
  }
  secrets_.merge(read_all<Loaded>(secrets, concurrency, [this](const Named& named) {
    return read_secret(named.first, named.second);
  }));
}

const PullCredentials::Source& PullCredentials::of(const Workload& workload) {
  const auto [found, is_new] = sources_.try_emplace(workload.pull_source());
  Entry& entry = found->second;
  if (!is_new || api_ == nullptr) return entry.source;
  entry.at = clock_.steady_now();
  std::vector<std::string> names = workload.pull_secrets;
  if (names.empty()) {
    const Account& its = account(workload);
    names = its.secrets;
    append_problem(entry.source.problems, its.problem);
    entry.keep = its.keep;
    entry.at = its.at;
    entry.account = key_of(workload.ns, workload.service_account);
  }
  for (const std::string& name : names) {
    entry.secrets.push_back(key_of(workload.ns, name));
    const Loaded& loaded = secret(workload.ns, name);
    entry.source.keyring.append(loaded.keyring);
    append_problem(entry.source.problems, loaded.problem);
    entry.keep = entry.keep && loaded.keep;
    entry.at = std::min(entry.at, loaded.at);
  }
  return entry.source;
}

}  // namespace tidemark::sweeper
