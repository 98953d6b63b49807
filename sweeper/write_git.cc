#include "sweeper/write_git.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "gitops/ssh_signature.h"
#include "kube/secrets.h"
#include "net/client.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {
namespace {

constexpr const char* kSlot = "image";
// Roots are the largest of what such a Secret holds.
constexpr std::size_t kMaxSecretBytes = std::size_t{1} << 20;
constexpr std::chrono::seconds kReadSecret{10};
constexpr std::size_t kMaxTroubleLines = 20;

// What would follow that policy: a container of its image.
Workload follower_of(const GitPolicy& policy) {
  Workload out;
  out.ns = policy.secrets_namespace.empty() ? policy.named.ns() : policy.secrets_namespace;
  out.name = policy.named.name;
  out.pull_secrets = policy.named.pull_secrets;
  out.service_account = policy.service_account;
  if (policy.fixed) return out;
  out.settings.policies.emplace(kSlot, policy.named.policy);
  TrackedSlot& slot = out.slots.emplace_back();
  slot.id = kSlot;
  slot.state = TrackedSlot::State::kSweepable;
  slot.reference = policy.named.reference;
  return out;
}

// A mounted Secret: a file for each of its keys.
Result<std::map<std::string, std::string>> read_folder(const std::filesystem::path& folder) {
  static constexpr std::array kKeys = {
      "username", "password", "bearerToken", "identity", "identity.pub", "known_hosts", "ca.crt",
      "caFile",   "tls.crt",  "certFile",    "tls.key",  "keyFile",      "signingKey"};
  std::map<std::string, std::string> out;
  for (const char* key : kKeys) {
    auto content = read_file(folder / key, kMaxSecretBytes);
    if (content) {
      out.emplace(key, std::move(*content));
    } else if (content.error().kind != ErrorKind::kNotFound) {
      return fail(content.error());
    }
  }
  if (out.empty()) return fail(ErrorKind::kNotFound, folder.string() + " holds none of its keys");
  return out;
}

Result<std::shared_ptr<net::HttpClient>> client_for(const gitops::Remote& remote,
                                                    const gitops::GitCredentials& credentials,
                                                    const std::string& user_agent) {
  if (remote.ssh()) return nullptr;
  auto proxy = net::ProxyOptions::from_environment();
  if (!proxy) return fail(proxy.error());
  net::ClientOptions options;
  options.trust.ca_pem = credentials.ca_pem;
  options.trust.client_pair = credentials.client_pair;
  options.proxy = std::move(*proxy);
  options.user_agent = "git/2.0 (" + user_agent + ")";  // some servers answer none but git's name
  return net::make_client(options);
}

Result<gitops::Signer> signer_for(const gitops::GitCredentials& credentials) {
  if (credentials.signing_key.empty()) return gitops::Signer();
  auto key = gitops::SshSigningKey::parse(credentials.signing_key);
  if (!key) return fail(within("signingKey", key.error()));
  return [key = std::move(*key)](std::string_view commit) { return key.sign(commit); };
}

gitops::PolicyImages images_of(const std::vector<ChosenImage>& chosen, const GitTarget& target) {
  gitops::PolicyImages out;
  for (const std::size_t at : target.policies) {
    const ChosenImage& each = chosen[at];
    if (!each.choice) continue;
    out.emplace(each.policy.name,
                gitops::PolicyImage{
                    .name = each.policy.image, .tag = each.choice->tag, .digest = each.digest});
  }
  return out;
}

// Where and how it is written; templates come from the configuration, which stays.
bool same_place(const config::GitRepository& a, const config::GitRepository& b) {
  return a.remote.url == b.remote.url && a.branch == b.branch && a.push_branch == b.push_branch &&
         a.path == b.path && a.author_name == b.author_name && a.author_email == b.author_email;
}

}  // namespace

