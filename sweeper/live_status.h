// LiveStatus: the leader's answer to `status`, from what it has in memory.
//
// Purpose: GET /v1/status/<key>?namespace=a&namespace=b on the ops port; no namespace means all.
// The inventory's objects as they are now are planned again by what the last sweep learned, so that
// a hold or a new stamp shows at once; neither registries nor pods are asked. The key is this
// process's own and stands in its Lease: who may not read that has no answer, for the ops port is
// open to all pods. One answer is made at a time, so that they never cost the memory of two.
// Thread-safety: answer() from many threads; learned(), lead() and stand_by() from the sweep's.
// Ownership: refers to what `context` does and, between lead() and stand_by(), to the inventory.
// Errors: as status codes with a JSON error: 400 no namespace's name, 404 no such key, 405, 413 an
// answer beyond kMaxStatusBytes, 503 not leading, no sweep yet, pods that cannot be watched, or
// busy for a second.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/server.h"
#include "sweeper/inventory.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

inline constexpr std::string_view kStatusPath = "/v1/status/";
// Of the Lease: "<port>/<key>", where its holder answers.
inline constexpr const char* kStatusAnnotation = "tidemark.dev/status";

class LiveStatus {
 public:
  // `options`: the sweeps'.
  LiveStatus(const SweepContext& context, SweepOptions options);

  // The value of kStatusAnnotation for a server on this port.
  std::string announcement(std::uint16_t port) const;

  void lead(Inventory& inventory);
  // Returns once no answer uses the inventory any more; one that is being made is given up.
  void stand_by();
  void learned(const SweepReport& report, bool whole);

  net::Response answer(const net::ServerRequest& request);

 private:
  Result<std::string> make(std::string_view query);

  const SweepContext context_;
  const SweepOptions options_;
  const std::string key_;

  std::mutex learned_mutex_;  // of the two below
  std::shared_ptr<const Learned> learned_;
  SteadyTime whole_sweep_{};

  std::timed_mutex busy_;  // held while an answer is made; guards inventory_
  Inventory* inventory_ = nullptr;
  std::mutex stop_mutex_;  // of stop_
  std::stop_source stop_;  // of the term: gives an answer up
};

}  // namespace tidemark::sweeper
