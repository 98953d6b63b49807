#include "sweeper/flux_objects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "image/reference.h"

namespace tidemark::sweeper {
namespace {

using Json = nlohmann::json;

// Flux's default: signatures of cosign.
constexpr const char* kDefaultExclusion = "^.*\\.sig$";
constexpr const char* kDefaultBranch = "master";

// "" and null where it is not there, or of another type.
const Json& at(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

std::string text(const Json& object, const char* key) {
  const Json& value = at(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

bool flag(const Json& object, const char* key) {
  const Json& value = at(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> out;
  if (!list.is_array()) return out;
  for (const Json& each : list) {
    if (each.is_string()) out.push_back(each.get<std::string>());
  }
  return out;
}

workload::StringMap text_map(const Json& object) {
  workload::StringMap out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) out.emplace(key, value.get<std::string>());
  }
  return out;
}

Result<Json> parse(std::string_view json, const char* what) {
  Json out = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!out.is_object() || text(at(out, "metadata"), "name").empty()) {
    return fail(ErrorKind::kInvalid, std::string("no ") + what);
  }
  return out;
}

FluxMeta meta_of(const Json& object) {
  const Json& metadata = at(object, "metadata");
  FluxMeta out{.ns = text(metadata, "namespace"),
               .name = text(metadata, "name"),
               .requested_at = text(at(metadata, "annotations"), "reconcile.fluxcd.io/requestedAt"),
               .labels = text_map(at(metadata, "labels"))};
  const Json& generation = at(metadata, "generation");
  if (generation.is_number_integer()) out.generation = generation.get<std::int64_t>();
  const Json& conditions = at(at(object, "status"), "conditions");
  if (!conditions.is_array()) return out;
  for (const Json& condition : conditions) {
    if (text(condition, "type") != "Ready") continue;
    out.ready = text(condition, "status");
    out.ready_since = text(condition, "lastTransitionTime");
  }
  return out;
}

// "namespace/name" of a reference, whose namespace is the object's own where it names none.
std::string key_of(const Json& reference, const std::string& ns) {
  const std::string other = text(reference, "namespace");
  return (other.empty() ? ns : other) + "/" + text(reference, "name");
}

// As the configuration has it; "" where Flux has none that we know.
std::string policy_text(const Json& spec) {
  const Json& policy = at(spec, "policy");
  const auto order = [](const Json& of) {
    const std::string given = text(of, "order");
    return given.empty() ? std::string("asc") : given;
  };
  std::string out;
  if (const Json& semver = at(policy, "semver"); semver.is_object()) {
    out = "semver: " + text(semver, "range");
  } else if (const Json& alphabetical = at(policy, "alphabetical"); alphabetical.is_object()) {
    out = "alphabetical: " + order(alphabetical);
  } else if (const Json& numerical = at(policy, "numerical"); numerical.is_object()) {
    out = "numerical: " + order(numerical);
  }
  if (out.empty()) return out;
  const Json& filter = at(spec, "filterTags");
  if (const std::string pattern = text(filter, "pattern"); !pattern.empty()) {
    out += "\nfilter: " + pattern;
    if (const std::string extract = text(filter, "extract"); !extract.empty()) {
      out += "\nextract: " + extract;
    }
  }
  return out;
}

std::string with_exclusions(const std::string& policy, const std::vector<std::string>& exclusions) {
  std::string joined;
  for (const std::string& each : exclusions) {
    joined += (joined.empty() ? "(?:" : "|(?:") + each + ")";
  }
  return joined.empty() ? policy : policy + "\nexclude: " + joined;
}

std::vector<FluxAutomation::Requirement> selector_of(const Json& selector, std::string& problem) {
  using Requirement = FluxAutomation::Requirement;
  std::vector<Requirement> out;
  for (const auto& [key, value] : text_map(at(selector, "matchLabels"))) {
    out.push_back({.key = key, .op = Requirement::Operator::kIn, .values = {value}});
  }
  const Json& expressions = at(selector, "matchExpressions");
  if (!expressions.is_array()) return out;
  for (const Json& expression : expressions) {
    const std::vector<std::string> values = texts(at(expression, "values"));
    Requirement requirement{.key = text(expression, "key"),
                            .values = {values.begin(), values.end()}};
    const std::string op = text(expression, "operator");
    if (op == "In") {
      requirement.op = Requirement::Operator::kIn;
    } else if (op == "NotIn") {
      requirement.op = Requirement::Operator::kNotIn;
    } else if (op == "DoesNotExist") {
      requirement.op = Requirement::Operator::kDoesNotExist;
    } else if (op != "Exists") {
      problem = "policySelector: unknown operator " + op;
    }
    out.push_back(std::move(requirement));
  }
  return out;
}

// Whether the repository's owner lets that namespace use it.
bool accessible(const FluxImageRepository& repository, const std::string& from,
                const FluxObjects& objects) {
  if (repository.meta.ns == from) return true;
  const auto labels = objects.namespace_labels.find(from);
  if (labels == objects.namespace_labels.end()) return false;
  return std::ranges::any_of(repository.access_from, [&](const workload::StringMap& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& label) {
      const auto has = labels->second.find(label.first);
      return has != labels->second.end() && has->second == label.second;
    });
  });
}

class Planner {
 public:
  explicit Planner(const FluxObjects& objects) : objects_(objects) {}

