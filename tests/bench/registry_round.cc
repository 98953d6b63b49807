// What a sweep's check costs at a registry, and what another registry that hangs costs this one.
//
//   registry_round REFERENCES LATENCY_MS REQUESTS_PER_SECOND HANGING
//
// Serves a registry that wants bearer tokens and takes LATENCY_MS for every answer, those of its
// token server included, and checks so many references of it once (over kRepositories, a scope
// each), by the sweeper's own code and with its defaults. REQUESTS_PER_SECOND: of the registry's
// entry, 0 for none. HANGING: as many references of a registry that accepts and never answers, in
// turn with the others. Prints one JSON object; `seconds` is from the beginning until the last
// answer of the registry that is well.
//
// Servers and client share a process, so that their clock is one; with a latency of 0 it tells what
// the two of them take by themselves.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/server.h"
#include "registry/stack.h"
#include "sweeper/check.h"
#include "workload/kind.h"

namespace {

using namespace tidemark;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kRepositories = 40;      // a scope each
constexpr std::chrono::seconds kLongest{150};  // past CheckOptions::whole nobody is asked

std::string repository(std::size_t number) {
  return "bench/app" + std::to_string(number % kRepositories);
}

std::string digest_text() { return "sha256:" + std::string(64, 'a'); }

// Tokens are of one scope: what was given for another repository opens nothing.
class WellRegistry {
 public:
  explicit WellRegistry(std::chrono::milliseconds latency) : latency_(latency) {}

  Status start() {
    auto server = net::Server::start(
        {.listen = "127.0.0.1:0"},
        [this](const net::ServerRequest& request) {
          note(request);
          std::this_thread::sleep_for(latency_);
          return answer(request);
        },
        Logger::none());
    if (!server) return fail(server.error());
    server_ = std::move(*server);
    return {};
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  // Adds what it saw; `begin` of the client's.
  void tell(nlohmann::json& out, SteadyTime begin) const {
    const std::lock_guard lock(mutex_);
    std::size_t most = 0;
    for (const auto& [scope, count] : tokens_) most = std::max(most, count);
    out["manifests"] = manifests_;
    out["refused"] = refused_;
    out["scopes"] = tokens_.size();
    out["tokens_of_a_scope"] = most;
    out["in_a_second"] = most_in_a_second();
    out["requests"] = asked_.size();
    out["seconds"] = Seconds(last_ - begin).count();
    if (asked_.size() > 1) {
      out["per_second"] =
          static_cast<double>(asked_.size() - 1) / Seconds(asked_.back() - asked_.front()).count();
    }
  }

 private:
  void note(const net::ServerRequest& request) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::chrono::steady_clock::now());
    if (request.path == "/token") ++tokens_[std::string(request.query)];
  }
  net::Response answer(const net::ServerRequest& request) {
    if (request.path == "/token") {
      // scope=repository%3Abench%2Fapp7%3Apull
      const std::string_view query = request.query;
      const std::size_t app = query.find("app");
      const std::string name(query.substr(app, query.find('%', app) - app));
      return {.status = 200,
              .headers = {{"Content-Type", "application/json"}},
              .body = R"({"expires_in":300,"token":"of-)" + name + "\"}"};
    }
    const std::string_view rest = request.path.substr(std::string_view("/v2/bench/").size());
    const std::string name(rest.substr(0, rest.find('/')));
    const std::string* sent = net::find_header(request.headers, "Authorization");
    const bool known = sent != nullptr && *sent == "Bearer of-" + name;
    const std::lock_guard lock(mutex_);
    if (!known) {
      ++refused_;
      return {.status = 401,
              .headers = {{"WWW-Authenticate", "Bearer realm=\"http://" + host() +
                                                   "/token\",service=\"bench\",scope=\"repository:"
                                                   "bench/" +
                                                   name + ":pull\""}},
              .body = {}};
    }
    ++manifests_;
    last_ = std::chrono::steady_clock::now();
    return {.status = 200,
            .headers = {{"Content-Type", "application/vnd.oci.image.index.v1+json"},
                        {"Docker-Content-Digest", digest_text()}},
            .body = {}};
  }
  // asked_ is in order.
  std::size_t most_in_a_second() const {
    std::size_t most = 0;
    std::size_t first = 0;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      while (asked_[i] - asked_[first] >= std::chrono::seconds{1}) ++first;
      most = std::max(most, i - first + 1);
    }
    return most;
  }

  const std::chrono::milliseconds latency_;
  mutable std::mutex mutex_;
  std::vector<SteadyTime> asked_;
  std::map<std::string, std::size_t> tokens_;  // by scope
  std::size_t manifests_ = 0;
  std::size_t refused_ = 0;
  SteadyTime last_{};
  std::unique_ptr<net::Server> server_;  // last: its handlers use the others
};

