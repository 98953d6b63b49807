// Answers: what the registries said in one sweep.
//
// Purpose: the value that check makes and plan reads. An answer belongs to a reference and to the
// place that its credentials come from: a workload never learns what only another's secret may see.
// Thread-safety: a value.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/result.h"
#include "image/digest.h"
#include "image/reference.h"

namespace tidemark::sweeper {

class Answers {
 public:
  void put(const image::Reference& reference, const std::string& pull_source,
           Result<image::Digest> answer) {
    answers_.insert_or_assign({reference.tagged(), pull_source}, std::move(answer));
  }
  // What `newer` has takes the place of what is here.
  void update(Answers newer) {
    newer.answers_.merge(answers_);
    answers_ = std::move(newer.answers_);
    same_images_.merge(newer.same_images_);
  }
  // nullptr: not asked in this sweep.
  const Result<image::Digest>* find(const image::Reference& reference,
                                    const std::string& pull_source) const {
    const auto found = answers_.find({reference.tagged(), pull_source});
    return found == answers_.end() ? nullptr : &found->second;
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
  std::map<std::pair<std::string, std::string>, Result<image::Digest>> answers_;
  std::set<std::tuple<std::string, std::string, std::string>> same_images_;
};

}  // namespace tidemark::sweeper
