#include "webhook/pull_secrets.h"

#include <utility>

#include "kube/secrets.h"
#include "registry/pull_secret.h"

namespace tidemark::webhook {
namespace {

std::string account_name(const workload::PodTemplate& pod_template) {
  return pod_template.service_account.empty() ? "default" : pod_template.service_account;
}

}  // namespace

PullSecrets::PullSecrets(kube::Api* api, const Clock& clock)
    : api_(api), secrets_(clock, kTtl, kMaxEntries), accounts_(clock, kTtl, kMaxEntries) {}

PullSecrets::EntryPtr PullSecrets::secret(const std::string& ns, const std::string& name,
                                          Deadline deadline) {
  const std::string key = ns + "/" + name;
  if (auto known = secrets_.get(key)) return *known;
  const std::string source = "secret " + key;
  auto entry = std::make_shared<Entry>();
  const auto secret = kube::get_secret(*api_, ns, name, deadline);
  auto keyring = secret ? registry::read_pull_secret(secret->type, secret->data, source)
                        : Result<registry::Keyring>(fail(within(source, secret.error())));
  if (keyring) {
    entry->keyring = std::move(*keyring);
  } else {
    entry->problem = keyring.error().message;
    // What may work in a moment is asked for again by the next admission.
    if (keyring.error().retryable()) return entry;
  }
  secrets_.put(key, entry);
  return entry;
}

PullSecrets::EntryPtr PullSecrets::service_account(const std::string& ns, const std::string& name,
                                                   Deadline deadline) {
  const std::string key = ns + "/" + name;
  if (auto known = accounts_.get(key)) return *known;
  auto entry = std::make_shared<Entry>();
  auto account = kube::get_service_account(*api_, ns, name, deadline);
  if (account) {
    entry->secrets = std::move(account->image_pull_secrets);
  } else {
    entry->problem = "service account " + key + ": " + account.error().message;
    if (account.error().retryable()) return entry;
  }
  accounts_.put(key, entry);
  return entry;
}

registry::Keyring PullSecrets::keyring(const std::string& ns,
                                       const workload::PodTemplate& pod_template, Deadline deadline,
                                       std::vector<std::string>& problems) {
  registry::Keyring keyring;
  if (api_ == nullptr || ns.empty()) return keyring;
  std::vector<std::string> names = pod_template.image_pull_secrets;
  if (names.empty()) {
    const EntryPtr account = service_account(ns, account_name(pod_template), deadline);
    names = account->secrets;
    if (!account->problem.empty()) problems.push_back(account->problem);
  }
  for (const std::string& name : names) {
    const EntryPtr entry = secret(ns, name, deadline);
    if (!entry->problem.empty()) problems.push_back(entry->problem);
    keyring.append(entry->keyring);
  }
  return keyring;
}

void PullSecrets::forget(const std::string& ns, const workload::PodTemplate& pod_template) {
  const std::string account_key = ns + "/" + account_name(pod_template);
  std::vector<std::string> names = pod_template.image_pull_secrets;
  if (names.empty()) {
    if (const auto account = accounts_.get(account_key)) names = (*account)->secrets;
    accounts_.erase(account_key);
  }
  for (const std::string& name : names) secrets_.erase(ns + "/" + name);
}

}  // namespace tidemark::webhook
