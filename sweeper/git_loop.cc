#include "sweeper/git_loop.h"

#include <algorithm>
#include <span>
#include <utility>

#include "sweeper/choose.h"
#include "sweeper/flux_status.h"

namespace tidemark::sweeper {
namespace {

constexpr std::string_view kGroup = "image.toolkit.fluxcd.io";
constexpr std::string_view kSourceApi = "source.toolkit.fluxcd.io/v1";
constexpr std::chrono::seconds kOneRequest{10};
constexpr std::chrono::seconds kOneList{60};
// Each is an object of a few KiB; nobody has as many.
constexpr std::size_t kMaxObjects = 10'000;

// read_flux_version(); "" where nothing of it is installed.
Result<std::string> served_version(kube::Api& api, const std::stop_token& stop) {
  const auto group = api.get("/apis/" + std::string(kGroup), Deadline::after(kOneRequest), stop);
  if (!group && group.error().kind == ErrorKind::kNotFound) return std::string();
  if (!group) return fail(group.error());
  return read_flux_version(*group);
}

template <typename Object>
Status read_all(kube::Api& api, const std::string& version, const char* plural,
                Result<Object> (*read)(std::string_view), std::vector<Object>& out,
                const std::stop_token& stop) {
  const auto add = [&](std::string_view json) -> Status {
    if (out.size() >= kMaxObjects) return fail(ErrorKind::kTooLarge, "too many objects");
    auto object = read(json);
    if (!object) return fail(object.error());
    out.push_back(std::move(*object));
    return {};
  };
  const auto listed = api.list(kube::resource_path(std::string(kGroup) + "/" + version, plural), {},
                               add, Deadline::after(kOneList), stop);
  if (!listed) return fail(within(std::string("Flux's ") + plural, listed.error()));
  return {};
}

void read_sources(kube::Api& api, FluxObjects& out, const std::stop_token& stop) {
  for (const FluxAutomation& each : out.automations) {
    if (out.sources.contains(each.source) || each.source.ends_with('/')) continue;
    const std::size_t slash = each.source.find('/');
    const auto json =
        api.get(kube::resource_path(kSourceApi, "gitrepositories", each.source.substr(0, slash),
                                    each.source.substr(slash + 1)),
                Deadline::after(kOneRequest), stop);
    out.sources.emplace(each.source, json ? read_flux_git_repository(*json)
                                          : Result<FluxGitRepository>(fail(within(
                                                "GitRepository " + each.source, json.error()))));
  }
}

// Only where one namespace names another's ImageRepository.
Status read_namespace_labels(kube::Api& api, FluxObjects& out, const std::stop_token& stop) {
  std::set<std::string> wanted;
  for (const FluxImagePolicy& each : out.policies) {
    if (!each.repository.starts_with(each.meta.ns + "/")) wanted.insert(each.meta.ns);
  }
  for (const std::string& ns : wanted) {
    const auto json = api.get(kube::resource_path("v1", "namespaces", {}, ns),
                              Deadline::after(kOneRequest), stop);
    if (!json) return fail(within("namespace " + ns, json.error()));
    out.namespace_labels.emplace(ns, read_labels(*json));
  }
  return {};
}

}  // namespace

Result<std::optional<FluxObjects>> read_flux(kube::Api& api, const std::stop_token& stop) {
  const auto version = served_version(api, stop);
  if (!version) return fail(version.error());
  if (version->empty()) return std::nullopt;
  FluxObjects out{.version = *version};
  auto read = read_all(api, *version, "imagerepositories", read_flux_image_repository,
                       out.repositories, stop);
  if (read) {
    read = read_all(api, *version, "imagepolicies", read_flux_image_policy, out.policies, stop);
  }
  if (read) {
    read = read_all(api, *version, "imageupdateautomations", read_flux_automation, out.automations,
                    stop);
  }
  if (read) read = read_namespace_labels(api, out, stop);
  if (!read) return fail(read.error());
  read_sources(api, out, stop);
  return out;
}

GitLoop::GitLoop(kube::Api& api, const Clock& clock, Logger log, GitWriter writer,
                 GitPlan configured, bool flux)
    : api_(api),
      clock_(clock),
      log_(std::move(log)),
      writer_(std::move(writer)),
      configured_(std::move(configured)),
      flux_(flux),
      images_(image_repositories(configured_)) {}

GitReport GitLoop::round(const std::set<std::string>* pushed, bool dry_run,
                         const std::stop_token& stop) {
  GitPlan plan = configured_;
  std::optional<FluxObjects> objects;
  FluxPlan asked;
  if (flux_) {
    auto read = read_flux(api_, stop);
    if (read) {
      objects = std::move(*read);
    } else if (!stop.stop_requested()) {
      log_.warn("git: Flux's objects cannot be read", {{"cause", read.error().message}});
    }
  }
  if (objects) {
    asked = plan_flux(*objects);
    plan.policies.insert(plan.policies.end(), asked.plan.policies.begin(),
                         asked.plan.policies.end());
    for (GitTarget target : asked.plan.targets) {
      for (std::size_t& at : target.policies) at += configured_.policies.size();
      plan.targets.push_back(std::move(target));
    }
  }
  images_ = image_repositories(plan);
  GitReport report = writer_.round(plan, pushed, dry_run, stop);
  if (!objects || dry_run || stop.stop_requested()) return report;
  std::size_t lines = 0;
  for (const FluxStatus& each : flux_statuses(
           *objects, asked, std::span(report.policies).subspan(configured_.policies.size()),
           std::span(report.repositories).subspan(configured_.targets.size()), clock_.wall_now())) {
    const auto patched =
        api_.patch(kube::resource_path(std::string(kGroup) + "/" + objects->version, each.plural,
                                       each.ns, each.name) +
                       "/status",
                   each.patch, {.content_type = "application/merge-patch+json"},
                   Deadline::after(kOneRequest), stop);
    // An object that is gone needs no status.
    if (patched || patched.error().kind == ErrorKind::kNotFound || ++lines > 20) continue;
    log_.warn("git: a status cannot be written",
              {{"object", each.plural + " " + each.ns + "/" + each.name},
               {"cause", patched.error().message}});
  }
  return report;
}

void GitLoop::run(std::chrono::milliseconds interval, Due& due, const std::stop_token& stop) {
  std::set<std::string> pushed;
  SteadyTime next = clock_.steady_now();
  while (!stop.stop_requested()) {
    const SteadyTime now = clock_.steady_now();
    if (next <= now || !pushed.empty()) {
      (void)round(next <= now ? nullptr : &pushed, /*dry_run=*/false, stop);
      if (next <= now) next = clock_.steady_now() + interval;
      pushed.clear();
      due.know(images_);
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock_.steady_now());
    if (!due.wait(std::max(left, std::chrono::milliseconds::zero()), stop)) return;
    for (const auto& [name, since] : due.take()) {
      // What no policy looks at was pushed for the sweeper alone.
      if (std::string repository = repository_part(name); images_.contains(repository)) {
        pushed.insert(std::move(repository));
      }
    }
  }
}

}  // namespace tidemark::sweeper
