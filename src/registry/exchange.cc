#include "registry/exchange.h"

#include <string>
#include <utility>

#include "registry/answer_error.h"

namespace tidemark::registry {
namespace {

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string_view outcome_of(const Result<net::Response>& response) {
  if (!response) return to_string(response.error().kind);
  const int status = response->status;
  if (status < 400) return is_redirect(status) ? "redirect" : "ok";
  if (status == 401) return to_string(ErrorKind::kUnauthorized);
  if (status == 403) return to_string(ErrorKind::kForbidden);
  if (status == 404) return to_string(ErrorKind::kNotFound);
  if (status == 429) return to_string(ErrorKind::kTooMany);
  return to_string(status >= 500 ? ErrorKind::kUnavailable : ErrorKind::kInvalid);
}

}  // namespace

Result<Answer> Exchange::send(std::string_view registry, Operation operation, net::Request request,
                              std::string_view authorization, Deadline deadline,
                              const std::stop_token& stop) const {
  const Deadline whole = deadline.at_most(endpoints_.options_of(registry)->timeout);
  const net::Url origin = request.url;
  const net::Headers headers = request.headers;
  for (std::size_t hop = 0; hop <= kMaxRedirects; ++hop) {
    const bool at_home = request.url.same_origin(origin);
    request.headers = headers;
    if (at_home && !authorization.empty()) {
      request.headers.push_back({"Authorization", std::string(authorization)});
    }
    auto response = endpoints_.client_for(request.url)->send(request, whole, stop);
    metrics_.count_request(registry, operation, outcome_of(response));
    if (!response) {
      // The client names the URL, which after a redirect may hold a signature.
      response.error().message = without_queries(std::move(response.error().message));
      return fail(std::move(response.error()));
    }

    const std::string* location = is_redirect(response->status) && request.method != "POST"
                                      ? net::find_header(response->headers, "Location")
                                      : nullptr;
    if (location == nullptr) {
      return Answer{.response = std::move(*response), .from_elsewhere = !at_home};
    }
    auto next = request.url.resolve(*location);
    if (!next) return fail(within("redirect", next.error()));
    if (request.url.tls && !next->tls) {
      return fail(ErrorKind::kInvalid, "redirect from https to http is not followed");
    }
    // What a token server answers is sent to the registry that named it: following it elsewhere
    // would let a registry read another host's answers.
    if (operation == Operation::kToken && !next->same_origin(origin)) {
      return fail(ErrorKind::kForbidden, "redirect to another host is not followed");
    }
    request.url = std::move(*next);
  }
  return fail(ErrorKind::kInvalid, "more than 5 redirects");
}

}  // namespace tidemark::registry
