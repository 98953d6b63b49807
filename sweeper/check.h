// check: one question for each unique (reference, credentials), however many workloads share it.
//
// Purpose: the stage after choose. Bounded concurrency and time; registries take turns, and each
// has an equal part of the concurrency while it has questions, so that a slow one delays only its
// own references (budgets and circuit breakers are the resolver's). Only a fresh answer counts: an
// old one that stands in for a failure is an error here. Credentials that a registry refuses are
// read again where they were kept from an earlier sweep, and the question is put once more if they
// have changed. Thread-safety: a free function; `credentials` belong to it until it returns.
// Errors: in the answers. Source: design section 4 (2, 5).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "registry/resolver.h"
#include "sweeper/answers.h"
#include "sweeper/credentials.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {

struct CheckOptions {
  std::size_t concurrency = 16;                 // over all registries
  std::chrono::milliseconds one{15'000};        // one reference, with its token and its credentials
  std::chrono::milliseconds whole{120'000};     // all of them
  bool compare_platforms = false;               // where an index is not the stamped one
  bool adopt = true;                            // also ask for what may get a baseline (adopt.h)
  const std::set<std::string>* only = nullptr;  // these references; nullptr: all
  std::optional<std::uint64_t> order{};         // the same seed, the same order; else any
  WallTime now = WallTime::max();               // Answers::asked()
  // Called before the first question and, from many threads, after each: how many were answered or
  // given up.
  std::function<void(std::size_t done, std::size_t total)> progress{};
};

struct CheckResult {
  Answers answers;
  // Which credential was answered to, for people, by reference and pull source; "" for none. Of
  // what has an answer.
  std::map<std::pair<std::string, std::string>, std::string> credentials{};
  std::size_t asked = 0;   // unique questions
  std::size_t failed = 0;  // of these without a good answer
};

// `choices`: those of the workloads' policies (choose.h).
CheckResult check(const Workloads& workloads, registry::Resolver& resolver,
                  PullCredentials& credentials, const Answers& choices, const CheckOptions& options,
                  std::stop_token stop = {});

}  // namespace tidemark::sweeper
