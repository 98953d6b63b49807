// choose: which tag each policy picks, from one list of tags for each repository and credentials.
//
// Purpose: the stage before check. Only repositories of slots under a policy are listed, at most
// once in `max_age`, or at once where somebody says that a tag of theirs was pushed; what a policy
// picked is remembered meanwhile, the tags are not. For `newest`, each tag that the filter leaves
// is asked for its digest, and each new digest for when its image was made: at most kMaxDated tags,
// and what is known of a digest is kept. A list or a time that cannot be had chooses nothing, and
// nothing is rolled for it. Credentials that a registry refuses are read anew by the next sweep.
// Thread-safety: a free function; `credentials` and `memory` belong to it until it returns.
// Errors: in the answers. Source: design section 4 (2, 5).
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "registry/resolver.h"
#include "sweeper/answers.h"
#include "sweeper/credentials.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {

// Each costs a HEAD whenever tags are listed.
inline constexpr std::size_t kMaxDated = 500;

struct ChooseOptions {
  std::size_t concurrency = 4;                 // lists at once; each may have many pages
  std::chrono::milliseconds one{60'000};       // one repository
  std::chrono::milliseconds whole{120'000};    // all of them
  std::chrono::milliseconds max_age{300'000};  // of a choice; zero: made anew in each sweep
  // "docker.io/library/nginx": only these are listed, whatever their age; nullptr: what is due.
  const std::set<std::string>* pushed = nullptr;
};

// What policies picked in earlier sweeps.
class TagChoices {
 public:
  using Key = std::tuple<std::string, std::string, std::string>;  // repository, identity, policy
  const PolicyChoice* find(const Key& key, SteadyTime not_before);
  void put(const Key& key, const PolicyChoice& choice, SteadyTime now);
  // When images were made, by repository, identity and digest: as choose() leaves it.
  using Dated = std::map<Key, WallTime>;
  const Dated& dated() const { return dated_; }
  void put_dated(Dated dated) { dated_ = std::move(dated); }
  // Drops what was neither found nor put since the last call.
  void forget_unused();

 private:
  struct Entry {
    PolicyChoice choice;
    SteadyTime at{};
    bool used = true;
  };
  std::map<Key, Entry> entries_;
  Dated dated_;
};

std::string repository_part(const std::string& tagged);  // of Reference::tagged()

void choose(const Workloads& workloads, registry::Resolver& resolver, PullCredentials& credentials,
            TagChoices& memory, const ChooseOptions& options, const Clock& clock, Answers& answers,
            const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
