// OwnCredentials: what Tidemark itself may use, behind what a query brings along.
//
// Purpose: the administrator's credentials, as the kubelet has its node's: the Secret or the docker
// config file of a registry's entry, then the docker config file for all of them. They are tried
// after the pod's own, for everybody's images; where the entry says that none are sent, those of
// the pod are dropped as well. Outside of the cache, so that it keeps answers apart by these
// credentials, too.
// Files and Secrets are read anew while the program runs. What cannot be read keeps what was read
// last; a Secret that was never read stops nobody: the query goes on without it, and where that is
// refused the error tells why. A registry's refusal reads a Secret once more at once.
// Thread-safety: all of it from many threads; configure() from one at a time. Ownership: refers to
// `endpoints`, `next`, `clock`, which outlive it. Errors: configure(): of read_file() or kInvalid,
// with the file's name. Source: Kubernetes pkg/credentialprovider (the node's docker config).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "registry/credentials.h"
#include "registry/endpoints.h"
#include "registry/options.h"
#include "registry/pull_secret.h"
#include "registry/resolver.h"
#include "registry/single_flight.h"

namespace tidemark::registry {

// A Secret as the API server has it, base64 decoded. kube/ reads it, a program passes it on.
struct SecretData {
  std::string type;
  std::map<std::string, std::string> data;
};
using ReadSecret = std::function<Result<SecretData>(
    std::string_view ns, std::string_view name, Deadline deadline, const std::stop_token& stop)>;

class OwnCredentials final : public Resolver {
 public:
  // Mounted Secrets change by a rename that no open file sees: files are read anew this often.
  static constexpr std::chrono::milliseconds kReread{10'000};
  // Secrets cost a request to the API server; one that could not be read is left alone for kReread.
  static constexpr std::chrono::milliseconds kRereadSecret{60'000};

  // `read_secret`: needed where an entry names a Secret.
  OwnCredentials(const Endpoints& endpoints, ReadSecret read_secret, Resolver& next,
                 const Clock& clock, Logger log);

  // Reads the files that `options` names; where one cannot be read nothing changes.
  Status configure(const ResolverOptions& options);
  // True where queries for a registry with these options go on as they came.
  bool leaves_alone(const RegistryOptions& options);

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override;
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop) override;
  Result<Creation> created(const Query& query, Deadline deadline, std::stop_token stop) override;
  std::optional<Result<Resolution>> known(const Query& query) override;

 private:
  // `ask`: the question of the resolver behind, which the credentials are for.
  template <typename Ask>
  auto ask_with_credentials(const Query& query, Deadline deadline, const std::stop_token& stop,
                            Ask ask) -> std::invoke_result_t<Ask, const Query&>;
  struct File {
    Keyring keyring;
    SteadyTime read_at;
  };
  struct Kept {
    std::optional<RegistrySecret> secret;  // what was read last
    std::string problem;                   // why that is old, or nothing
    bool passing = false;                  // the problem may be gone in a moment
    SteadyTime read_at;
  };
  std::vector<Credential> from_file(const std::string& file, const image::Reference& reference);
  std::optional<Kept> kept(const std::string& secret);
  Kept read(const std::string& secret, Deadline deadline, const std::stop_token& stop);
  std::vector<Credential> own_of(const Query& query, const RegistryOptions& options,
                                 const std::optional<Kept>& secret);
  Query with_own(const Query& query, const RegistryOptions& options,
                 const std::optional<Kept>& secret);

  const Endpoints& endpoints_;
  const ReadSecret read_secret_;
  Resolver& next_;
  const Clock& clock_;
  const Logger log_;
  SingleFlight<Kept> reads_;
  std::mutex mutex_;
  std::string file_;                   // guarded by mutex_, as are the maps; "" for none
  std::map<std::string, File> files_;  // those of the configuration
  std::map<std::string, Kept> secrets_;
};

}  // namespace tidemark::registry
