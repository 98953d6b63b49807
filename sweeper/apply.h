// apply: one planned roll becomes one patch, or an honest answer why not. A roll that wrote an
// image is followed by a second patch that gives up the ownership of it (make_release_patch); where
// that is lost, release() of a later sweep makes good for it.
//
// Purpose: stage 4 of a sweep, and the only one that writes. Every try reads the object, plans it
// again with the same answers and patches what it just read; so a conflict, a lost answer and a
// sweeper that was killed in between all end in the same place: planned again, rolled once.
// Thread-safety: a free function over thread-safe interfaces.
// Errors: in the outcome. Conflicts and retryable errors are tried again (bounded, with backoff);
// kInvalid, kForbidden and the like are permanent and reported.
// Source: design section 4 (4, 9).
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/retry.h"
#include "kube/api.h"
#include "sweeper/answers.h"
#include "sweeper/collect.h"
#include "sweeper/guarded_patch.h"
#include "sweeper/plan.h"

namespace tidemark::sweeper {

struct ApplyOptions {
  int max_tries = 5;  // conflicts are rare; five in a row mean that somebody fights over the object
  RetrySchedule::Options backoff{std::chrono::milliseconds{100}, std::chrono::milliseconds{5'000},
                                 2.0};
  std::chrono::milliseconds request = kWriteDeadline;
};

struct RollOutcome {
  enum class Kind {
    kRolled,
    kNotNeeded,  // the fresh object does not ask for it any more
    kFailed,
  };
  Kind kind = Kind::kFailed;
  WorkloadPlan plan;             // the last one that was made, from the freshest object
  std::optional<Error> error{};  // kFailed
  Status released{};             // kRolled: of the image that was written
};

std::string_view to_string(RollOutcome::Kind kind);

RollOutcome apply(const WorkloadPlan& planned, kube::Api& api, const Answers& answers,
                  const Namespaces& namespaces, const workload::Settings& defaults,
                  const Clock& clock, const ApplyOptions& options, std::stop_token stop = {});

// Gives up what an earlier roll left owned. One try: the next sweep sees what is left. Errors: the
// API server's; a workload that is gone is none.
Status release(const WorkloadPlan& planned, kube::Api& api, const ApplyOptions& options,
               const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
