#include "sweeper/live_status.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <set>
#include <utility>

#include "base/fnv.h"
#include "net/answers.h"
#include "push/authenticate.h"
#include "sweeper/status_json.h"

namespace tidemark::sweeper {
namespace {

// An answer over 10,000 workloads takes a quarter of that; who waits longer falls back anyway.
constexpr std::chrono::seconds kPatience{1};
// As many as a configuration may name.
constexpr std::size_t kMaxNamespaces = 100;

// 128 bits of the system's randomness.
std::string random_key() {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::random_device random;
  std::string out;
  for (int i = 0; i < 4; ++i) {
    auto bits = random();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4) out += kDigits[bits & 0xF];
  }
  return out;
}

bool is_key(std::string_view shown, const std::string& key) {
  return push::authenticate({.secrets = {key}}, {}, shown, "").has_value();
}

// "namespace=a&namespace=b". Names need no percent-encoding.
Result<std::set<std::string>> namespaces_of(std::string_view query) {
  constexpr std::string_view kName = "namespace=";
  std::set<std::string> out;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (!part.starts_with(kName) || !workload::is_dns_label(part.substr(kName.size()))) {
      return fail(ErrorKind::kInvalid, "only namespace=NAME may be asked for");
    }
    out.emplace(part.substr(kName.size()));
    if (out.size() > kMaxNamespaces) return fail(ErrorKind::kInvalid, "too many namespaces");
  }
  return out;
}

// Of what the sweeper looks at: those that were asked for.
void narrow(KnownRows& known, const std::set<std::string>& namespaces) {
  if (namespaces.empty()) return;
  std::erase_if(known.status.rows,
                [&](const StatusRow& row) { return !namespaces.contains(row.ns); });
  std::erase_if(known.status.problems, [&](const CollectProblem& problem) {
    return !problem.ns.empty() && !namespaces.contains(problem.ns);
  });
  std::erase_if(known.unasked,
                [&](const auto& entry) { return !namespaces.contains(entry.first); });
}

std::map<std::string, std::size_t> unasked(const std::vector<WorkloadPlan>& plans) {
  std::map<std::string, std::size_t> out;
  for (const WorkloadPlan& plan : plans) {
    const auto count = std::ranges::count_if(plan.slots, &SlotPlan::unasked);
    if (count > 0) out[plan.ns()] += static_cast<std::size_t>(count);
  }
  return out;
}

// Equal for equal parts in the same order.
class Fingerprint {
 public:
  void add(std::string_view part) {
    constexpr std::string_view kEnd = "\xff";  // in no UTF-8 text: "a", "b" is not "ab"
    value_ = fnv1a(kEnd, fnv1a(part, value_));
  }
  void add(std::size_t number) { add(std::to_string(number)); }
  void add(const std::optional<image::Digest>& digest) {
    add(digest ? std::string_view(digest->str()) : std::string_view());
  }
  std::string str() const { return to_hex(value_); }

 private:
  std::uint64_t value_ = kFnvBasis;
};

void add(Fingerprint& print, const StatusRow& row) {
  for (const std::string_view part :
       {std::string_view(row.ns), std::string_view(row.workload), std::string_view(row.slot),
        std::string_view(row.image), to_string(row.verdict), std::string_view(row.reason),
        std::string_view(row.since), std::string_view(row.rolled_from)}) {
    print.add(part);
  }
  print.add(row.stamped);
  print.add(row.registry);
  for (const auto& [digest, pods] : row.running.pods) {
    print.add(digest.str());
    print.add(pods);
  }
  print.add(row.running.without);
}

int status_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalid:
      return 400;
    case ErrorKind::kTooLarge:
      return 413;
    default:
      return 503;
  }
}

}  // namespace

std::string generation_of(const KnownRows& rows) {
  Fingerprint print;
  for (const StatusRow& row : rows.status.rows) add(print, row);
  for (const auto* problems : {&rows.status.problems, &rows.pods}) {
    for (const CollectProblem& problem : *problems) {
      print.add(problem.ns);
      print.add(problem.what);
      print.add(problem.error.message);
    }
  }
  for (const registry::QuotaLeft& quota : rows.quotas) {
    print.add(quota.registry);
    print.add(quota.left);
    print.add(quota.limit);
  }
  return print.str();
}

