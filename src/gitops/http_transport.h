// HttpTransport: Git's smart HTTP protocol for libgit2, over the HTTP client of net/.
//
// Purpose: one TLS stack, and what the client of libgit2 lacks: a deadline and a stop for each
// request, a bound on answers, proxies and roots of each repository's own. An answer (a pack) waits
// in a file without a name, not in memory. Redirects of the first request are followed as git does
// (http.followRedirects=initial), on the same host only, for credentials go with them.
// Thread-safety: one thread. Ownership: outlives the libgit2 call that it is given to.
// Errors: libgit2 sees a failure; what failed is in error(). Source: gitprotocol-http(5).
// For this folder's .cc files only: libgit2's types are in it.
#pragma once

#include <git2/sys/transport.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace tidemark::gitops {

class HttpTransport {
 public:
  // `spool`: a folder for answers; `max_bytes`: of one of them.
  HttpTransport(net::HttpClient& client, std::string authorization, std::filesystem::path spool,
                std::uint64_t max_bytes, Deadline deadline, std::stop_token stop)
      : client_(client),
        authorization_(std::move(authorization)),
        spool_(std::move(spool)),
        max_bytes_(max_bytes),
        deadline_(deadline),
        stop_(std::move(stop)) {}

  // For git_remote_callbacks.transport; `self` is the HttpTransport.
  static int make(git_transport** out, git_remote* owner, void* self);

  // The first thing that failed.
  const std::optional<Error>& error() const { return error_; }

  // For the streams of http_transport.cc.
  // GET of a service's references (an empty body), or POST to a service; the answer goes to `out`.
  Status ask(const std::string& url, git_smart_service_t action, std::string body, int out);
  void failed(Error error) {
    if (!error_) error_ = std::move(error);
  }
  const std::filesystem::path& spool() const { return spool_; }

 private:
  Result<net::Response> send(const net::Request& request, int out);
  Status follow(net::Request& request, const net::Response& answer);

  net::HttpClient& client_;
  const std::string authorization_;
  const std::filesystem::path spool_;
  const std::uint64_t max_bytes_;
  const Deadline deadline_;
  const std::stop_token stop_;
  std::string moved_from_;  // the repository's URL that was redirected, and where to
  std::string moved_to_;
  std::optional<Error> error_;
};

}  // namespace tidemark::gitops
