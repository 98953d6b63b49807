// Answers: what the registries said in one sweep.
//
// Purpose: the value that choose and check make and plan reads. An answer belongs to a reference
// and to the place that its credentials come from: a workload never learns what only another's
// secret may see. So does the choice of a policy, which belongs to a repository.
// Thread-safety: a value.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "image/digest.h"
#include "image/reference.h"
#include "policy/tag_policy.h"

namespace tidemark::sweeper {

// What a policy makes of a repository's tags.
struct PolicyChoice {
  std::shared_ptr<const policy::TagPolicy> policy{};  // nullptr: it cannot be read
  Result<policy::TagChoice> choice = fail(ErrorKind::kCanceled, "not asked: stopped");
  // Of a policy by_creation(): what it chose by.
  std::shared_ptr<const policy::CreationTimes> times{};
};

class Answers {
 public:
  // `asked`: when, at the latest; the default for what is never old.
  void put(const image::Reference& reference, const std::string& pull_source,
           Result<image::Digest> answer, WallTime asked = WallTime::max()) {
    answers_.insert_or_assign({reference.tagged(), pull_source},
                              Answer{.digest = std::move(answer), .asked = asked});
  }
  // What `newer` has takes the place of what is here.
  void update(Answers newer) {
    newer.answers_.merge(answers_);
    answers_ = std::move(newer.answers_);
    same_images_.merge(newer.same_images_);
    newer.choices_.merge(choices_);
    choices_ = std::move(newer.choices_);
  }
  // nullptr: not asked in this sweep.
  const Result<image::Digest>* find(const image::Reference& reference,
                                    const std::string& pull_source) const {
    const auto found = answers_.find({reference.tagged(), pull_source});
    return found == answers_.end() ? nullptr : &found->second.digest;
  }
  // Of what find() finds.
  WallTime asked(const image::Reference& reference, const std::string& pull_source) const {
    const auto found = answers_.find({reference.tagged(), pull_source});
    return found == answers_.end() ? WallTime::max() : found->second.asked;
  }
  // `policy`: its text.
  void put_choice(const image::Reference& of, const std::string& pull_source,
                  const std::string& policy, PolicyChoice choice) {
    choices_.insert_or_assign({of.name(), pull_source, policy}, std::move(choice));
  }
  // nullptr: not asked in this sweep.
  const PolicyChoice* find_choice(const image::Reference& of, const std::string& pull_source,
                                  const std::string& policy) const {
    const auto found = choices_.find({of.name(), pull_source, policy});
    return found == choices_.end() ? nullptr : &found->second;
  }
  // The index `to` holds every image of the index `from`, as who has that place's credentials sees.
  void put_same_images(const std::string& pull_source, const image::Digest& from,
                       const image::Digest& to) {
    same_images_.emplace(pull_source, from.str(), to.str());
  }
  bool same_images(const std::string& pull_source, const image::Digest& from,
                   const image::Digest& to) const {
    return same_images_.contains({pull_source, from.str(), to.str()});
  }

 private:
  struct Answer {
    Result<image::Digest> digest;
    WallTime asked;
  };
  std::map<std::pair<std::string, std::string>, Answer> answers_;
  std::set<std::tuple<std::string, std::string, std::string>> same_images_;
  // By repository, pull source and policy.
  std::map<std::tuple<std::string, std::string, std::string>, PolicyChoice> choices_;
};

}  // namespace tidemark::sweeper