LiveStatus::LiveStatus(const SweepContext& context, SweepOptions options)
    : context_(context), options_(std::move(options)), key_(random_key()) {}

std::string LiveStatus::announcement(std::uint16_t port) const {
  return std::to_string(port) + "/" + key_;
}

void LiveStatus::lead(Inventory& inventory) {
  const std::lock_guard lock(busy_);
  inventory_ = &inventory;
  const std::lock_guard of_stop(stop_mutex_);
  stop_ = std::stop_source();
}

void LiveStatus::stand_by() {
  {
    const std::lock_guard of_stop(stop_mutex_);
    stop_.request_stop();
  }
  const std::lock_guard lock(busy_);
  inventory_ = nullptr;
  shared_.reset();
  const std::lock_guard of_learned(learned_mutex_);
  learned_.reset();
}

void LiveStatus::learned(const SweepReport& report, bool whole) {
  auto learned = std::make_shared<const Learned>(learned_by(report));
  const std::lock_guard lock(learned_mutex_);
  learned_ = std::move(learned);
  if (whole) whole_sweep_ = context_.clock.steady_now();
}

net::Response LiveStatus::answer(const net::ServerRequest& request) {
  if (!request.path.starts_with(kStatusPath) ||
      !is_key(request.path.substr(kStatusPath.size()), key_)) {
    return net::error_answer(404, "no such key: it stands in the Lease of the sweeper that leads");
  }
  if (request.method != "GET") return net::wrong_method("GET");
  auto body = encode(request.query);
  if (body) return net::json_answer(200, std::move(*body));
  return net::error_answer(status_of(body.error()), body.error().message);
}

Result<std::string> LiveStatus::encode(std::string_view query) {
  const auto namespaces = namespaces_of(query);
  if (!namespaces) return fail(namespaces.error());
  const std::unique_lock lock(busy_, kPatience);
  if (!lock.owns_lock()) return fail(ErrorKind::kUnavailable, "busy with other answers");
  auto known = make();
  if (!known) return fail(known.error());
  if (!known->pods.empty()) {
    return fail(within("what pods run is not known", known->pods.front().error));
  }
  narrow(*known, *namespaces);
  SweeperStatus out{
      .status = std::move(known->status), .selection = options_.selection, .age = known->age};
  for (const auto& [ns, count] : known->unasked) out.unasked += count;
  return encode_answer(out);
}

Result<std::shared_ptr<const KnownRows>> LiveStatus::rows() {
  const std::unique_lock lock(busy_, kPatience);
  if (!lock.owns_lock()) return fail(ErrorKind::kUnavailable, "busy with other answers");
  asked_ = context_.clock.steady_now();
  if (shared_ && asked_ - made_ < kRowsAreFresh) return shared_;
  shared_.reset();
  auto known = make();
  if (!known) return fail(known.error());
  known->generation = generation_of(*known);
  made_ = context_.clock.steady_now();
  shared_ = std::make_shared<const KnownRows>(std::move(*known));
  return shared_;
}

void LiveStatus::let_go() {
  const std::lock_guard lock(busy_);
  if (context_.clock.steady_now() - asked_ >= kRowsAreKept) shared_.reset();
}

Result<KnownRows> LiveStatus::make() {
  if (inventory_ == nullptr) return fail(ErrorKind::kUnavailable, "another replica leads");
  KnownRows out;
  std::shared_ptr<const Learned> learned;
  {
    const std::lock_guard of_learned(learned_mutex_);
    learned = learned_;
    out.age = std::chrono::duration_cast<std::chrono::seconds>(context_.clock.steady_now() -
                                                               whole_sweep_);
  }
  if (!learned) return fail(ErrorKind::kUnavailable, "no sweep yet");
  std::stop_token stop;
  {
    const std::lock_guard of_stop(stop_mutex_);
    stop = stop_.get_token();
  }
  const Source source = [this](const std::stop_token& asked) {
    return inventory_->snapshot(asked);
  };
  auto planned = plan_again(context_, options_, source, *learned, stop);
  if (!planned) return fail(planned.error());
  RunningPods running = inventory_->running();
  out.status.problems = std::move(planned->problems);
  out.pods = std::move(running.problems);
  out.unasked = unasked(planned->plans);
  out.status.rows = rows_of(std::move(planned->plans), running.by_workload);
  out.quotas = context_.resolver.quotas();
  return out;
}

}  // namespace tidemark::sweeper
