// LeaderElection: one of several replicas works, the others wait.
//
// Purpose: leader election over a coordination.k8s.io/v1 Lease, by the rules of client-go, so that
// people can read and reason about it with kubectl. The holder renews; another takes over when it
// has seen no renewal for the lease duration, measured on its own clock since it first saw the
// record (clocks of two nodes are never compared).
// Thread-safety: leading() from any thread; step(), release() and run() belong to one.
// Ownership: api, clock and metrics must outlive this. Errors: none is returned; a failing API
// server means not leading, with one log line per change.
// Source: client-go tools/leaderelection (LeaseDuration, RenewDeadline, RetryPeriod).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kube/api.h"

namespace tidemark::kube {

struct LeaseOptions {
  std::string ns;
  std::string name;
  std::string identity;  // the pod's name
  std::chrono::milliseconds lease_duration{15'000};
  std::chrono::milliseconds renew_deadline{10'000};
  std::chrono::milliseconds retry_period{2'000};
  // What the holder says of itself beside its name; an empty value takes the key away.
  std::map<std::string, std::string> annotations{};
};

struct LeaseHolder {
  std::string identity;
  std::map<std::string, std::string> annotations;
};

// Who holds it, for those who take no part. A holder that is gone is still named until another
// takes over. Errors: kNotFound where nobody does, else as Api.
Result<LeaseHolder> read_lease(Api& api, const std::string& ns, const std::string& name,
                               Deadline deadline, const std::stop_token& stop = {});

class LeaderElection {
 public:
  LeaderElection(Api& api, const Clock& clock, LeaseOptions options, Metrics& metrics, Logger log);

  // Takes part until `stop`. Whenever this replica leads, `work` runs on a thread of its own; its
  // token fires when the lease is lost or `stop` is requested, and `work` must return soon after
  // (lease_duration - renew_deadline is the time before another replica may lead). Where `work`
  // returns by itself the lease is released and run() returns.
  void run(const std::stop_token& stop, const std::function<void(std::stop_token lost)>& work);

  // One attempt to acquire or renew; true while this replica leads afterwards.
  bool step(const std::stop_token& stop);
  // Gives the lease up, so that another replica need not wait for its end.
  void release();

  // Also false where this process was not scheduled for so long that its lease has run out.
  bool leading() const;

 private:
  // True: held by us now. False: held by another. An error: not known.
  Result<bool> acquire_or_renew(Deadline deadline, const std::stop_token& stop);
  void set_leading(bool leading, const std::string& why);

  Api& api_;
  const Clock& clock_;
  const LeaseOptions options_;
  const Gauge leading_gauge_;
  const Logger log_;
  const std::string path_;
  const std::string collection_;

  std::string observed_version_;  // resourceVersion last seen, and when it was first seen
  std::string observed_holder_;
  SteadyTime observed_at_{};
  std::string last_error_;

  std::atomic<SteadyTime> renewed_at_{};  // the start of the last successful renewal
  std::atomic<bool> holds_{false};
};

}  // namespace tidemark::kube
