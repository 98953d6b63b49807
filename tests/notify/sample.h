// One notification as a sweep would tell it.
#pragma once

#include <chrono>
#include <string>

#include "notify/notification.h"

namespace tidemark::notify::testing {

inline Notification sample(const std::string& workload = "web") {
  return {.time = WallTime{std::chrono::seconds{1'767'225'600}},
          .reason = "Rolled",
          .api_version = "apps/v1",
          .kind = "Deployment",
          .ns = "team-a",
          .workload = workload,
          .uid = "u1",
          .text = "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb",
          .moves = {{.slot = "app",
                     .image = "registry.test/app:1",
                     .from = "sha256:" + std::string(64, 'a'),
                     .to = "sha256:" + std::string(64, 'b')}}};
}

inline Notification standing(const std::string& reason, const std::string& state) {
  Notification out = sample();
  out.reason = reason;
  out.warning = true;
  out.standing = state;
  return out;
}

}  // namespace tidemark::notify::testing
