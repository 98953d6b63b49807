// FakeHttpClient: net::HttpClient that answers from a script and records what it was asked.
//
//   FakeHttpClient http;
//   http.push("HEAD", "https://r.example/v2/", reply(401));  // the first answer
//   http.push("HEAD", "https://r.example/v2/", reply(200));  // then this one
//   http.push("GET", "https://r.example/x", fail(ErrorKind::kTimeout, "slow"));
//   http.on("GET", "https://r.example/token?a=b", [](const Request& request) -> Result<Response> {
//     return reply(200, R"({"token":"t"})");  // every further time
//   });
//   ...
//   EXPECT_EQ(http.count("HEAD", "https://r.example/v2/"), 2u);
//
// An URL is compared with Request::url.str(), query included. For one request the order is: pushed
// answers (first in, first out), then the function given to on(), then the one given to on_any().
// Where none is left the answer is kInternal and the request is listed in unexpected().
// It keeps the promises of the real client that callers lean on: a stop that was requested is
// kCanceled, an expired deadline kTimeout, a body over max_body_bytes kTooLarge, and an answer to
// HEAD has no body.
// Thread-safety: every method from any thread; answers run on the caller's thread, outside the
// lock, so they may block (on a latch) or call the fake again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

namespace tidemark::testing {

// A net::Response in one line: reply(404, "{}", {{"Retry-After", "1"}}).
inline net::Response reply(int status, std::string body = {}, net::Headers headers = {}) {
  return net::Response{.status = status, .headers = std::move(headers), .body = std::move(body)};
}

class FakeHttpClient final : public net::HttpClient {
 public:
  using Answer = std::function<Result<net::Response>(const net::Request&)>;
  // For answers that must see the deadline or the stop, or that hand out pieces themselves.
  // Answers to send() get a sink that collects the body.
  using StreamAnswer = std::function<Result<net::Response>(const net::Request&, const StreamLimits&,
                                                           const Sink&, const std::stop_token&)>;

  // One scripted stream: the pieces are handed to the sink one by one, then `end` is returned (an
  // error such as kUnavailable: the connection broke; nothing: an orderly end).
  struct Stream {
    std::vector<std::string> pieces = {};
    std::optional<Error> end = std::nullopt;
    net::Headers headers = {};
  };

  void push(std::string_view method, std::string_view url, Result<net::Response> answer) {
    enqueue(method, url, [answer = std::move(answer)](const net::Request&) { return answer; });
  }
  void push(std::string_view method, std::string_view url, net::Response answer) {
    push(method, url, Result<net::Response>(std::move(answer)));
  }
  void push(std::string_view method, std::string_view url, std::unexpected<Error> error) {
    push(method, url, Result<net::Response>(std::move(error)));
  }
  void push_answer(std::string_view method, std::string_view url, Answer answer) {
    enqueue(method, url, std::move(answer));
  }
  void push_stream(std::string_view method, std::string_view url, Stream stream) {
    const std::lock_guard lock(mutex_);
    scripts_[key(method, url)].queue.push_back(play(std::move(stream)));
  }
  void on(std::string_view method, std::string_view url, Answer answer) {
    const std::lock_guard lock(mutex_);
    scripts_[key(method, url)].always = whole(std::move(answer));
  }
  void on_stream(std::string_view method, std::string_view url, StreamAnswer answer) {
    const std::lock_guard lock(mutex_);
    scripts_[key(method, url)].always = std::move(answer);
  }
  void on_any(Answer answer) {
    const std::lock_guard lock(mutex_);
    any_ = whole(std::move(answer));
  }

