#include "workload/kind.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tidemark::workload {
namespace {

constexpr std::string_view kTemplate = "/spec/template";

Kind make_kind(std::string_view group, std::string_view kind, std::string_view plural,
               std::string_view template_pointer) {
  return {.group = std::string(group),
          .version = "v1",
          .kind = std::string(kind),
          .plural = std::string(plural),
          .template_pointer = std::string(template_pointer)};
}

Kind rollable(Kind kind) {
  kind.rollable = true;
  return kind;
}

Kind immutable(Kind kind) {
  kind.template_immutable = true;
  return kind;
}

struct ShortName {
  std::string_view name;
  std::string_view plural;
};
// As the API server's discovery gives them to kubectl; jobs have none.
constexpr std::array kShortNames = {
    ShortName{"deploy", "deployments"},
    ShortName{"sts", "statefulsets"},
    ShortName{"ds", "daemonsets"},
    ShortName{"cj", "cronjobs"},
    ShortName{"rs", "replicasets"},
    ShortName{"rc", "replicationcontrollers"},
    ShortName{"po", "pods"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::span<const Kind> builtin_kinds() {
  static const std::array kinds = {
      rollable(make_kind("apps", "Deployment", "deployments", kTemplate)),
      rollable(make_kind("apps", "StatefulSet", "statefulsets", kTemplate)),
      rollable(make_kind("apps", "DaemonSet", "daemonsets", kTemplate)),
      rollable(make_kind("batch", "CronJob", "cronjobs", "/spec/jobTemplate/spec/template")),
      immutable(make_kind("batch", "Job", "jobs", kTemplate)),
      // A new template of these two replaces no pod: nothing that a roll could do.
      make_kind("apps", "ReplicaSet", "replicasets", kTemplate),
      make_kind("", "ReplicationController", "replicationcontrollers", kTemplate),
      immutable(make_kind("", "Pod", "pods", "")),
  };
  return kinds;
}

const Kind* find_builtin_kind(std::string_view group, std::string_view kind) {
  const auto kinds = builtin_kinds();
  const auto found = std::ranges::find_if(
      kinds, [&](const Kind& k) { return k.group == group && k.kind == kind; });
  return found == kinds.end() ? nullptr : &*found;
}

const Kind* find_builtin_kind_by_name(std::string_view name) {
  const std::string wanted = lower(name);
  const std::string_view resource = std::string_view(wanted).substr(0, wanted.find('.'));
  const std::string_view suffix =
      resource.size() == wanted.size() ? "" : std::string_view(wanted).substr(resource.size() + 1);
  const auto suits = [&](const Kind& kind) {
    const auto is_short = [&](const ShortName& s) {
      return s.name == resource && s.plural == kind.plural;
    };
    const bool named = resource == kind.plural || resource == lower(kind.kind) ||
                       std::ranges::any_of(kShortNames, is_short);
    // "deployments.apps" and "deployments.v1.apps"
    return named && (resource.size() == wanted.size() || suffix == kind.group ||
                     suffix == kind.version + "." + kind.group);
  };
  const auto kinds = builtin_kinds();
  const auto found = std::ranges::find_if(kinds, suits);
  return found == kinds.end() ? nullptr : &*found;
}

}  // namespace tidemark::workload
