// Exchange: one request to a registry or its token server, redirects followed.
//
// Purpose: the one place that decides what a redirect may carry. At most kMaxRedirects; never from
// https to http; Authorization goes to the origin that it was meant for and to no other. Token
// requests stay on their origin, and POST is not redirected. Every request is counted.
// Thread-safety: send() from any thread. Ownership: views of what is passed in, which must outlive
// it. Errors: those of net::HttpClient, kInvalid and kForbidden for a redirect that must not be
// followed. Source: RFC 9110 section 15.4, containerd's CVE-2020-15157 for what goes wrong
// otherwise.
#pragma once

#include <cstddef>
#include <stop_token>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "registry/endpoints.h"
#include "registry/registry_metrics.h"

namespace tidemark::registry {

inline constexpr std::size_t kMaxRedirects = 5;

struct Answer {
  net::Response response;
  // The answer comes from another origin than was asked: its challenge is not for our credentials.
  bool from_elsewhere = false;
};

class Exchange {
 public:
  Exchange(const Endpoints& endpoints, RegistryMetrics& metrics)
      : endpoints_(endpoints), metrics_(metrics) {}

  // `registry`: the name under which it is counted, and whose timeout bounds the whole, redirects
  // included, within the caller's deadline. `authorization`: the header, "" for none.
  Result<Answer> send(std::string_view registry, Operation operation, net::Request request,
                      std::string_view authorization, Deadline deadline,
                      const std::stop_token& stop) const;

 private:
  const Endpoints& endpoints_;
  RegistryMetrics& metrics_;
};

}  // namespace tidemark::registry