  // Everything that was asked, in order of arrival, unexpected requests included.
  std::vector<net::Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return requests_.size();
  }
  std::size_t count(std::string_view method, std::string_view url) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(requests_, [&](const net::Request& request) {
          return request.method == method && request.url.str() == url;
        }));
  }
  // "METHOD url" of every request that nothing was scripted for.
  std::vector<std::string> unexpected() const {
    const std::lock_guard lock(mutex_);
    return unexpected_;
  }

  Result<net::Response> send(const net::Request& request, Deadline deadline,
                             std::stop_token stop = {}) override {
    const StreamAnswer answer = record(request);
    const StreamLimits limits{.headers = deadline, .idle = deadline.remaining(), .whole = deadline};
    std::string collected;
    const Sink collect = [&](std::string_view piece) {
      collected += piece;
      return true;
    };
    Result<net::Response> response = run(answer, request, limits, collect, stop);
    if (!response) return response;
    response->body.insert(0, collected);
    if (request.method == "HEAD") response->body.clear();
    if (response->body.size() > request.max_body_bytes) return too_large();
    return response;
  }

  Result<net::Response> stream(const net::Request& request, const StreamLimits& limits,
                               const Sink& sink, std::stop_token stop = {}) override {
    const StreamAnswer answer = record(request);
    Result<net::Response> response = run(answer, request, limits, sink, stop);
    if (!response) return response;
    if (response->status / 100 == 2) {
      // A plain answer given to a stream: its body is one piece.
      if (!response->body.empty()) static_cast<void>(sink(response->body));
      response->body.clear();
    } else if (response->body.size() > request.max_body_bytes) {
      return too_large();
    }
    return response;
  }

 private:
  struct Script {
    std::deque<StreamAnswer> queue;
    StreamAnswer always;
  };

  static std::string key(std::string_view method, std::string_view url) {
    return std::string(method) + ' ' + std::string(url);
  }
  static std::unexpected<Error> too_large() {
    return fail(ErrorKind::kTooLarge, "fake: body over max_body_bytes");
  }
  static StreamAnswer whole(Answer answer) {
    return
        [answer = std::move(answer)](const net::Request& request, const StreamLimits&, const Sink&,
                                     const std::stop_token&) { return answer(request); };
  }
  static StreamAnswer play(Stream stream) {
    return [stream = std::move(stream)](const net::Request&, const StreamLimits&, const Sink& sink,
                                        const std::stop_token& stop) -> Result<net::Response> {
      for (const std::string& piece : stream.pieces) {
        if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "fake: canceled");
        if (!sink(piece)) return reply(200, {}, stream.headers);
      }
      if (stream.end) return fail(*stream.end);
      return reply(200, {}, stream.headers);
    };
  }

  void enqueue(std::string_view method, std::string_view url, Answer answer) {
    const std::lock_guard lock(mutex_);
    scripts_[key(method, url)].queue.push_back(whole(std::move(answer)));
  }

  // Records the request and takes its answer; an empty function where nothing is scripted.
  StreamAnswer record(const net::Request& request) {
    const std::string name = key(request.method, request.url.str());
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (const auto found = scripts_.find(name); found != scripts_.end()) {
      Script& script = found->second;
      if (!script.queue.empty()) {
        StreamAnswer answer = std::move(script.queue.front());
        script.queue.pop_front();
        return answer;
      }
      if (script.always) return script.always;
    }
    if (!any_) unexpected_.push_back(name);
    return any_;
  }

  static Result<net::Response> run(const StreamAnswer& answer, const net::Request& request,
                                   const StreamLimits& limits, const Sink& sink,
                                   const std::stop_token& stop) {
    if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "fake: canceled");
    if (limits.headers.expired()) return fail(ErrorKind::kTimeout, "fake: deadline passed");
    if (!answer) {
      return fail(ErrorKind::kInternal,
                  "fake: nothing scripted for " + key(request.method, request.url.str()));
    }
    return answer(request, limits, sink, stop);
  }

  mutable std::mutex mutex_;
  std::map<std::string, Script> scripts_;
  StreamAnswer any_;
  std::vector<net::Request> requests_;
  std::vector<std::string> unexpected_;
};

}  // namespace tidemark::testing
