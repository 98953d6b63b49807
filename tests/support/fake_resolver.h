// FakeResolver: a registry::Resolver that answers by script and records what it was asked.
//
//   FakeResolver resolver;
//   resolver.serve("registry.test/app:1", fake_digest('a'));
//   ... code under test ...
//   resolver.serve("registry.test/app:1", fake_digest('b'));  // the tag moves
//   EXPECT_EQ(resolver.calls_for("registry.test/app:1"), 2U);
//
// Names are normalised as images are: "nginx" and "docker.io/library/nginx:latest" are one. What no
// script names is kNotFound. An expired deadline answers kTimeout and a requested stop kCanceled,
// as the real resolvers do. Thread-safety: all of it; a function given to answer() runs without the
// lock, so that it may block (on a latch) while others ask.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "image/digest.h"
#include "image/reference.h"
#include "registry/resolver.h"

namespace tidemark::testing {

// "sha256:" and 64 times `hex` (one of 0-9, a-f).
inline image::Digest fake_digest(char hex) {
  return image::Digest::parse("sha256:" + std::string(64, hex)).value();
}

class FakeResolver final : public registry::Resolver {
 public:
  using Answer = std::function<Result<registry::Resolution>(
      const registry::Query& query, Deadline deadline, const std::stop_token& stop)>;

  static constexpr std::string_view kIndexMediaType = "application/vnd.oci.image.index.v1+json";

  // From now on `name` resolves to `digest`; its credential_source is that of the first credential.
  void serve(std::string_view name, image::Digest digest) {
    answer(name, [digest = std::move(digest)](const registry::Query& query, Deadline,
                                              const std::stop_token&) {
      return registry::Resolution{
          .digest = digest,
          .media_type = std::string(kIndexMediaType),
          .credential_source = query.credentials.empty() ? "" : query.credentials.front().source};
    });
  }
  // From now on `name` fails with `error`.
  void refuse(std::string_view name, Error error) {
    answer(name,
           [error = std::move(error)](const registry::Query&, Deadline, const std::stop_token&)
               -> Result<registry::Resolution> { return tidemark::fail(error); });
  }
  void refuse(std::string_view name, ErrorKind kind, std::string message) {
    refuse(name, Error{.kind = kind, .message = std::move(message)});
  }
  // From now on `repository` ("registry.test/app") has these tags.
  void serve_tags(const std::string& repository, std::vector<std::string> tags) {
    const std::lock_guard lock(mutex_);
    tags_.insert_or_assign(repository_of(repository + ":any"), std::move(tags));
  }
  void refuse_tags(const std::string& repository, Error error) {
    const std::lock_guard lock(mutex_);
    tags_.insert_or_assign(repository_of(repository + ":any"), tidemark::fail(std::move(error)));
  }
  // When images of this digest were made, whatever their names.
  void serve_creation(const image::Digest& digest, Result<WallTime> time) {
    const std::lock_guard lock(mutex_);
    creations_.insert_or_assign(digest.str(), std::move(time));
  }
  std::size_t creations_asked() const {
    const std::lock_guard lock(mutex_);
    return creations_asked_;
  }
  Result<registry::Creation> created(const registry::Query& query, Deadline deadline,
                                     std::stop_token stop = {}) override {
    const std::string key = query.reference.str();
    if (stop.stop_requested()) return tidemark::fail(ErrorKind::kCanceled, key + ": canceled");
    if (deadline.expired()) return tidemark::fail(ErrorKind::kTimeout, key + ": timed out");
    const std::lock_guard lock(mutex_);
    ++creations_asked_;
    const auto found = creations_.find(query.reference.digest().value().str());
    if (found == creations_.end()) {
      return tidemark::fail(ErrorKind::kInvalid, key + ": the image does not say when it was made");
    }
    if (!found->second) return tidemark::fail(found->second.error());
    return registry::Creation{.time = *found->second};
  }
  // How often tags were listed, of all repositories.
  std::size_t lists() const {
    const std::lock_guard lock(mutex_);
    return lists_;
  }
  Result<registry::TagList> tags(const registry::Query& query, Deadline deadline,
                                 std::stop_token stop = {}) override {
    const std::string key = repository_of(query.reference.str());
    if (stop.stop_requested()) return tidemark::fail(ErrorKind::kCanceled, key + ": canceled");
    if (deadline.expired()) return tidemark::fail(ErrorKind::kTimeout, key + ": timed out");
    const std::lock_guard lock(mutex_);
    ++lists_;
    const auto found = tags_.find(key);
    if (found == tags_.end()) {
      return tidemark::fail(Error{
          .kind = ErrorKind::kNotFound, .message = key + ": name unknown", .http_status = 404});
    }
    if (!found->second) return tidemark::fail(found->second.error());
    return registry::TagList{
        .tags = *found->second,
        .credential_source = query.credentials.empty() ? "" : query.credentials.front().source};
  }

  // From now on `function` answers for `name`.
  void answer(std::string_view name, Answer function) {
    const std::string key = normalise(name);
    const std::lock_guard lock(mutex_);
    answers_.insert_or_assign(key, std::move(function));
  }
  // From now on nothing is known of `name`.
  void forget(std::string_view name) {
    const std::string key = normalise(name);
    const std::lock_guard lock(mutex_);
    answers_.erase(key);
  }

  void tell_quota(registry::QuotaLeft quota) {
    const std::lock_guard lock(mutex_);
    quotas_ = {std::move(quota)};
  }
  std::vector<registry::QuotaLeft> quotas() override {
    const std::lock_guard lock(mutex_);
    return quotas_;
  }

  // Every query so far, in the order in which they came.
  std::vector<registry::Query> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::size_t calls_for(std::string_view name) const {
    const std::string key = normalise(name);
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const registry::Query& call : calls_) count += call.reference.str() == key ? 1U : 0U;
    return count;
  }
  void clear_calls() {
    const std::lock_guard lock(mutex_);
    calls_.clear();
  }

  Result<registry::Resolution> resolve(const registry::Query& query, Deadline deadline,
                                       std::stop_token stop = {}) override {
    const std::string key = query.reference.str();
    Answer function;
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(query);
      if (const auto found = answers_.find(key); found != answers_.end()) function = found->second;
    }
    if (stop.stop_requested()) return tidemark::fail(ErrorKind::kCanceled, key + ": canceled");
    if (deadline.expired()) return tidemark::fail(ErrorKind::kTimeout, key + ": timed out");
    if (!function) {
      return tidemark::fail(Error{
          .kind = ErrorKind::kNotFound, .message = key + ": manifest unknown", .http_status = 404});
    }
    return function(query, deadline, stop);
  }

 private:
  static std::string normalise(std::string_view name) {
    return image::Reference::parse(name).value().str();
  }

  static std::string repository_of(std::string_view name) {
    return image::Reference::parse(name).value().name();
  }

  mutable std::mutex mutex_;
  std::map<std::string, Result<std::vector<std::string>>, std::less<>> tags_;
  std::size_t lists_ = 0;
  std::map<std::string, Result<WallTime>, std::less<>> creations_;  // by digest
  std::size_t creations_asked_ = 0;
  std::vector<registry::QuotaLeft> quotas_;
  std::map<std::string, Answer, std::less<>> answers_;
  std::vector<registry::Query> calls_;
};

}  // namespace tidemark::testing
