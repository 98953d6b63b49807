// GitConfig: policies by name, and the Git repositories in which their choices are written.
//
// Purpose: the `policies` and `git` sections of the configuration, as values. Credentials are named
// (a Secret, or the folder where one is mounted), never written here.
// Thread-safety: values. Errors: parse_config's.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/template.h"
#include "gitops/remote.h"
#include "image/reference.h"
#include "workload/settings.h"

namespace tidemark::config {

// A repository of images and the policy that chooses among its tags, by "namespace:name" as markers
// in Git have it.
struct NamedPolicy {
  std::string name;
  std::string image;                        // as markers are to have it: "ghcr.io/example/app"
  image::Reference reference;               // the same, read
  std::string policy;                       // TagPolicy, as it is written
  std::vector<std::string> pull_secrets{};  // of its namespace; none: its default account's
  bool digest = false;                      // markers get the digest, too
  // Workloads that follow it where they run its image; nullopt: none.
  std::optional<workload::PolicyRule> workloads{};

  std::string_view ns() const { return std::string_view(name).substr(0, name.find(':')); }
};

struct GitRepository {
  std::string name;  // a folder, and a metric's label: a DNS label
  gitops::Remote remote{};
  std::string branch = "main";
  std::string push_branch{};                             // "": the branch itself
  std::string path{};                                    // "": all of it
  std::string secret{};                                  // "namespace/name"
  std::optional<std::filesystem::path> secret_folder{};  // where one is mounted
  std::string author_name = "Tidemark";
  std::string author_email = "tidemark@localhost";
  std::optional<Template> subject{};
  std::optional<Template> change{};
};

struct GitConfig {
  std::chrono::milliseconds interval{300'000};
  std::filesystem::path folder = "/var/cache/tidemark/git";  // of the clones
  std::vector<GitRepository> repositories;
  bool flux = false;  // Flux's objects of image automation are served, too

  bool writes() const { return flux || !repositories.empty(); }
};

// For config.cc: relative files begin at `folder`.
class YamlValue;
std::vector<NamedPolicy> read_policies(const YamlValue& value);
GitConfig read_git(const YamlValue& value, const std::filesystem::path& folder);

}  // namespace tidemark::config
