// destination: which reference a slot is to run, by its policy.
//
// Purpose: the one answer to "what is asked of the registry for this slot, and where would a roll
// lead": its own reference, or that with the tag which its policy chose (choose.h). Never an older
// tag than the one that stands, unless the policy allows it. Pure.
// Thread-safety: pure functions. Errors: as a destination that is not known.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "image/reference.h"
#include "sweeper/answers.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {

// What a policy did with a slot, for people.
struct FollowedPolicy {
  std::string policy{};     // as it is written
  std::string chosen{};     // the tag; "" for none
  std::size_t tags = 0;     // of the repository
  std::size_t fitting = 0;  // of these, under the policy
};

struct Destination {
  std::optional<image::Reference> chosen{};  // another one than the slot's own
  bool known = true;                         // false: nobody can say where this slot belongs
  bool asked = true;                         // false: not known, for nobody was asked
  std::string note{};                        // why it is not known, or stays
  std::shared_ptr<const FollowedPolicy> followed{};  // nullptr: there is no policy

  const image::Reference& reference(const TrackedSlot& slot) const {
    return chosen ? *chosen : *slot.reference;
  }
};

// Of a slot that has a reference.
Destination destination_of(const Workload& workload, const TrackedSlot& slot,
                           const Answers& answers);

// The slot's policy, "" for none.
const std::string& policy_of(const Workload& workload, const TrackedSlot& slot);

}  // namespace tidemark::sweeper
