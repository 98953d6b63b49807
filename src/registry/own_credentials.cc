#include "registry/own_credentials.h"

#include <algorithm>
#include <utility>

#include "base/file.h"

namespace tidemark::registry {
namespace {

// Kubernetes' own bound of a Secret (core/v1 MaxSecretSize).
constexpr std::size_t kMaxFileBytes = std::size_t{1024} * 1024;

Result<Keyring> read_keyring(const std::filesystem::path& file) {
  const auto text = read_file(file, kMaxFileBytes);
  if (!text) return fail(text.error());
  return Keyring::parse_docker_config_json(*text, file.string());
}

}  // namespace

Result<std::unique_ptr<OwnCredentials>> OwnCredentials::make(std::filesystem::path file,
                                                             Resolver& next, const Clock& clock,
                                                             Logger log) {
  auto keyring = read_keyring(file);
  if (!keyring) return fail(keyring.error());
  return std::unique_ptr<OwnCredentials>(
      new OwnCredentials(std::move(file), std::move(*keyring), next, clock, std::move(log)));
}

OwnCredentials::OwnCredentials(std::filesystem::path file, Keyring keyring, Resolver& next,
                               const Clock& clock, Logger log)
    : file_(std::move(file)),
      next_(next),
      clock_(clock),
      log_(std::move(log)),
      keyring_(std::move(keyring)),
      read_at_(clock.steady_now()) {}

Query OwnCredentials::with_own(const Query& query) {
  std::vector<Credential> own;
  {
    const std::lock_guard lock(mutex_);
    if (const SteadyTime now = clock_.steady_now(); now - read_at_ >= kReread) {
      read_at_ = now;
      if (auto keyring = read_keyring(file_)) {
        keyring_ = std::move(*keyring);
      } else {
        log_.warn("own registry credentials stay as they were read before",
                  {{"cause", keyring.error().message}});
      }
    }
    own = keyring_.lookup(query.reference);
  }
  Query out = query;
  for (Credential& credential : own) {
    const auto known =
        std::ranges::find(out.credentials, credential.identity(), &Credential::identity);
    if (known == out.credentials.end()) out.credentials.push_back(std::move(credential));
  }
  return out;
}

Result<Resolution> OwnCredentials::resolve(const Query& query, Deadline deadline,
                                           std::stop_token stop) {
  return next_.resolve(with_own(query), deadline, std::move(stop));
}

std::optional<Result<Resolution>> OwnCredentials::known(const Query& query) {
  return next_.known(with_own(query));
}

}  // namespace tidemark::registry
