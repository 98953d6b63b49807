#include "config/git.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "config/names.h"
#include "config/yaml_section.h"
#include "gitops/message_templates.h"
#include "policy/tag_policy.h"
#include "workload/settings.h"

namespace tidemark::config {
namespace {

using namespace std::chrono_literals;

// Each is a list of tags.
constexpr std::size_t kMaxPolicies = 1000;
// Each is a clone on disk, asked in turn.
constexpr std::size_t kMaxRepositories = 50;
constexpr std::chrono::milliseconds kMinInterval = 1s;
constexpr std::chrono::milliseconds kMaxInterval = 24h;

// "namespace:name", as markers have it.
std::string policy_name(const YamlValue& value) {
  std::string text = value.text();
  const std::size_t colon = std::min(text.find(':'), text.size());
  if (colon == text.size() || !workload::is_dns_label(std::string_view(text).substr(0, colon)) ||
      !is_dns_subdomain(std::string_view(text).substr(colon + 1))) {
    value.fail("is no name of a policy (namespace:name)");
  }
  return text;
}

std::string policy_text(const YamlValue& value) {
  std::string text = value.text();
  const auto read = policy::TagPolicy::parse(text);
  if (!read) value.fail(read.error().message);
  if (!read->chooses()) value.fail("digest chooses no tag");
  return text;
}

// git-check-ref-format(1), the part of it that matters for names that people give.
std::string branch_name(const YamlValue& value) {
  std::string text = value.text();
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < '\x7f' && std::string_view("~^:?*[\\").find(c) == std::string_view::npos;
  });
  if (text.empty() || text.size() > 255 || !plain || text.starts_with('/') || text.ends_with('/') ||
      text.starts_with('-') || text.find("..") != std::string::npos ||
      text.find("//") != std::string::npos || text.find("@{") != std::string::npos ||
      text.ends_with(".lock") || text.ends_with('.')) {
    value.fail("is no name of a branch");
  }
  return text;
}

// A folder of the repository, without slashes around it; "" for the whole.
std::string folder_path(const YamlValue& value) {
  std::string text = value.text();
  while (text.starts_with("./")) text.erase(0, 2);
  while (text.ends_with('/')) text.pop_back();
  if (text == ".") text.clear();
  if (text.starts_with('/') || text == ".." || text.starts_with("../") ||
      text.find("/../") != std::string::npos || text.ends_with("/..")) {
    value.fail("is no folder of the repository");
  }
  return text;
}

// What stands in a commit's head: git drops < and >, and a line ends it.
std::string author_part(const YamlValue& value) {
  std::string text = value.text();
  if (text.empty() || text.size() > 253 || std::ranges::any_of(text, [](unsigned char c) {
        return c < 0x20 || c == 0x7f || c == '<' || c == '>';
      })) {
    value.fail("is no part of an author (Name <email>)");
  }
  return text;
}

// Of labels, a key and a value: Kubernetes has 63 characters, and 253 before a slash.
workload::PolicyRule read_workloads(const YamlValue& value) {
  workload::PolicyRule out;
  read_section(value, {{"namespaces",
                        [&](const YamlValue& v) {
                          for (const YamlValue& element : v.list(kMaxPolicies)) {
                            out.namespaces.insert(namespace_name(element));
                          }
                        }},
                       {"labels", [&](const YamlValue& v) {
                          for (const auto& [name, element] : v.entries()) {
                            const std::string label = element.text();
                            if (name.empty() || name.size() > 317 || label.size() > 63) {
                              element.fail("is no label");
                            }
                            out.labels.emplace(name, label);
                          }
                        }}});
  return out;
}

