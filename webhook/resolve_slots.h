// Stage 3: the references of an Assessment -> digests.
//
// Purpose: the only stage that waits. One query per unique reference, all of them at the same time,
// with the credentials that the kubelet would have, within the deadline.
// Thread-safety: resolve_slots() from many threads. Ownership: Lookups refers to what the program
// owns; the pool must end before the resolver. Errors: an answer each; see registry/resolver.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "image/digest.h"
#include "image/reference.h"
#include "registry/resolver.h"
#include "webhook/assess.h"
#include "webhook/decode_review.h"
#include "webhook/pull_secrets.h"

namespace tidemark::webhook {

// An error's message does not repeat the reference.
class Answers {
 public:
  void reserve(std::size_t count) { answers_.reserve(count); }
  void add(image::Reference reference, Result<image::Digest> answer);
  // nullptr: that was not asked.
  const Result<image::Digest>* find(const image::Reference& reference) const;

 private:
  std::vector<std::pair<image::Reference, Result<image::Digest>>> answers_;  // a few
};

struct Lookups {
  registry::Resolver& resolver;
  PullSecrets& secrets;
  WorkerPool& pool;
};

Answers resolve_slots(const Review& review, const Assessment& assessment, const Lookups& lookups,
                      std::chrono::milliseconds max_age, Deadline deadline);

// The same error for every reference that would be asked for: nobody is asked.
Answers refuse_slots(const Assessment& assessment, const Error& error);

}  // namespace tidemark::webhook