GitWriter::GitWriter(kube::Api& api, registry::Resolver& resolver, const Clock& clock,
                     Metrics& metrics, Logger log, GitWriterOptions options)
    : api_(api),
      resolver_(resolver),
      clock_(clock),
      log_(std::move(log)),
      options_(std::move(options)),
      pull_credentials_(options_.read_secrets ? &api : nullptr, clock),
      rounds_(metrics.counter("tidemark_git_rounds_total",
                              "Looks at a Git repository by outcome (ok, failed).")),
      commits_(metrics.counter("tidemark_git_commits_total", "Commits pushed to Git.")),
      last_success_(metrics.gauge("tidemark_git_last_success_timestamp_seconds",
                                  "When a Git repository was last found, or made, as its policies "
                                  "want it.")) {}

std::vector<ChosenImage> GitWriter::choose_all(const std::vector<GitPolicy>& policies,
                                               const std::set<std::string>* pushed,
                                               const std::stop_token& stop) {
  Workloads followers;
  for (const GitPolicy& policy : policies) followers.push_back(share(follower_of(policy)));
  Answers answers;
  ChooseOptions options{.max_age = options_.interval / 2};
  // What was pushed is asked for now; then all of them, of which the rest is as it is known.
  if (pushed != nullptr) {
    options.pushed = pushed;
    choose(followers, resolver_, pull_credentials_, choices_, options, clock_, answers, stop);
    options.pushed = nullptr;
    options.max_age = options_.interval * 2;
  }
  choose(followers, resolver_, pull_credentials_, choices_, options, clock_, answers, stop);
  std::vector<ChosenImage> out;
  for (std::size_t i = 0; i < followers.size(); ++i) {
    const config::NamedPolicy& named = policies[i].named;
    ChosenImage& chosen = out.emplace_back(ChosenImage{.policy = named});
    if (const auto& fixed = policies[i].fixed) {
      chosen.choice = policy::TagChoice{.tag = fixed->tag};
      chosen.digest = fixed->digest;
      continue;
    }
    const PolicyChoice* made =
        answers.find_choice(named.reference, followers[i]->pull_source(), named.policy);
    if (made == nullptr) continue;
    chosen.choice = made->choice;
    if (!chosen.choice || !named.digest) continue;
    const auto& known = policies[i].known;
    if (known && known->tag == chosen.choice->tag && !known->digest.empty()) {
      chosen.digest = known->digest;
      continue;
    }
    const auto resolved = resolver_.resolve(
        {.reference = named.reference.with_tag(chosen.choice->tag),
         .credentials = pull_credentials_.of(*followers[i]).keyring.lookup(named.reference)},
        Deadline::after(options.one), stop);
    if (resolved) {
      chosen.digest = resolved->digest.str();
    } else {
      chosen.choice = fail(resolved.error());
    }
  }
  return out;
}

Result<std::map<std::string, std::string>> GitWriter::read_secret(
    const std::string& name, const std::stop_token& stop) const {
  const std::size_t slash = name.find('/');
  auto secret = kube::get_secret(api_, name.substr(0, slash), name.substr(slash + 1),
                                 Deadline::after(kReadSecret), stop);
  if (!secret) return fail(within("secret " + name, secret.error()));
  return std::move(secret->data);
}

Result<gitops::GitCredentials> GitWriter::credentials_of(const GitTarget& target,
                                                         const std::stop_token& stop) const {
  const config::GitRepository& repository = target.repository;
  Result<std::map<std::string, std::string>> data;
  std::string where;
  if (repository.secret_folder) {
    where = repository.secret_folder->string();
    data = read_folder(*repository.secret_folder);
  } else if (!repository.secret.empty()) {
    where = "secret " + repository.secret;
    data = read_secret(repository.secret, stop);
  }
  if (!data) return fail(data.error());
  auto read = gitops::read_git_secret(*data);
  if (!read) return fail(within(where, read.error()));
  if (target.signing_secret.empty()) return read;
  const auto signing = read_secret(target.signing_secret, stop);
  if (!signing) return fail(signing.error());
  const auto key = signing->find("identity");
  if (key == signing->end()) {
    return fail(ErrorKind::kInvalid, "secret " + target.signing_secret + " has no `identity`");
  }
  read->signing_key = key->second;
  return read;
}

