// HeadResolver: asks a registry which digest a reference has, which tags there are,
// and when an image was made.
//
// Purpose: HEAD /v2/<name>/manifests/<tag>, and GET only where the HEAD lacks Docker-Content-Digest
// or is not supported (405, 501), or where the platforms of an index are asked for; the digest is
// then computed over the body. Tags are listed page by page. Each credential of the
// query is tried in turn. A registry that does not answer is left alone (Breaker), and no registry
// gets more requests at once than configured (Limiter); waiting counts against the caller's
// deadline. It works on the caller's thread and caches no answers: that is CachingResolver's.
// Thread-safety: see resolver.h. Ownership: views of what is passed in, which must outlive it.
// Source: OCI distribution-spec "Pulling manifests" and "Listing Tags", OCI image-spec and docker's
// media types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <type_traits>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "registry/authorizer.h"
#include "registry/breaker.h"
#include "registry/endpoints.h"
#include "registry/exchange.h"
#include "registry/limiter.h"
#include "registry/pacer.h"
#include "registry/quota.h"
#include "registry/registry_metrics.h"
#include "registry/resolver.h"
#include "registry/token.h"

namespace tidemark::registry {

// distribution-spec: "a registry SHOULD enforce some limit ... of at least 4 megabytes".
inline constexpr std::size_t kMaxManifestBytes = std::size_t{4} * 1024 * 1024;

class HeadResolver final : public Resolver {
 public:
  struct Options {
    Breaker::Options breaker{};
    std::uint64_t seed = 0;  // of the breaker's jitter
  };
  HeadResolver(const Options& options, const Endpoints& endpoints, RegistryMetrics& metrics,
               const Clock& clock, Logger log);

  Result<Resolution> resolve(const Query& query, Deadline deadline,
                             std::stop_token stop = {}) override;
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop = {}) override;
  Result<Creation> created(const Query& query, Deadline deadline,
                           std::stop_token stop = {}) override;
  std::vector<QuotaLeft> quotas() override;

 private:
  // `ask`: Question -> Result<T>, with T::credential_source to be filled in.
  template <typename Ask>
  auto guarded(const Query& query, Deadline deadline, const std::stop_token& stop, Ask ask)
      -> std::invoke_result_t<Ask, const Question&>;
  template <typename Ask>
  auto try_credentials(const Query& query, const Endpoint& endpoint, Deadline deadline,
                       const std::stop_token& stop, Ask ask)
      -> std::invoke_result_t<Ask, const Question&>;
  Result<Resolution> ask_digest(const Question& question);
  Result<Answer> request_manifest(const Question& question, Operation operation,
                                  Authorization& authorization);
  Result<TagList> ask_tags(const Question& question);
  Result<Creation> ask_creation(const Question& question);
  // In its turn, and once more where the registry asks for another authorization.
  Result<Answer> send(const Question& question, Operation operation, const net::Request& request,
                      Authorization& authorization);

  const Endpoints& endpoints_;
  const Clock& clock_;
  const Logger log_;
  Exchange exchange_;
  Pacer pacer_;
  TokenCache tokens_;
  Authorizer authorizer_;
  Limiter limiter_;
  Quotas quotas_;
  Breaker breaker_;
};

}  // namespace tidemark::registry
