// Notification: one thing that a sweep did or found, as it is told outside the cluster.
//
// Purpose: the values that every format is written from. Thread-safety: values. Errors: kInvalid
// for a reason that does not exist. Source: deploy/README.md, "Notifications".
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace tidemark::notify {

// The reasons of the sweeper's Kubernetes Events.
inline constexpr std::array<std::string_view, 5> kReasons = {"Rolled", "RollFailed", "RolledBack",
                                                             "RolloutFailed", "Moved"};
Result<std::string> parse_reason(std::string_view name);

// A slot that changed, or should have.
struct Move {
  std::string slot;
  std::string image;  // as its owner wrote it
  std::string from;   // digests; "" where not known
  std::string to;
  std::string new_image = {};  // where a tag policy chose another tag
};

struct Notification {
  WallTime time;
  std::string cluster = {};  // "" where the configuration names none
  std::string reason;        // of kReasons
  bool warning = false;
  std::string api_version;  // of the workload
  std::string kind;
  std::string ns;
  std::string workload;
  std::string uid = {};
  std::string text;  // for people
  std::vector<Move> moves = {};
  // What tells a state that stands over many sweeps from all others of its reason; "": it happened
  // once, at `time`.
  std::string standing = {};
};

// The same for the same notification, in every process: what recipients know a repetition by.
std::string id_of(const Notification& notification);

}  // namespace tidemark::notify
