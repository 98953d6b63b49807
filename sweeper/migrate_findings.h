// Findings: what is found on one object, gathered for migrations_of() (migrate.h).
//
// Purpose: the rules that are the same for every program: what the user has said stands, what is
// done is not told again, keys go only where nothing is lost with them.
// Thread-safety: one thread. Ownership: borrows the object, its namespace's keys and the request.
// Errors: none.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sweeper/migrate.h"

namespace tidemark::sweeper {

class Findings {
 public:
  Findings(const workload::Object& object, const workload::Metadata& ns,
           const MigrateRequest& request)
      : object_(object), ns_(ns), request_(request) {}

  const workload::Object& object() const { return object_; }
  const workload::Metadata& ns() const { return ns_; }
  const MigrateRequest& request() const { return request_; }

  // The finding has no counterpart, or needs none.
  void tell(Migration finding, std::string_view note);
  // The finding comes to this setting of Tidemark.
  void write(Migration finding, std::string_view key, std::string_view value);
  void add(Migration finding) { found_.push_back(std::move(finding)); }
  // The program's own key is not needed any more.
  void remove(Migration finding);
  // Pins of this program whose manifests are to be changed are among the findings.
  bool has_pins_of(Peer peer) const;

  std::vector<Migration> take() { return std::move(found_); }

 private:
  const workload::Object& object_;
  const workload::Metadata& ns_;
  const MigrateRequest& request_;
  std::vector<Migration> found_;
};

// The images that other programs gave a digest.
void find_pins(Findings& findings);
void find_keel(Findings& findings);

// imago's record of the images as they were written; k8s-digester's switch on a namespace.
inline constexpr std::string_view kImagoKey = "imago-config-spec";
inline constexpr std::string_view kDigesterLabel = "digest-resolution";

bool is_digester_on(const workload::Metadata& ns);

}  // namespace tidemark::sweeper
