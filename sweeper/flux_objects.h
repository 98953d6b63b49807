// Flux's objects of image automation, as a write-back needs them.
//
// Purpose: reads ImageRepository, ImagePolicy and ImageUpdateAutomation (image.toolkit.fluxcd.io,
// v1 and v1beta2) and GitRepository (source.toolkit.fluxcd.io/v1), and makes of them what the
// configuration would say: policies by name, and repositories to write to. What an object asks for
// and Tidemark does not do (an OpenPGP key, a refspec) is that object's problem, told in its
// status; nothing is done by halves. Thread-safety: values and pure functions. Errors: kInvalid for
// what is no such object. Source: fluxcd.io/flux/components/image, "Image Repositories", "Image
// Policies", "Image Update Automations".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sweeper/git_plan.h"
#include "workload/annotations.h"

namespace tidemark::sweeper {

struct FluxMeta {
  std::string ns{};
  std::string name{};
  std::int64_t generation = 0;
  std::string requested_at{};  // reconcile.fluxcd.io/requestedAt
  workload::StringMap labels{};
  // Of its condition Ready, as it is.
  std::string ready{};
  std::string ready_since{};

  std::string key() const { return ns + "/" + name; }
};

struct FluxImageRepository {
  FluxMeta meta{};
  std::string image{};
  std::string secret{};
  std::string service_account{};
  std::vector<std::string> exclusions{};
  std::vector<workload::StringMap> access_from{};  // matchLabels; one of them is enough
  bool suspended = false;
};

enum class FluxDigest { kNever, kIfNotPresent, kAlways };

struct FluxImagePolicy {
  FluxMeta meta{};
  std::string repository{};  // FluxMeta::key()
  std::string policy{};      // TagPolicy's text, without the repository's exclusions
  FluxDigest digest = FluxDigest::kNever;
  bool suspended = false;
  std::optional<gitops::PolicyImage> latest{};  // status.latestRef
};

struct FluxAutomation {
  FluxMeta meta{};
  std::string source{};  // FluxMeta::key() of a GitRepository
  std::string branch{};  // "": the source's
  std::string push_branch{};
  std::string path{};
  std::string author_name{};
  std::string author_email{};
  std::string signing_secret{};  // of its namespace
  struct Requirement {           // of policySelector; all of them
    std::string key;
    enum class Operator { kIn, kNotIn, kExists, kDoesNotExist } op = Operator::kExists;
    std::set<std::string> values{};
  };
  std::vector<Requirement> selector{};
  bool suspended = false;
  std::string problem{};  // what is asked for and not done

  bool selects(const FluxImagePolicy& policy) const;
};

struct FluxGitRepository {
  std::string url{};
  std::string secret{};  // of its namespace
  std::string branch{};
};

// Of an APIGroup: "v1" where it is served, else "v1beta2"; "" where neither is.
std::string read_flux_version(std::string_view json);
// metadata.labels of any object.
workload::StringMap read_labels(std::string_view json);
Result<FluxImageRepository> read_flux_image_repository(std::string_view json);
Result<FluxImagePolicy> read_flux_image_policy(std::string_view json);
Result<FluxAutomation> read_flux_automation(std::string_view json);
Result<FluxGitRepository> read_flux_git_repository(std::string_view json);

struct FluxObjects {
  std::string version{};  // of their API: "v1"
  std::vector<FluxImageRepository> repositories{};
  std::vector<FluxImagePolicy> policies{};
  std::vector<FluxAutomation> automations{};
  std::map<std::string, Result<FluxGitRepository>> sources{};  // by FluxMeta::key()
  std::map<std::string, workload::StringMap>
      namespace_labels{};  // where one names another's object
};

// What the objects ask for, and where in the plan that is: by index, nullopt for what is not asked.
struct FluxPlan {
  GitPlan plan{};
  struct Place {
    std::optional<std::size_t> at{};
    std::string problem{};  // why it is nowhere; "" for what is suspended
  };
  std::vector<Place> repositories{};  // in the objects' order, as are the two below
  std::vector<Place> policies{};
  std::vector<Place> automations{};
};
FluxPlan plan_flux(const FluxObjects& objects);

}  // namespace tidemark::sweeper