  FluxPlan plan() {
    for (const FluxImageRepository& each : objects_.repositories) {
      FluxPlan::Place& place = out_.repositories.emplace_back();
      if (!each.suspended) place = add(each, each.meta, "alphabetical: asc", false);
    }
    for (const FluxImagePolicy& each : objects_.policies) out_.policies.push_back(place_of(each));
    for (const FluxAutomation& each : objects_.automations) {
      out_.automations.push_back(place_of(each));
    }
    return std::move(out_);
  }

 private:
  FluxPlan::Place add(const FluxImageRepository& repository, const FluxMeta& whose,
                      const std::string& policy, bool digest) {
    const auto reference = image::Reference::parse_name(repository.image);
    if (!reference) {
      return {.at = std::nullopt, .problem = repository.image + " is no image without a tag"};
    }
    GitPolicy made{.named = {.name = whose.ns + ":" + whose.name,
                             .image = repository.image,
                             .reference = *reference,
                             .policy = with_exclusions(policy, repository.exclusions),
                             .digest = digest},
                   .secrets_namespace = repository.meta.ns};
    if (!repository.secret.empty()) made.named.pull_secrets = {repository.secret};
    if (!repository.service_account.empty()) made.service_account = repository.service_account;
    out_.plan.policies.push_back(std::move(made));
    return {.at = out_.plan.policies.size() - 1, .problem = {}};
  }

  FluxPlan::Place place_of(const FluxImagePolicy& policy) {
    const auto found = std::ranges::find(objects_.repositories, policy.repository,
                                         [](const auto& each) { return each.meta.key(); });
    if (found == objects_.repositories.end()) {
      return {.at = std::nullopt,
              .problem = "referenced ImageRepository " + policy.repository + " not found"};
    }
    if (!accessible(*found, policy.meta.ns, objects_)) {
      return {.at = std::nullopt,
              .problem = "access to ImageRepository " + policy.repository + " is denied"};
    }
    if (policy.policy.empty()) return {.at = std::nullopt, .problem = "it has no policy"};
    const bool asks = !policy.suspended && !found->suspended;
    if (!asks && !policy.latest) return {};
    FluxPlan::Place out =
        add(*found, policy.meta, policy.policy, policy.digest != FluxDigest::kNever);
    if (!out.at) return out;
    GitPolicy& made = out_.plan.policies[*out.at];
    if (!asks) made.fixed = policy.latest;
    if (policy.digest == FluxDigest::kIfNotPresent) made.known = policy.latest;
    return out;
  }

  FluxPlan::Place place_of(const FluxAutomation& automation) {
    if (automation.suspended) return {};
    if (!automation.problem.empty()) return {.at = std::nullopt, .problem = automation.problem};
    const auto source = objects_.sources.find(automation.source);
    if (source == objects_.sources.end()) {
      return {.at = std::nullopt, .problem = "it names no GitRepository"};
    }
    if (!source->second) return {.at = std::nullopt, .problem = source->second.error().message};
    const FluxGitRepository& git = *source->second;
    auto remote = gitops::Remote::parse(git.url);
    if (!remote) {
      return {
          .at = std::nullopt,
          .problem = "url of GitRepository " + automation.source + " " + remote.error().message};
    }
    GitTarget target;
    config::GitRepository& to = target.repository;
    to.name = automation.meta.key();
    std::ranges::replace(to.name, '/', ':');
    to.remote = std::move(*remote);
    to.branch = !automation.branch.empty() ? automation.branch
                : !git.branch.empty()      ? git.branch
                                           : kDefaultBranch;
    if (automation.push_branch != to.branch) to.push_branch = automation.push_branch;
    to.path = automation.path;
    if (!git.secret.empty()) {
      to.secret = automation.source.substr(0, automation.source.find('/') + 1) + git.secret;
    }
    to.author_name = automation.author_name;
    to.author_email = automation.author_email;
    if (!automation.signing_secret.empty()) {
      target.signing_secret = automation.meta.ns + "/" + automation.signing_secret;
    }
    for (std::size_t i = 0; i < objects_.policies.size(); ++i) {
      const auto& at = out_.policies[i].at;
      if (at && automation.selects(objects_.policies[i])) target.policies.push_back(*at);
    }
    out_.plan.targets.push_back(std::move(target));
    return {.at = out_.plan.targets.size() - 1, .problem = {}};
  }

  const FluxObjects& objects_;
  FluxPlan out_;
};

}  // namespace