Result<gitops::WriteBack*> GitWriter::clone_of(const GitTarget& target,
                                               const std::stop_token& stop) {
  const config::GitRepository& repository = target.repository;
  auto credentials = credentials_of(target, stop);
  if (!credentials) return fail(credentials.error());
  const auto known = clones_.find(repository.name);
  if (known != clones_.end()) {
    if (known->second.credentials == *credentials &&
        same_place(known->second.repository, repository) && !known->second.write_back.worn()) {
      return &known->second.write_back;
    }
    clones_.erase(known);
  }
  auto client = client_for(repository.remote, *credentials, options_.user_agent);
  if (!client) return fail(client.error());
  auto sign = signer_for(*credentials);
  if (!sign) return fail(sign.error());
  auto opened = gitops::WriteBack::open(
      {.remote = repository.remote,
       .branch = repository.branch,
       .push_branch = repository.push_branch,
       .path = repository.path,
       .author = {.name = repository.author_name, .email = repository.author_email},
       .subject = repository.subject,
       .change = repository.change},
      options_.folder / repository.name, *credentials, std::move(*client), std::move(*sign));
  if (!opened) return fail(opened.error());
  return &clones_
              .emplace(repository.name, Clone{.credentials = std::move(*credentials),
                                              .repository = repository,
                                              .write_back = std::move(*opened)})
              .first->second.write_back;
}

Result<gitops::WriteBackOutcome> GitWriter::write(const GitTarget& target,
                                                  const gitops::PolicyImages& images, bool dry_run,
                                                  const std::stop_token& stop) {
  auto clone = clone_of(target, stop);
  if (!clone) return fail(clone.error());
  return (*clone)->round(images, clock_.wall_now(), dry_run, Deadline::after(options_.one), stop);
}

void GitWriter::record(const GitOutcome& each) const {
  const std::string& name = each.repository.name;
  rounds_.with({{"repository", name}, {"outcome", each.outcome ? "ok" : "failed"}}).add();
  if (!each.outcome) {
    log_.error("git: not written", {{"repository", name}, {"cause", each.outcome.error().message}});
    return;
  }
  last_success_.with({{"repository", name}})
      .set(std::chrono::duration<double>(clock_.wall_now().time_since_epoch()).count());
  std::size_t lines = 0;
  for (const std::string& trouble : each.outcome->troubles) {
    if (++lines > kMaxTroubleLines) break;
    log_.warn("git: a marker", {{"repository", name}, {"cause", trouble}});
  }
  if (each.outcome->commit.empty()) return;
  commits_.with({{"repository", name}}).add();
  log_.info("git: pushed", {{"repository", name},
                            {"branch", each.outcome->branch},
                            {"commit", each.outcome->commit},
                            {"changes", each.outcome->changes.size()},
                            {"server", each.outcome->said}});
}

GitReport GitWriter::round(const GitPlan& plan, const std::set<std::string>* pushed, bool dry_run,
                           const std::stop_token& stop) {
  GitReport report;
  report.policies = choose_all(plan.policies, pushed, stop);
  std::size_t lines = 0;
  for (const ChosenImage& each : report.policies) {
    if (each.choice || stop.stop_requested() || ++lines > kMaxTroubleLines) continue;
    log_.warn("git: a policy chooses nothing",
              {{"policy", each.policy.name}, {"cause", each.choice.error().message}});
  }
  for (const GitTarget& target : plan.targets) {
    GitOutcome& each =
        report.repositories.emplace_back(GitOutcome{.repository = target.repository});
    if (stop.stop_requested()) continue;
    each.outcome = write(target, images_of(report.policies, target), dry_run, stop);
    if (!each.outcome && stop.stop_requested()) continue;
    if (!dry_run) record(each);
  }
  return report;
}

std::set<std::string> image_repositories(const GitPlan& plan) {
  std::set<std::string> out;
  for (const GitPolicy& policy : plan.policies) out.insert(policy.named.reference.name());
  return out;
}

}  // namespace tidemark::sweeper
