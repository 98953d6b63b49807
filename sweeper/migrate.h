// migrate: what other programs were told about a workload, in Tidemark's words.
//
// Purpose: finds the labels, annotations and pins of figwasp, kube-autorollout,
// kubernetes-image-sync (now imago), k8s-digester and Keel, and says which settings of Tidemark
// come to the same; what has no counterpart is told, never dropped. Changes are of an object's own
// metadata, so that nothing rolls for them; an image is changed only where that is asked for, and
// that rolls. What the user has said in Tidemark's own words stands.
// Thread-safety: pure functions, but for migrate_cluster(). Errors: none of the pure functions: a
// value that cannot be read is a note.
// Source:
//   figwasp           https://github.com/figwasp/figwasp (README: label figwasp/target=true, of
//                     Deployments)
//   kube-autorollout  https://github.com/juv/kube-autorollout (README, "Select Kubernetes resources
//                     for auto-rollout")
//   imago             https://github.com/philpep/imago (README, "How it works"; main.go:
//                     imago-config-spec, imago/restartedAt). Its first releases were
//                     kubernetes-image-sync (README.rst of its history), which left no marks
//   k8s-digester      https://github.com/google/k8s-digester (README: namespaces labelled
//                     digest-resolution=enabled; pkg/resolve: IMAGE becomes IMAGE@DIGEST)
//   Keel              https://keel.sh/docs/ ("Policies", "Polling", "Approvals"); keys in
//                     https://github.com/keel-hq/keel types/types.go, what they mean in
//                     internal/policy/policy.go
#pragma once

#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/api.h"
#include "sweeper/collect.h"
#include "workload/json_patch.h"
#include "workload/object.h"
#include "workload/settings.h"

namespace tidemark::sweeper {

enum class Peer { kFigwasp, kAutorollout, kImago, kDigester, kKeel };
inline constexpr std::string_view kPeerNames = "figwasp,kube-autorollout,imago,k8s-digester,keel";

std::string_view to_string(Peer peer);
// Also "kubernetes-image-sync", for imago. kInvalid names those there are.
Result<std::set<Peer>> parse_peers(const std::vector<std::string>& names);

struct MigrateRequest {
  std::set<Peer> from{};  // empty: all of them
  bool apply = false;     // write; else only told
  bool remove = false;    // the other program's keys too, where nothing is lost with them
  // Pins give way to the image as it was written: its pods are replaced. A pin that nothing tells
  // from one that the owner wants is changed only where its program is named in `from`.
  bool unpin = false;

  bool wants(Peer peer) const { return from.empty() || from.contains(peer); }
};

// One finding.
struct Migration {
  enum class Action {
    kNone,    // nothing to write: `note` says why
    kWrite,   // annotation `target` = `value`
    kRemove,  // the key that was found
    kByHand,  // a pin: the manifest should say `value`
    kUnpin    // a pin: `value` is written in its place
  };
  // As found: "label", "annotation", "template annotation" or "image".
  std::string_view place;
  std::string key;  // or the slot of an image, Slot::id()
  std::string found;
  Peer from = Peer::kFigwasp;
  Action action = Action::kNone;
  std::string target{};
  std::string value{};
  std::string note{};

  // Whether it is sent to the API server.
  bool writes() const {
    return action == Action::kWrite || action == Action::kRemove || action == Action::kUnpin;
  }
  friend bool operator==(const Migration&, const Migration&) = default;
};

std::string_view to_string(Migration::Action action);  // "none", "write", "remove", "by-hand", ...

// Of a workload in a namespace with these keys, or of a namespace (namespace_kind()) itself. What
// is done already is not among them.
std::vector<Migration> migrations_of(const workload::Object& object, const workload::Metadata& ns,
                                     const MigrateRequest& request);

// Guarded; nullopt where nothing is to be written.
std::optional<workload::JsonPatch> migration_patch(const workload::Object& object,
                                                   const std::vector<Migration>& changes);

struct MigrationPlan {
  std::string ns;
  std::string label;  // "deployment/web", "namespace/team-a"
  std::string path{};
  const workload::Kind* kind = nullptr;
  std::vector<Migration> changes{};
  bool written = false;
  std::optional<Error> error{};  // why not
};

struct MigrationReport {
  std::vector<MigrationPlan> plans;      // ordered by namespace and label
  std::vector<CollectProblem> problems;  // what could not be read
  bool complete = true;                  // every kind was listed and every change written

  std::size_t left() const;  // findings that are still to be written
  std::size_t pins() const;  // images whose manifests are still to be changed
};

// Reads the workloads of the selection, and their namespaces where no selector narrows it; writes
// with `apply`. Errors: nothing could be read at all, or a stop.
Result<MigrationReport> migrate_cluster(kube::Api& api, const workload::KindTable& kinds,
                                        const Selection& selection, const MigrateRequest& request,
                                        const std::stop_token& stop = {});

}  // namespace tidemark::sweeper