// Takes every request and answers none until it ends.
class HangingRegistry {
 public:
  HangingRegistry() = default;
  HangingRegistry(const HangingRegistry&) = delete;
  HangingRegistry& operator=(const HangingRegistry&) = delete;
  ~HangingRegistry() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    ends_.notify_all();
  }

  Status start() {
    auto server = net::Server::start(
        {.listen = "127.0.0.1:0"},
        [this](const net::ServerRequest&) {
          std::unique_lock lock(mutex_);
          ++asked_;
          ends_.wait_for(lock, kLongest, [this] { return over_; });
          return net::Response{.status = 503, .headers = {}, .body = {}};
        },
        Logger::none());
    if (!server) return fail(server.error());
    server_ = std::move(*server);
    return {};
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  std::size_t asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ends_;
  bool over_ = false;
  std::size_t asked_ = 0;
  std::unique_ptr<net::Server> server_;  // last: its handlers use the others
};

void add_workloads(sweeper::Workloads& out, const workload::Kind& kind, const std::string& host,
                   std::size_t references) {
  for (std::size_t i = 0; i < references; ++i) {
    const std::string name = host + "/" + repository(i) + ":t" + std::to_string(i / kRepositories);
    const auto reference = image::Reference::parse(name).value();
    sweeper::Workload made;
    made.kind = &kind;
    made.ns = "bench";
    made.name = "app-" + std::to_string(i + 1);
    made.service_account = "default";
    sweeper::TrackedSlot& slot = made.slots.emplace_back();
    slot.state = sweeper::TrackedSlot::State::kSweepable;
    slot.id = "app";
    slot.written = name;
    slot.stamp = workload::Stamp::make(reference, image::Digest::parse(digest_text()).value());
    slot.reference = reference;
    out.push_back(sweeper::share(std::move(made)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 5) {
    std::cerr << "usage: registry_round REFERENCES LATENCY_MS REQUESTS_PER_SECOND HANGING\n";
    return 2;
  }
  const std::size_t references = std::stoul(arguments[1]);
  const std::size_t rate = std::stoul(arguments[3]);
  const std::size_t hanging_references = std::stoul(arguments[4]);
  WellRegistry well(std::chrono::milliseconds{std::stoul(arguments[2])});
  HangingRegistry hanging;
  for (const Status& started : {well.start(), hanging.start()}) {
    if (started) continue;
    std::cerr << started.error().message << "\n";
    return 1;
  }

  registry::ResolverOptions options;
  options.addresses.allow_loopback = true;
  options.user_agent = "tidemark-bench";
  options.registries = {{.host = well.host(), .plain_http = true},
                        {.host = hanging.host(), .plain_http = true}};
  if (rate > 0) options.registries[0].spacing = std::chrono::microseconds{1'000'000 / rate};
  const SystemClock clock;
  Metrics metrics;
  const auto resolver = registry::make_resolver(options, clock, metrics, Logger::none());
  if (!resolver) {
    std::cerr << resolver.error().message << "\n";
    return 1;
  }

  const workload::KindTable kinds;
  const workload::Kind& kind = *kinds.find("apps", "Deployment");
  sweeper::Workloads workloads;
  add_workloads(workloads, kind, well.host(), references);
  add_workloads(workloads, kind, hanging.host(), hanging_references);
  sweeper::PullCredentials credentials(nullptr, clock);
  const sweeper::CheckOptions check;

  const SteadyTime begin = clock.steady_now();
  const sweeper::CheckResult result =
      sweeper::check(workloads, **resolver, credentials, sweeper::Answers{}, check);
  const Seconds whole = clock.steady_now() - begin;

  nlohmann::json out{
      {"whole", whole.count()},
      {"asked", result.asked},
      {"failed", result.failed},
      {"hanging_asked", hanging.asked()},
      {"concurrency", std::min(check.concurrency, options.registries[0].max_concurrency)}};
  well.tell(out, begin);
  std::cout << out.dump() << "\n";
  return 0;
}
