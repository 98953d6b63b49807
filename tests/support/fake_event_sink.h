// FakeEventSink: keeps what programs tell.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kube/events.h"

namespace tidemark::testing {

class FakeEventSink final : public kube::EventSink {
 public:
  bool record(kube::EventNote note) override {
    const std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
    return true;
  }
  std::vector<kube::EventNote> notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
  }
  std::vector<std::string> reasons() const {
    std::vector<std::string> out;
    for (const kube::EventNote& note : notes()) out.push_back(note.reason);
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<kube::EventNote> notes_;
};

}  // namespace tidemark::testing
