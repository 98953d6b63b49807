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
Workload follower_of(const config::NamedPolicy& policy) {
  Workload out;
  out.ns = policy.ns();
  out.name = policy.name;
  out.pull_secrets = policy.pull_secrets;
  out.service_account = "default";
  out.settings.policies.emplace(kSlot, policy.policy);
  TrackedSlot& slot = out.slots.emplace_back();
  slot.id = kSlot;
  slot.state = TrackedSlot::State::kSweepable;
  slot.reference = policy.reference;
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

gitops::PolicyImages images_of(const std::vector<ChosenImage>& chosen) {
  gitops::PolicyImages out;
  for (const ChosenImage& each : chosen) {
    if (!each.choice) continue;
    out.emplace(each.policy->name,
                gitops::PolicyImage{
                    .name = each.policy->image, .tag = each.choice->tag, .digest = each.digest});
  }
  return out;
}

}  // namespace

bool GitReport::failed() const {
  return std::ranges::any_of(policies, [](const auto& each) { return !each.choice; }) ||
         std::ranges::any_of(repositories, [](const auto& each) {
           return !each.outcome || !each.outcome->troubles.empty();
         });
}

bool GitReport::changed() const {
  return std::ranges::any_of(repositories, [](const auto& each) {
    return each.outcome && !each.outcome->changes.empty();
  });
}

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

std::set<std::string> GitWriter::repositories() const {
  std::set<std::string> out;
  for (const config::NamedPolicy& policy : options_.policies) {
    out.insert(repository_of(policy.reference));
  }
  return out;
}

std::vector<ChosenImage> GitWriter::choose_all(const std::set<std::string>* pushed,
                                               const std::stop_token& stop) {
  std::vector<Workload> followers;
  for (const config::NamedPolicy& policy : options_.policies) {
    followers.push_back(follower_of(policy));
  }
  Answers answers;
  ChooseOptions options{.max_age = options_.git.interval / 2};
  // What was pushed is asked for now; then all of them, of which the rest is as it is known.
  if (pushed != nullptr) {
    options.pushed = pushed;
    choose(followers, resolver_, pull_credentials_, choices_, options, clock_, answers, stop);
    options.pushed = nullptr;
    options.max_age = options_.git.interval * 2;
  }
  choose(followers, resolver_, pull_credentials_, choices_, options, clock_, answers, stop);
  std::vector<ChosenImage> out;
  for (std::size_t i = 0; i < followers.size(); ++i) {
    const config::NamedPolicy& policy = options_.policies[i];
    ChosenImage& chosen = out.emplace_back(ChosenImage{.policy = &policy});
    const PolicyChoice* made =
        answers.find_choice(policy.reference, followers[i].pull_source(), policy.policy);
    if (made == nullptr) continue;
    chosen.choice = made->choice;
    if (!chosen.choice || !policy.digest) continue;
    const auto resolved = resolver_.resolve(
        {.reference = policy.reference.with_tag(chosen.choice->tag),
         .credentials = pull_credentials_.of(followers[i]).keyring.lookup(policy.reference)},
        Deadline::after(options.one), stop);
    if (resolved) {
      chosen.digest = resolved->digest.str();
    } else {
      chosen.choice = fail(resolved.error());
    }
  }
  return out;
}

Result<gitops::GitCredentials> GitWriter::credentials_of(const config::GitRepository& repository,
                                                         const std::stop_token& stop) const {
  std::map<std::string, std::string> data;
  std::string where;
  if (repository.secret_folder) {
    where = repository.secret_folder->string();
    auto read = read_folder(*repository.secret_folder);
    if (!read) return fail(read.error());
    data = std::move(*read);
  } else if (!repository.secret.empty()) {
    where = "secret " + repository.secret;
    const std::size_t slash = repository.secret.find('/');
    auto secret =
        kube::get_secret(api_, repository.secret.substr(0, slash),
                         repository.secret.substr(slash + 1), Deadline::after(kReadSecret), stop);
    if (!secret) return fail(within(where, secret.error()));
    data = {secret->data.begin(), secret->data.end()};
  }
  auto read = gitops::read_git_secret(data);
  if (!read) return fail(within(where, read.error()));
  return read;
}

Result<gitops::WriteBack*> GitWriter::clone_of(const config::GitRepository& repository,
                                               const std::stop_token& stop) {
  auto credentials = credentials_of(repository, stop);
  if (!credentials) return fail(credentials.error());
  const auto known = clones_.find(repository.name);
  if (known != clones_.end()) {
    if (known->second.credentials == *credentials) return &known->second.write_back;
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
      options_.git.folder / repository.name, *credentials, std::move(*client), std::move(*sign));
  if (!opened) return fail(opened.error());
  return &clones_
              .emplace(repository.name, Clone{.credentials = std::move(*credentials),
                                              .write_back = std::move(*opened)})
              .first->second.write_back;
}

Result<gitops::WriteBackOutcome> GitWriter::write(const config::GitRepository& repository,
                                                  const gitops::PolicyImages& images, bool dry_run,
                                                  const std::stop_token& stop) {
  auto clone = clone_of(repository, stop);
  if (!clone) return fail(clone.error());
  return (*clone)->round(images, clock_.wall_now(), dry_run, Deadline::after(options_.one), stop);
}

void GitWriter::record(const GitOutcome& each) const {
  const std::string& name = each.repository->name;
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

GitReport GitWriter::round(const std::set<std::string>* pushed, bool dry_run,
                           const std::stop_token& stop) {
  GitReport report;
  report.policies = choose_all(pushed, stop);
  std::size_t lines = 0;
  for (const ChosenImage& each : report.policies) {
    if (each.choice || stop.stop_requested() || ++lines > kMaxTroubleLines) continue;
    log_.warn("git: a policy chooses nothing",
              {{"policy", each.policy->name}, {"cause", each.choice.error().message}});
  }
  const gitops::PolicyImages images = images_of(report.policies);
  for (const config::GitRepository& repository : options_.git.repositories) {
    GitOutcome& each = report.repositories.emplace_back(GitOutcome{.repository = &repository});
    if (stop.stop_requested()) continue;
    each.outcome = write(repository, images, dry_run, stop);
    if (!each.outcome && stop.stop_requested()) continue;
    if (!dry_run) record(each);
  }
  return report;
}

void write_git_while(GitWriter& writer, std::chrono::milliseconds interval, Due& due,
                     const Clock& clock, const std::stop_token& stop) {
  const std::set<std::string> ours = writer.repositories();
  due.know(ours);
  std::set<std::string> pushed;
  SteadyTime next = clock.steady_now();
  while (!stop.stop_requested()) {
    const SteadyTime now = clock.steady_now();
    if (next <= now || !pushed.empty()) {
      (void)writer.round(next <= now ? nullptr : &pushed, /*dry_run=*/false, stop);
      if (next <= now) next = clock.steady_now() + interval;
      pushed.clear();
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock.steady_now());
    if (!due.wait(std::max(left, std::chrono::milliseconds::zero()), stop)) return;
    for (const auto& [name, since] : due.take()) {
      // What no policy looks at was pushed for the sweeper alone.
      if (std::string repository = repository_part(name); ours.contains(repository)) {
        pushed.insert(std::move(repository));
      }
    }
  }
}

}  // namespace tidemark::sweeper
