// Receiver: the endpoint that registries and build scripts post to when an image was pushed.
//
// Purpose: POST /push/<source>, or /push/<source>/<token>. A post that its source vouches for
// (push/authenticate.h) makes the references that it names due (due.h); that is all it can do:
// whether a tag moved is asked of the registry. Thread-safety: answer() from many threads.
// Ownership: refers to `due`, `clock` and `metrics`. Errors: as status codes, with a JSON error
// that holds nothing of the post: 400 no payload of the source's format, 401 no proof or a wrong
// one, 404 no such source, 405, 409 a signed body that was posted before, 413, 429 more than a
// source may post, 503 not the leader, who alone sweeps.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "config/receivers.h"
#include "net/http.h"
#include "net/server.h"
#include "push/authenticate.h"
#include "sweeper/due.h"

namespace tidemark::sweeper {

// Of one source: enough for a registry that mirrors a whole catalogue, too few to keep us busy.
struct PushRate {
  double per_second = 200;
  double burst = 400;
};

class Receiver {
 public:
  // Reads the secrets. `due`: whoever waits for pushes. Errors: kInvalid naming the file that
  // cannot be read or holds nothing.
  static Result<std::unique_ptr<Receiver>> make(const std::vector<config::ReceiverSource>& sources,
                                                std::vector<Due*> due, const Clock& clock,
                                                Metrics& metrics, Logger log, PushRate rate = {});
  ~Receiver();

  net::Response answer(const net::ServerRequest& request);
  // Posts are answered 503 while another replica leads.
  void leading(bool yes) { leading_ = yes; }

 private:
  struct Source;
  Receiver(std::vector<Due*> due, const Clock& clock, Logger log);
  net::Response take(Source& source, const net::ServerRequest& request, std::string_view token);
  net::Response refuse(Source& source, const Error& error);

  const std::vector<Due*> due_;
  const Clock& clock_;
  const Logger log_;
  std::atomic<bool> leading_ = true;
  std::map<std::string, std::unique_ptr<Source>, std::less<>> sources_;
};

}  // namespace tidemark::sweeper
