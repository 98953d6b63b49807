// WriteBack: what policies chose, written into a Git repository, in one commit.
//
// Purpose: fetch -> rewrite -> commit -> push. Only values beside markers change (markers.h), only
// below one path, and where nothing changes there is no commit. Who pushes to the branch meanwhile
// wins: the round begins again from what is there then, up to kAttempts times.
// With a push branch the changes stand there as one commit on top of the branch, made anew as the
// branch goes on; once it has a commit of somebody else's, what is new goes on top of that.
// Between rounds the clone is kept, and what was last seen: a round in which neither the branch nor
// the choices have changed asks for the branch alone.
// Thread-safety: one thread. Ownership: of its clone. Errors: Repository's; what single markers and
// files have is told in the outcome, and holds up nothing else.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/template.h"
#include "gitops/markers.h"
#include "gitops/message_templates.h"
#include "gitops/remote.h"
#include "gitops/repository.h"
#include "net/http.h"

namespace tidemark::gitops {

// How often a round begins again where others push.
inline constexpr int kAttempts = 20;

struct WriteBackOptions {
  Remote remote{};
  std::string branch = "main";
  std::string push_branch{};  // "": the branch itself
  std::string path{};         // "": the whole repository
  Person author{.name = "Tidemark", .email = "tidemark@localhost"};
  std::optional<Template> subject{};  // nullopt: the default
  std::optional<Template> change{};
};

struct FileChange {
  std::string file;
  std::string image;  // without its tag
  std::string tag;    // that was chosen
  MarkerChange change;
};

struct WriteBackOutcome {
  std::vector<FileChange> changes{};    // that were written, or would be
  std::vector<std::string> troubles{};  // "apps/api.yaml:12: ..."
  std::string commit{};                 // "": there was nothing to write
  std::string branch{};                 // where it was pushed
  std::string said{};                   // by the server: where a merge request can be opened
  std::string diff{};                   // of a dry run
  std::string head{};                   // of the branch, as it was read
};

class WriteBack {
 public:
  // `folder`: of the clone.
  static Result<WriteBack> open(WriteBackOptions options, const std::filesystem::path& folder,
                                GitCredentials credentials, std::shared_ptr<net::HttpClient> client,
                                Signer sign = {});

  // Repository's.
  bool worn() const { return repository_.worn(); }

  // `dry_run`: nothing is pushed.
  Result<WriteBackOutcome> round(const PolicyImages& images, WallTime now, bool dry_run,
                                 Deadline deadline, const std::stop_token& stop);

 private:
  WriteBack(WriteBackOptions options, Repository repository, Signer sign)
      : options_(std::move(options)), repository_(std::move(repository)), sign_(std::move(sign)) {}

  Result<WriteBackOutcome> attempt(const PolicyImages& images, WallTime now, bool dry_run,
                                   Deadline deadline, const std::stop_token& stop);
  struct Base;
  Result<Base> base_of(const std::map<std::string, std::string>& heads) const;
  Result<NewCommit> rewrite(const std::string& base, const PolicyImages& images, WallTime now,
                            WriteBackOutcome& out) const;
  std::string message(const std::vector<FileChange>& changes) const;

  WriteBackOptions options_;
  Repository repository_;
  Signer sign_;
  // Of the last round that left nothing to do.
  std::map<std::string, std::string> seen_heads_;
  PolicyImages seen_images_;
  std::vector<std::string> seen_troubles_;
};

}  // namespace tidemark::gitops
