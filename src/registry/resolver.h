// Resolver: reference -> digest, and which tags there are. The interface that webhook and sweeper
// see.
//
// Purpose: HeadResolver asks a registry; CachingResolver answers many askers with one request.
// Tests give programs a fake (tests/support/fake_resolver.h).
// Thread-safety: resolve() may be called from many threads at once.
// Source: OCI distribution-spec "Pulling manifests" (HEAD, Docker-Content-Digest), "Listing Tags".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "image/digest.h"
#include "image/reference.h"
#include "registry/credentials.h"
#include "registry/tags.h"

namespace tidemark::registry {

struct Query {
  image::Reference reference;
  // Tried in order; empty: anonymously. Only 401, 403 and 404 lead on to the next one.
  std::vector<Credential> credentials{};
  // How old a cached answer may be; zero asks the registry (still one request for all who ask at
  // the same time with the same credential, and no old answer stands in for one that fails).
  std::chrono::milliseconds max_age{0};
  // Whether an old answer may stand in for a registry that does not answer.
  bool stale_ok = true;
  // Also wanted: which platforms' manifests the index names. Costs a GET in place of the HEAD.
  bool with_platforms = false;
};

struct Resolution {
  image::Digest digest;             // of the index where the tag names an index
  std::string media_type{};         // of the manifest or index
  std::string credential_source{};  // which credential answered, "" for none
  // Of an index, where the query asked for them; empty for an image manifest.
  std::vector<image::Digest> platforms{};
  enum class Freshness { kFresh, kCached, kStale } freshness = Freshness::kFresh;
};

// How many more requests a registry has said that it will answer one account.
struct QuotaLeft {
  std::string registry;
  std::uint64_t left = 0;
  std::uint64_t limit = 0;          // 0: not told
  std::chrono::seconds to_come{0};  // what is left has to last so long
};

// When an image was made, as it says itself.
struct Creation {
  WallTime time;
  std::string credential_source{};  // which credential answered, "" for none
};

class Resolver {
 public:
  virtual ~Resolver() = default;
  // Errors: kNotFound (no such tag), kUnauthorized, kForbidden (by the registry or by the address
  // policy), kTooMany, kTimeout, kCanceled, kUnavailable, kTls, kInvalid (answer without a usable
  // digest, schema 1). The message names reference and cause, never a credential.
  virtual Result<Resolution> resolve(const Query& query, Deadline deadline,
                                     std::stop_token stop = {}) = 0;
  // All tags of the reference's repository, as they are now: nothing is kept of them. Of the query
  // only reference and credentials count. Errors: those of resolve(); kTooLarge past kMaxTags.
  virtual Result<TagList> tags(const Query& query, Deadline deadline,
                               std::stop_token stop = {}) = 0;
  // Of an image named by digest: its creation time, as its annotations or its configuration have
  // it; of an index that of its first image. Two or three requests, which count as pulls where
  // pulls are counted; nothing is kept, for it never changes. Errors: those of resolve(); kInvalid
  // where the image does not say.
  virtual Result<Creation> created(const Query& query, Deadline deadline,
                                   std::stop_token stop = {}) = 0;
  // What resolve() would answer without asking anybody; nullopt where it would have to ask. Never
  // waits, so that who has many queries hands only the rest of them to other threads.
  virtual std::optional<Result<Resolution>> known(const Query& /*query*/) { return std::nullopt; }
  // What registries last said; of several accounts at one registry, that of the one with least
  // left.
  virtual std::vector<QuotaLeft> quotas() { return {}; }
};

}  // namespace tidemark::registry