NamedPolicy read_policy(const YamlValue& value) {
  std::string name;
  std::string image;
  std::string text;
  std::vector<std::string> pull_secrets;
  bool digest = false;
  std::optional<workload::PolicyRule> workloads;
  std::optional<image::Reference> reference;
  read_section(value, {{"name", [&](const YamlValue& v) { name = policy_name(v); }, true},
                       {"image",
                        [&](const YamlValue& v) {
                          image = v.text();
                          reference = v.parsed(image::Reference::parse_name);
                        },
                        true},
                       {"policy", [&](const YamlValue& v) { text = policy_text(v); }, true},
                       {"pullSecrets",
                        [&](const YamlValue& v) {
                          for (const YamlValue& element : v.list(kMaxPolicies)) {
                            pull_secrets.push_back(element.text());
                            if (!is_dns_subdomain(pull_secrets.back()))
                              element.fail("is no name of a Secret");
                          }
                        }},
                       {"digest", [&](const YamlValue& v) { digest = v.flag(); }},
                       {"workloads", [&](const YamlValue& v) { workloads = read_workloads(v); }}});
  if (!reference) value.fail("needs an image");  // only where nothing is read (schema.cc)
  if (workloads) {
    workloads->repository = reference->name();
    workloads->policy = text;
  }
  return {.name = std::move(name),
          .image = std::move(image),
          .reference = std::move(*reference),
          .policy = std::move(text),
          .pull_secrets = std::move(pull_secrets),
          .digest = digest,
          .workloads = std::move(workloads)};
}

GitRepository read_repository(const YamlValue& value, const std::filesystem::path& folder) {
  GitRepository out;
  read_section(
      value,
      {{"name",
        [&](const YamlValue& v) {
          out.name = v.text();
          if (!workload::is_dns_label(out.name)) v.fail("is no name (a-z, 0-9 and -)");
        },
        true},
       {"url", [&](const YamlValue& v) { out.remote = v.parsed(gitops::Remote::parse); }, true},
       {"branch", [&](const YamlValue& v) { out.branch = branch_name(v); }},
       {"pushBranch", [&](const YamlValue& v) { out.push_branch = branch_name(v); }},
       {"path", [&](const YamlValue& v) { out.path = folder_path(v); }},
       {"secret", [&](const YamlValue& v) { out.secret = secret_name(v); }},
       {"secretFolder",
        [&](const YamlValue& v) {
          const std::string name = v.text();
          if (name.empty()) v.fail("names no folder");
          out.secret_folder = folder / name;
        }},
       {"authorName", [&](const YamlValue& v) { out.author_name = author_part(v); }},
       {"authorEmail", [&](const YamlValue& v) { out.author_email = author_part(v); }},
       {"subject",
        [&](const YamlValue& v) { out.subject = v.parsed(gitops::MessageTemplates::subject); }},
       {"change",
        [&](const YamlValue& v) { out.change = v.parsed(gitops::MessageTemplates::change); }}});
  if (!out.secret.empty() && out.secret_folder) {
    value.fail("has one Secret: secret or secretFolder");
  }
  if (out.push_branch == out.branch) out.push_branch.clear();
  return out;
}

}  // namespace

std::vector<NamedPolicy> read_policies(const YamlValue& value) {
  std::vector<NamedPolicy> out;
  for (const YamlValue& element : value.list(kMaxPolicies)) {
    NamedPolicy policy = read_policy(element);
    if (std::ranges::find(out, policy.name, &NamedPolicy::name) != out.end()) {
      element.fail("the name " + policy.name + " is taken already");
    }
    out.push_back(std::move(policy));
  }
  return out;
}

GitConfig read_git(const YamlValue& value, const std::filesystem::path& folder) {
  GitConfig out;
  read_section(
      value, {{"interval",
               [&](const YamlValue& v) { out.interval = v.duration(kMinInterval, kMaxInterval); }},
              {"folder",
               [&](const YamlValue& v) {
                 const std::string name = v.text();
                 if (name.empty()) v.fail("names no folder");
                 out.folder = folder / name;
               }},
              {"flux", [&](const YamlValue& v) { out.flux = v.flag(); }},
              {"repositories", [&](const YamlValue& v) {
                 for (const YamlValue& element : v.list(kMaxRepositories)) {
                   GitRepository repository = read_repository(element, folder);
                   if (std::ranges::find(out.repositories, repository.name, &GitRepository::name) !=
                       out.repositories.end()) {
                     element.fail("the name " + repository.name + " is taken already");
                   }
                   out.repositories.push_back(std::move(repository));
                 }
               }}});
  return out;
}

}  // namespace tidemark::config
