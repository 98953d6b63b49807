// Mirrors: a registry's mirrors and pull-through caches are asked in its place, or compared with
// it.
//
// Purpose: nodes that pull through a mirror run what the mirror has, which of a tag may be older
// than what the registry has. MirrorPolicy says whose digest counts: kMirror asks the mirrors in
// turn and the registry where none of them has an answer, as containerd does; kOrigin asks the
// registry alone. Either way the other side is asked now and then, beside the caller, and a
// difference is logged and counted: at most kEvery for one image and kSpacing for one registry.
// A mirror's image is an image of the mirror's own host: its entry says how it is asked, and with
// which credentials. Those of the query were looked up for the registry and never go to a mirror.
// Thread-safety: all of it from many threads. Ownership: refers to what it is made of, which
// outlives it; one thread, made with the first comparison. Errors: the registry's own, with why no
// mirror answered.
// Source: containerd "hosts.md" (hosts are tried in order, the server last).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>

#include "base/clock.h"
#include "base/log.h"
#include "base/worker_pool.h"
#include "registry/endpoints.h"
#include "registry/lru_map.h"
#include "registry/registry_metrics.h"
#include "registry/resolver.h"

namespace tidemark::registry {

class Mirrors final : public Resolver {
 public:
  static constexpr std::chrono::milliseconds kEvery{3'600'000};
  static constexpr std::chrono::milliseconds kSpacing{10'000};
  static constexpr std::size_t kMaxRemembered = 1024;  // images and registries

  Mirrors(const Endpoints& endpoints, Resolver& next, const Clock& clock, RegistryMetrics& metrics,
          Logger log);
  ~Mirrors() override;

  Result<Resolution> resolve(const Query& query, Deadline deadline, std::stop_token stop) override;
  // By the same policy; only digests are compared.
  Result<TagList> tags(const Query& query, Deadline deadline, std::stop_token stop) override;
  Result<Creation> created(const Query& query, Deadline deadline, std::stop_token stop) override;
  std::optional<Result<Resolution>> known(const Query& query) override;

 private:
  // The mirrors in turn where they count, then the registry.
  template <typename Ask>
  auto ask_in_turn(const Query& query, Deadline deadline, Ask ask)
      -> std::invoke_result_t<Ask, const Query&, Deadline>;
  void compare_later(const Query& query, const std::string& answered_by, const image::Digest& has);
  void compare(const Query& query, const std::string& answered_by, const image::Digest& has);
  bool is_due(const image::Reference& reference);

  const Endpoints& endpoints_;
  Resolver& next_;
  const Clock& clock_;
  RegistryMetrics& metrics_;
  const Logger log_;
  std::mutex mutex_;
  LruMap<SteadyTime> compared_;  // by image, and by registry
  std::stop_source stop_;
  std::unique_ptr<WorkerPool> pool_;  // last: its tasks end before what they use
};

}  // namespace tidemark::registry
