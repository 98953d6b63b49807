#include "registry/mirrors.h"

#include <utility>

namespace tidemark::registry {
namespace {

using std::chrono::milliseconds;

// A comparison delays nobody.
constexpr milliseconds kComparison{10'000};
constexpr std::size_t kMaxQueued = 16;

// The image at a mirror; nullopt where its name would be none (longer than 255 characters).
std::optional<image::Reference> at(const std::string& mirror, const image::Reference& reference) {
  std::string name = mirror + "/";
  name += reference.repository();
  if (reference.tag()) name.append(":").append(*reference.tag());
  if (reference.digest()) name += "@" + reference.digest()->str();
  auto parsed = image::Reference::parse(name);
  return parsed ? std::optional(std::move(*parsed)) : std::nullopt;
}

Query moved_to(const image::Reference& reference, const Query& query) {
  Query out = query;
  out.reference = reference;
  out.credentials.clear();
  return out;
}

}  // namespace

Result<MirrorPolicy> parse_mirror_policy(std::string_view text) {
  if (text == "mirror") return MirrorPolicy::kMirror;
  if (text == "origin") return MirrorPolicy::kOrigin;
  return fail(ErrorKind::kInvalid, "must be mirror or origin");
}

Mirrors::Mirrors(const Endpoints& endpoints, Resolver& next, const Clock& clock,
                 RegistryMetrics& metrics, Logger log)
    : endpoints_(endpoints),
      next_(next),
      clock_(clock),
      metrics_(metrics),
      log_(std::move(log)),
      compared_(kMaxRemembered) {}

Mirrors::~Mirrors() { stop_.request_stop(); }

Result<Resolution> Mirrors::resolve(const Query& query, Deadline deadline, std::stop_token stop) {
  const auto options = endpoints_.options_of(query.reference.registry());
  if (options->mirrors.empty()) return next_.resolve(query, deadline, std::move(stop));
  std::string causes;
  if (options->mirror_policy == MirrorPolicy::kMirror) {
    for (const std::string& mirror : options->mirrors) {
      const auto there = at(mirror, query.reference);
      if (!there) continue;
      // Two thirds of what is left: enough to be heard, and the next can still be asked.
      auto result = next_.resolve(moved_to(*there, query),
                                  deadline.at_most(deadline.remaining() * 2 / 3), stop);
      if (result) {
        compare_later(query, mirror, result->digest);
        return result;
      }
      if (result.error().kind == ErrorKind::kCanceled) return result;
      causes += "; mirror " + result.error().message;
    }
  }
  auto result = next_.resolve(query, deadline, std::move(stop));
  if (!result) {
    result.error().message += causes;
  } else if (options->mirror_policy == MirrorPolicy::kOrigin) {
    compare_later(query, "", result->digest);
  }
  return result;
}

template <typename Ask>
auto Mirrors::ask_in_turn(const Query& query, Deadline deadline, Ask ask)
    -> std::invoke_result_t<Ask, const Query&, Deadline> {
  const auto options = endpoints_.options_of(query.reference.registry());
  std::string causes;
  if (options->mirror_policy == MirrorPolicy::kMirror) {
    for (const std::string& mirror : options->mirrors) {
      const auto there = at(mirror, query.reference);
      if (!there) continue;
      auto result = ask(moved_to(*there, query), deadline.at_most(deadline.remaining() * 2 / 3));
      if (result || result.error().kind == ErrorKind::kCanceled) return result;
      causes += "; mirror " + result.error().message;
    }
  }
  auto result = ask(query, deadline);
  if (!result) result.error().message += causes;
  return result;
}

Result<TagList> Mirrors::tags(const Query& query, Deadline deadline, std::stop_token stop) {
  return ask_in_turn(query, deadline, [&](const Query& asked, Deadline until) {
    return next_.tags(asked, until, stop);
  });
}

Result<Creation> Mirrors::created(const Query& query, Deadline deadline, std::stop_token stop) {
  return ask_in_turn(query, deadline, [&](const Query& asked, Deadline until) {
    return next_.created(asked, until, stop);
  });
}

std::optional<Result<Resolution>> Mirrors::known(const Query& query) {
  const auto options = endpoints_.options_of(query.reference.registry());
  if (options->mirror_policy == MirrorPolicy::kMirror) {
    for (const std::string& mirror : options->mirrors) {
      const auto there = at(mirror, query.reference);
      if (!there) continue;
      auto answer = next_.known(moved_to(*there, query));
      if (!answer || *answer) return answer;
    }
  }
  return next_.known(query);
}

bool Mirrors::is_due(const image::Reference& reference) {
  const SteadyTime now = clock_.steady_now();
  const auto passed = [&](const std::string& key, milliseconds time) {
    const SteadyTime* last = compared_.find(key);
    return last == nullptr || now - *last >= time;
  };
  const std::string image = reference.str();
  const std::string& registry = reference.registry();
  if (!passed(registry, kSpacing) || !passed(image, kEvery)) return false;
  compared_.put(registry, now);
  compared_.put(image, now);
  return true;
}

// `answered_by`: the mirror, "" for the registry itself.
void Mirrors::compare_later(const Query& query, const std::string& answered_by,
                            const image::Digest& has) {
  const std::lock_guard lock(mutex_);
  if (!is_due(query.reference)) return;
  if (!pool_) pool_ = std::make_unique<WorkerPool>(1, kMaxQueued);
  // One that finds no place is left out.
  (void)pool_->submit([this, query, answered_by, has] { compare(query, answered_by, has); });
}

void Mirrors::compare(const Query& query, const std::string& answered_by,
                      const image::Digest& has) {
  const std::string& registry = query.reference.registry();
  const Deadline deadline = Deadline::after(kComparison);
  const auto judge = [&](Query other, const std::string& mirror) {
    other.with_platforms = false;
    other.stale_ok = false;
    other.max_age = milliseconds{0};
    const auto result = next_.resolve(other, deadline, stop_.get_token());
    if (!result) {
      metrics_.count_comparison(registry, RegistryMetrics::Comparison::kUnanswered);
      return;
    }
    if (result->digest == has) {
      metrics_.count_comparison(registry, RegistryMetrics::Comparison::kSame);
      return;
    }
    metrics_.count_comparison(registry, RegistryMetrics::Comparison::kDifferent);
    const std::string name = query.reference.str();
    log_.warn("a mirror and its registry disagree",
              {{"reference", name},
               {"mirror", mirror},
               {"mirror_digest", answered_by.empty() ? result->digest.str() : has.str()},
               {"registry_digest", answered_by.empty() ? has.str() : result->digest.str()}});
  };
  if (!answered_by.empty()) {
    judge(query, answered_by);
    return;
  }
  for (const std::string& mirror : endpoints_.options_of(registry)->mirrors) {
    if (const auto there = at(mirror, query.reference)) judge(moved_to(*there, query), mirror);
  }
}

}  // namespace tidemark::registry
