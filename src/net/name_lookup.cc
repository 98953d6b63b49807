#include "net/name_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace tidemark::net {
namespace {

// More addresses of one name than any client has the time to try.
constexpr std::size_t kMaxAddresses = 16;

struct AddrInfoFree {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

Result<Addresses> resolve_blocking(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* raw = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, AddrInfoFree> list(raw);
  if (code != 0) {
    const std::string why =
        code == EAI_SYSTEM ? std::generic_category().message(errno) : gai_strerror(code);
    return fail(ErrorKind::kUnavailable, "looking up " + host + ": " + why);
  }
  Addresses addresses;
  for (const addrinfo* entry = list.get(); entry != nullptr && addresses.size() < kMaxAddresses;
       entry = entry->ai_next) {
    if (const auto address = SocketAddress::from(*entry->ai_addr)) addresses.push_back(*address);
  }
  if (addresses.empty()) {
    return fail(ErrorKind::kUnavailable, "looking up " + host + ": no address");
  }
  return addresses;
}

// Everything that a lookup thread touches; it may outlive the NameLookup.
struct NameLookup::State {
  explicit State(Options given) : options(std::move(given)) {}

  // One name being looked up, shared by all that wait for it.
  struct Call {
    std::optional<Result<Addresses>> answer;
  };
  struct Cached {
    Addresses addresses;
    SteadyTime until;
  };

  const Options options;
  std::mutex mutex;
  std::condition_variable_any answered;
  std::map<std::string, std::shared_ptr<Call>> calls;
  std::map<std::string, Cached> cache;
  std::deque<std::string> queue;  // names of `calls` that no thread has taken yet
  std::size_t threads = 0;

  const Addresses* cached(const std::string& host) {
    const auto found = cache.find(host);
    if (found == cache.end()) return nullptr;
    if (found->second.until > options.clock->steady_now()) return &found->second.addresses;
    cache.erase(found);
    return nullptr;
  }

  void remember(const std::string& host, const Addresses& addresses) {
    const SteadyTime now = options.clock->steady_now();
    if (cache.size() >= options.max_cached) {
      std::erase_if(cache, [&](const auto& entry) { return entry.second.until <= now; });
    }
    if (cache.size() >= options.max_cached) cache.erase(cache.begin());
    cache[host] = Cached{.addresses = addresses, .until = now + options.ttl};
  }

  // The body of a lookup thread: takes names until none is left.
  void work() {
    std::unique_lock lock(mutex);
    while (!queue.empty()) {
      const std::string host = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      Result<Addresses> answer = options.resolve(host);
      lock.lock();
      if (answer) remember(host, *answer);
      calls.at(host)->answer = std::move(answer);
      calls.erase(host);
      answered.notify_all();
    }
    --threads;
  }
};

Status NameLookup::start_thread(const std::shared_ptr<State>& state) {
  try {
    // Detached: nobody can end a getaddrinfo that hangs, and nobody should wait for it.
    std::thread([state] { state->work(); }).detach();
    return {};
  } catch (const std::system_error& error) {
    return fail(ErrorKind::kUnavailable, error.what());
  }
}

NameLookup::NameLookup(Options options) : state_(std::make_shared<State>(std::move(options))) {}

Result<Addresses> NameLookup::lookup(const std::string& host, Deadline deadline,
                                     std::stop_token stop) {
  if (const auto literal = SocketAddress::parse(host)) return Addresses{*literal};

  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (const Addresses* addresses = state.cached(host)) return *addresses;

  std::shared_ptr<State::Call> call;
  if (const auto found = state.calls.find(host); found != state.calls.end()) {
    call = found->second;
  } else {
    if (state.queue.size() >= state.options.max_waiting) {
      return fail(ErrorKind::kUnavailable, "looking up " + host + ": too many names are waiting");
    }
    if (state.threads < state.options.max_threads) {
      const Status started = start_thread(state_);
      // Where some thread runs already, it will take this name too.
      if (!started && state.threads == 0)
        return fail(within("looking up " + host, started.error()));
      if (started) ++state.threads;
    }
    call = std::make_shared<State::Call>();
    state.calls.emplace(host, call);
    state.queue.push_back(host);
  }

  const bool done = state.answered.wait_until(lock, stop, deadline.point(),
                                              [&] { return call->answer.has_value(); });
  if (done) return *call->answer;
  if (stop.stop_requested()) return fail(ErrorKind::kCanceled, "looking up " + host + ": stopped");
  return fail(ErrorKind::kTimeout, "looking up " + host + ": no answer in time");
}

}  // namespace tidemark::net
