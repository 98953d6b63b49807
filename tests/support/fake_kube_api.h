// FakeKubeApi: an API server in memory, behind kube::Api.
//
// Purpose: programs and certs/ are tested against it instead of a cluster. It keeps what their code
// depends on: resourceVersion grows with every change (a write that changes nothing keeps it), a
// stale update is 409, a create of an existing object is 409, a JSON Patch is applied as the API
// server does it (a failed test is 422 without causes = kConflict; `test` for null passes on a
// missing key; `replace` of a missing key adds it), items of a list carry no apiVersion and kind,
// a list without namespace covers all of them. Selectors are recorded, not applied.
// Thread-safety: all methods from many threads. Hooks are called without a lock held, so that a
// hook may write to the fake itself: that is how a test makes a concurrent edit.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/api.h"

namespace tidemark::testing {

class FakeKubeApi final : public kube::Api {
 public:
  struct Call {
    std::string verb = {};  // get, list, watch, create, update, patch, delete
    std::string path = {};
    std::string body = {};              // of create, update and patch
    std::string label_selector = {};    // of list and watch
    std::string field_selector = {};    // of list and watch
    std::string resource_version = {};  // of watch
    bool dry_run = false;
  };
  // An error returned by a hook becomes the call's answer.
  using Hook = std::function<std::optional<Error>(const Call&)>;

  // Before a call has any effect.
  void before(Hook hook);
  // After it took effect: an error here is an answer that was lost on the way.
  void after(Hook hook);

  // Creates or replaces the object at its path ("/api/v1/namespaces/a/secrets/b"), as another
  // client would: name, namespace, uid and a new resourceVersion are filled in.
  void put(std::string_view path, std::string_view json);
  void erase(std::string_view path);
  void set_clock(const Clock* clock);  // the server's; must outlive this
  // The stored object; null where there is none.
  nlohmann::json object(std::string_view path) const;

  // What watches of `path` will deliver, in order. A watch waits for more until it is stopped.
  void push_event(std::string_view path, kube::WatchEvent type, std::string_view object_json);
  void end_watch(std::string_view path);                // as the server does after timeoutSeconds
  void fail_watch(std::string_view path, Error error);  // e.g. kGone

  std::vector<Call> calls() const;
  std::vector<Call> calls(std::string_view verb) const;
  void forget_calls();

  Result<std::string> get(std::string_view path, Deadline deadline,
                          std::stop_token stop = {}) override;
  Result<kube::ListResult> list(std::string_view path, const kube::ListOptions& options,
                                const ItemSink& item, Deadline deadline,
                                std::stop_token stop = {}) override;
  Result<std::string> watch(std::string_view path, const kube::WatchOptions& options,
                            const EventSink& event, std::stop_token stop) override;
  Result<std::string> create(std::string_view path, std::string_view body, Deadline deadline,
                             std::stop_token stop = {}) override;
  Result<std::string> update(std::string_view path, std::string_view body, Deadline deadline,
                             std::stop_token stop = {}) override;
  Result<std::string> patch(std::string_view path, std::string_view body,
                            const kube::PatchOptions& options, Deadline deadline,
                            std::stop_token stop = {}) override;
  Status remove(std::string_view path, Deadline deadline, std::stop_token stop = {}) override;
  // nullopt until a test gives the server a clock.
  std::optional<WallTime> server_time() const override;

 private:
  struct WatchStep {
    std::optional<kube::WatchEvent> event;  // nullopt: the end, with `error` or without
    std::optional<Error> error;
    std::string object;
  };

  std::optional<Error> start(const Call& call, const std::stop_token& stop);
  std::optional<Error> finish(const Call& call);
  // Stores under a new resourceVersion unless nothing changed. Called with the lock held.
  std::string store(const std::string& path, nlohmann::json object);

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, nlohmann::json, std::less<>> objects_;
  std::map<std::string, std::deque<WatchStep>, std::less<>> watches_;
  std::vector<Call> calls_;
  const Clock* clock_ = nullptr;
  Hook before_;
  Hook after_;
  std::uint64_t version_ = 100;
  std::uint64_t generated_ = 0;
};

}  // namespace tidemark::testing
