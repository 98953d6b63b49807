// FakeAudience: keeps what sweeps tell.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "notify/notifier.h"

namespace tidemark::testing {

class FakeAudience final : public notify::Audience {
 public:
  void tell(std::vector<notify::Notification> notifications) override {
    sweeps_.push_back(std::move(notifications));
  }
  // One entry for each sweep.
  const std::vector<std::vector<notify::Notification>>& sweeps() const { return sweeps_; }

 private:
  std::vector<std::vector<notify::Notification>> sweeps_;
};

}  // namespace tidemark::testing