bool FluxAutomation::selects(const FluxImagePolicy& policy) const {
  if (policy.meta.ns != meta.ns) return false;
  return std::ranges::all_of(selector, [&](const Requirement& each) {
    const auto has = policy.meta.labels.find(each.key);
    const bool there = has != policy.meta.labels.end();
    switch (each.op) {
      case Requirement::Operator::kIn:
        return there && each.values.contains(has->second);
      case Requirement::Operator::kNotIn:
        return !there || !each.values.contains(has->second);
      case Requirement::Operator::kExists:
        return there;
      case Requirement::Operator::kDoesNotExist:
        break;
    }
    return !there;
  });
}

std::string read_flux_version(std::string_view json) {
  const Json group = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  const Json& versions = at(group, "versions");
  std::string found;
  if (!versions.is_array()) return found;
  for (const Json& each : versions) {
    std::string version = text(each, "version");
    if (version == "v1") return version;
    if (version == "v1beta2") found = std::move(version);
  }
  return found;
}

workload::StringMap read_labels(std::string_view json) {
  const Json object = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  return text_map(at(at(object, "metadata"), "labels"));
}

Result<FluxImageRepository> read_flux_image_repository(std::string_view json) {
  const auto object = parse(json, "ImageRepository");
  if (!object) return fail(object.error());
  const Json& spec = at(*object, "spec");
  FluxImageRepository out{.meta = meta_of(*object),
                          .image = text(spec, "image"),
                          .secret = text(at(spec, "secretRef"), "name"),
                          .service_account = text(spec, "serviceAccountName"),
                          .exclusions = texts(at(spec, "exclusionList")),
                          .suspended = flag(spec, "suspend")};
  if (out.exclusions.empty()) out.exclusions.emplace_back(kDefaultExclusion);
  const Json& selectors = at(at(spec, "accessFrom"), "namespaceSelectors");
  if (selectors.is_array()) {
    for (const Json& each : selectors) out.access_from.push_back(text_map(at(each, "matchLabels")));
  }
  return out;
}

Result<FluxImagePolicy> read_flux_image_policy(std::string_view json) {
  const auto object = parse(json, "ImagePolicy");
  if (!object) return fail(object.error());
  const Json& spec = at(*object, "spec");
  FluxImagePolicy out{.meta = meta_of(*object), .policy = policy_text(spec)};
  out.repository = key_of(at(spec, "imageRepositoryRef"), out.meta.ns);
  const std::string digest = text(spec, "digestReflectionPolicy");
  if (digest == "Always") out.digest = FluxDigest::kAlways;
  if (digest == "IfNotPresent") out.digest = FluxDigest::kIfNotPresent;
  out.suspended = flag(spec, "suspend");
  const Json& latest = at(at(*object, "status"), "latestRef");
  if (!text(latest, "tag").empty()) {
    out.latest = {
        .name = text(latest, "name"), .tag = text(latest, "tag"), .digest = text(latest, "digest")};
  }
  return out;
}

Result<FluxAutomation> read_flux_automation(std::string_view json) {
  const auto object = parse(json, "ImageUpdateAutomation");
  if (!object) return fail(object.error());
  const Json& spec = at(*object, "spec");
  FluxAutomation out{.meta = meta_of(*object)};
  const Json& source = at(spec, "sourceRef");
  out.source = key_of(source, out.meta.ns);
  if (text(source, "kind") != "GitRepository") out.problem = "its source is no GitRepository";
  const Json& git = at(spec, "git");
  const Json& from = at(at(git, "checkout"), "ref");
  out.branch = text(from, "branch");
  if (!from.is_null() && out.branch.empty()) out.problem = "its checkout names no branch";
  const Json& push = at(git, "push");
  out.push_branch = text(push, "branch");
  if (!text(push, "refspec").empty()) out.problem = "git.push.refspec is not supported";
  if (!text_map(at(push, "options")).empty()) out.problem = "git.push.options is not supported";
  const Json& commit = at(git, "commit");
  out.author_email = text(at(commit, "author"), "email");
  out.author_name = text(at(commit, "author"), "name");
  if (out.author_name.empty()) out.author_name = out.author_email;
  if (const Json& key = at(commit, "signingKey"); key.is_object()) {
    out.signing_secret = text(at(key, "secretRef"), "name");
    if (text(key, "type") != "ssh") out.problem = "a signingKey of type gpg is not supported (ssh)";
  }
  std::string path = text(at(spec, "update"), "path");
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.ends_with('/')) path.pop_back();
  out.path = path == "." ? "" : path;
  out.selector = selector_of(at(spec, "policySelector"), out.problem);
  out.suspended = flag(spec, "suspend");
  return out;
}

Result<FluxGitRepository> read_flux_git_repository(std::string_view json) {
  const auto object = parse(json, "GitRepository");
  if (!object) return fail(object.error());
  const Json& spec = at(*object, "spec");
  return FluxGitRepository{.url = text(spec, "url"),
                           .secret = text(at(spec, "secretRef"), "name"),
                           .branch = text(at(spec, "ref"), "branch")};
}

FluxPlan plan_flux(const FluxObjects& objects) { return Planner(objects).plan(); }

}  // namespace tidemark::sweeper
