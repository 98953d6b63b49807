// LiveStatus: the leader's answer to `status`, from what it has in memory.
//
// Purpose: GET /v1/status/<key>?namespace=a&namespace=b on the ops port; no namespace means all.
// The inventory's objects as they are now are planned again by what the last sweep learned, so that
// a hold or a new stamp shows at once; neither registries nor pods are asked. The key is this
// process's own and stands in its Lease: who may not read that has no answer, for the ops port is
// open to all pods. One answer is made at a time, so that they never cost the memory of two.
// rows() gives the same to the status page (page.h), made once a second at most and shared.
// Thread-safety: answer(), rows() and let_go() from many threads; learned(), lead() and stand_by()
// from the sweep's.
// Ownership: refers to what `context` does and, between lead() and stand_by(), to the inventory.
// Errors: as status codes with a JSON error: 400 no namespace's name, 404 no such key, 405, 413 an
// answer beyond kMaxStatusBytes, 503 not leading, no sweep yet, pods that cannot be watched, or
// busy for a second. rows(): kUnavailable for all that is 503 here, but for the pods.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"
#include "net/server.h"
#include "registry/resolver.h"
#include "sweeper/inventory.h"
#include "sweeper/status.h"
#include "sweeper/sweep.h"

namespace tidemark::sweeper {

inline constexpr std::string_view kStatusPath = "/v1/status/";
// Of the Lease: "<port>/<key>", where its holder answers.
inline constexpr const char* kStatusAnnotation = "tidemark.dev/status";

// Making the rows of 10,000 workloads takes a quarter of a second: for those who ask more often
// they are the same, and kept until nobody has asked for as long as a page needs to be read.
inline constexpr std::chrono::seconds kRowsAreFresh{1};
inline constexpr std::chrono::seconds kRowsAreKept{30};

// Everything that the sweeper looks at, as it was at one moment.
struct KnownRows {
  ClusterStatus status;
  std::vector<CollectProblem> pods{};            // what pods could not be watched
  std::map<std::string, std::size_t> unasked{};  // by namespace: slots newer than that sweep
  std::vector<registry::QuotaLeft> quotas{};     // of registries that tell one
  std::chrono::seconds age{0};                   // of the last whole sweep
  std::string generation{};                      // equal for equal rows, problems and quotas
};

std::string generation_of(const KnownRows& rows);

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

  Result<std::shared_ptr<const KnownRows>> rows();
  // Forgets rows that nobody asked for lately. Called now and then where a page is served.
  void let_go();

 private:
  Result<std::string> encode(std::string_view query);
  Result<KnownRows> make();  // under busy_

  const SweepContext context_;
  const SweepOptions options_;
  const std::string key_;

  std::mutex learned_mutex_;  // of the two below
  std::shared_ptr<const Learned> learned_;
  SteadyTime whole_sweep_{};

  std::timed_mutex busy_;  // held while an answer is made; guards the four below
  Inventory* inventory_ = nullptr;
  std::shared_ptr<const KnownRows> shared_;
  SteadyTime made_{};
  SteadyTime asked_{};
  std::mutex stop_mutex_;  // of stop_
  std::stop_source stop_;  // of the term: gives an answer up
};

}  // namespace tidemark::sweeper
