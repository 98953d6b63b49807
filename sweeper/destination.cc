#include "sweeper/destination.h"

#include <compare>

namespace tidemark::sweeper {
namespace {

Destination unknown(std::string note, std::shared_ptr<const FollowedPolicy> followed) {
  return {.known = false, .note = std::move(note), .followed = std::move(followed)};
}

}  // namespace

const std::string& policy_of(const Workload& workload, const TrackedSlot& slot) {
  static const std::string kNone;
  const auto found = workload.settings.policies.find(slot.id);
  return found == workload.settings.policies.end() ? kNone : found->second;
}

Destination destination_of(const Workload& workload, const TrackedSlot& slot,
                           const Answers& answers) {
  const std::string& text = policy_of(workload, slot);
  // What is not swept yet gets a baseline by its own tag first.
  if (text.empty() || slot.standing() != TrackedSlot::State::kSweepable) return {};
  auto followed = std::make_shared<FollowedPolicy>(FollowedPolicy{.policy = text});
  const PolicyChoice* made = answers.find_choice(*slot.reference, workload.pull_source(), text);
  if (made == nullptr) {
    Destination out = unknown("not asked in this sweep", std::move(followed));
    out.asked = false;
    return out;
  }
  if (made->policy != nullptr && !made->policy->chooses()) return {.followed = std::move(followed)};
  if (!made->choice) {
    const Error& error = made->choice.error();
    const bool none_fits =
        made->policy != nullptr && error.kind == ErrorKind::kNotFound && error.http_status == 0;
    if (!none_fits) return unknown(error.message, std::move(followed));
    return {.note = error.message, .followed = std::move(followed)};
  }
  const policy::TagChoice& choice = *made->choice;
  followed->chosen = choice.tag;
  followed->tags = choice.tags;
  followed->fitting = choice.fitting;
  Destination out{.followed = std::move(followed)};
  const std::string own(*slot.reference->tag());
  if (choice.tag == own) return out;
  // Nullopt: what stands is nothing that the policy compares, such as `latest`.
  static const policy::CreationTimes kNone;
  const auto order =
      made->policy->compare(choice.tag, own, made->times != nullptr ? *made->times : kNone);
  if (order == std::partial_ordering::equivalent) return out;
  if (order == std::partial_ordering::less && !made->policy->allows_downgrade()) {
    out.note = "its policy would choose " + choice.tag + ", which is older (allow-downgrade)";
    return out;
  }
  out.chosen = slot.reference->with_tag(choice.tag);
  return out;
}

}  // namespace tidemark::sweeper
