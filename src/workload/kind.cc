#include "workload/kind.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/json_text.h"
#include "base/text.h"
#include "workload/pointer.h"
#include "workload/settings.h"

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

Kind made_by_controllers(Kind kind) {
  kind.made_by_controllers = true;
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

// Enough to recognise a pointer in a message.
constexpr std::size_t kMaxQuotedBytes = 80;
// RFC 1123: a subdomain of labels, and a kind in lower case is a label
// (k8s.io/apimachinery pkg/util/validation).
constexpr std::size_t kMaxGroupBytes = 253;
constexpr std::size_t kMaxKindBytes = 63;

std::unexpected<Error> invalid(std::string what) {
  return fail(ErrorKind::kInvalid, std::move(what));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A CustomResourceDefinition's group has a dot at least, but built-in ones (apps) have none: told
// as built in, not as malformed.
bool is_group(std::string_view text) {
  if (text.size() > kMaxGroupBytes) return false;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('.', at), text.size());
    if (!is_dns_label(text.substr(at, end - at))) return false;
    at = end + 1;
  }
  return true;
}

bool is_kind_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxKindBytes && text.front() >= 'A' &&
         text.front() <= 'Z' && std::ranges::all_of(text, is_letter_or_digit);
}

bool is_template_pointer(std::string_view text) {
  if (!text.starts_with('/') || text.size() > kMaxTemplatePointerBytes) return false;
  return std::ranges::all_of(split_pointer(text), [](const std::string& token) {
    return !token.empty() && std::ranges::all_of(token, is_letter_or_digit);
  });
}

}  // namespace

std::span<const Kind> builtin_kinds() {
  static const std::array kinds = {
      rollable(make_kind("apps", "Deployment", "deployments", kTemplate)),
      rollable(make_kind("apps", "StatefulSet", "statefulsets", kTemplate)),
      rollable(make_kind("apps", "DaemonSet", "daemonsets", kTemplate)),
      rollable(make_kind("batch", "CronJob", "cronjobs", "/spec/jobTemplate/spec/template")),
      made_by_controllers(immutable(make_kind("batch", "Job", "jobs", kTemplate))),
      // A new template of these two replaces no pod: nothing that a roll could do.
      made_by_controllers(make_kind("apps", "ReplicaSet", "replicasets", kTemplate)),
      made_by_controllers(
          make_kind("", "ReplicationController", "replicationcontrollers", kTemplate)),
      made_by_controllers(immutable(make_kind("", "Pod", "pods", ""))),
  };
  return kinds;
}

std::string guess_plural(std::string_view kind) {
  std::string plural = ascii_lower(kind);
  if (plural.ends_with("s")) return plural + "es";
  if (plural.ends_with("y")) {
    plural.pop_back();
    return plural + "ies";
  }
  return plural + "s";
}

Result<Kind> make_custom_kind(std::string_view name, std::string_view plural,
                              std::string_view template_pointer) {
  const auto first = name.find('/');
  const auto last = name.rfind('/');
  // Kinds of the core group have no custom ones beside them.
  if (first == std::string_view::npos || first == last || name.find('/', first + 1) != last) {
    return invalid("must be GROUP/VERSION/KIND, such as argoproj.io/v1alpha1/Rollout");
  }
  Kind kind{.group = std::string(name.substr(0, first)),
            .version = std::string(name.substr(first + 1, last - first - 1)),
            .kind = std::string(name.substr(last + 1)),
            .plural = std::string(plural),
            .template_pointer = std::string(template_pointer),
            .rollable = true,
            .custom = true};
  if (!is_group(kind.group)) return invalid(json_quote(kind.group) + " is not an API group");
  if (!is_dns_label(kind.version))
    return invalid(json_quote(kind.version) + " is not an API version");
  if (!is_kind_name(kind.kind)) return invalid(json_quote(kind.kind) + " is not a kind's name");
  if (kind.plural.empty()) kind.plural = guess_plural(kind.kind);
  if (!is_dns_label(kind.plural))
    return invalid(json_quote(kind.plural) + " is not a resource's name");
  if (!is_template_pointer(template_pointer)) {
    return invalid(
        json_quote(template_pointer.substr(0, kMaxQuotedBytes)) +
        " is not a pod template's JSON pointer, such as /spec/template (fields of letters "
        "and digits, at most " +
        std::to_string(kMaxTemplatePointerBytes) + " characters)");
  }
  return kind;
}

KindTable::KindTable() {
  static const auto builtin =
      std::make_shared<const std::vector<Kind>>(builtin_kinds().begin(), builtin_kinds().end());
  kinds_ = builtin;
}

Result<KindTable> KindTable::with(const std::vector<Kind>& custom) {
  if (custom.empty()) return KindTable();
  if (custom.size() > kMaxCustomKinds) {
    return invalid("more than " + std::to_string(kMaxCustomKinds) + " kinds");
  }
  std::vector<Kind> kinds(builtin_kinds().begin(), builtin_kinds().end());
  for (const Kind& kind : custom) {
    const auto same = std::ranges::find_if(kinds, [&](const Kind& other) {
      return other.group == kind.group && (other.kind == kind.kind || other.plural == kind.plural);
    });
    if (same != kinds.end()) {
      return invalid(kind.api_version() + "/" + kind.kind +
                     (same->custom ? " is given already, as " : " is built in, as ") +
                     same->api_version() + "/" + same->kind);
    }
    kinds.push_back(kind);
  }
  return KindTable(std::make_shared<const std::vector<Kind>>(std::move(kinds)));
}

const Kind* KindTable::find(std::string_view group, std::string_view kind) const {
  const auto found = std::ranges::find_if(
      *kinds_, [&](const Kind& k) { return k.group == group && k.kind == kind; });
  return found == kinds_->end() ? nullptr : &*found;
}

const Kind* KindTable::find_by_name(std::string_view name) const {
  const std::string wanted = ascii_lower(name);
  const std::string_view resource = std::string_view(wanted).substr(0, wanted.find('.'));
  const std::string_view suffix =
      resource.size() == wanted.size() ? "" : std::string_view(wanted).substr(resource.size() + 1);
  const auto suits = [&](const Kind& kind) {
    const auto is_short = [&](const ShortName& s) {
      return !kind.custom && s.name == resource && s.plural == kind.plural;
    };
    const bool named = resource == kind.plural || resource == ascii_lower(kind.kind) ||
                       std::ranges::any_of(kShortNames, is_short);
    // "deployments.apps" and "deployments.v1.apps"
    return named && (resource.size() == wanted.size() || suffix == kind.group ||
                     suffix == kind.version + "." + kind.group);
  };
  const auto found = std::ranges::find_if(*kinds_, suits);
  return found == kinds_->end() ? nullptr : &*found;
}

}  // namespace tidemark::workload
