// Repository: a bare clone of one remote repository, and what a write-back does with it.
//
// Purpose: the one user of libgit2. There is no working tree: files are read from the tree of a
// commit, and a commit is made of a tree and what changes in it, so that nothing else can. The
// clone is kept between rounds: a fetch brings what is new. A push is a compare-and-swap: it says
// what it found the branch at, and fails with kConflict where somebody was faster.
// Thread-safety: one thread at a time. Ownership: of its folder, which nobody else may use; a
// folder that is no clone of this remote, or a worn() one, is replaced. Errors: the network's
// kinds; kNotFound for a branch that is not there; kConflict; kForbidden where the server refuses a
// push (a protected branch), with what it said. Source: libgit2; gitprotocol-http(5),
// gitprotocol-pack(5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gitops/remote.h"
#include "net/http.h"

namespace tidemark::gitops {

inline constexpr std::uint64_t kMaxFetchBytes = std::uint64_t{1} << 30;
// Files that may have markers, of one repository; and of each. Larger ones are passed over: no
// manifest of Kubernetes' is larger than what the API server takes.
inline constexpr std::size_t kMaxFiles = 100'000;
inline constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;
// In a clone's folder. Each fetch leaves a pack, and each commit some objects; nothing packs them.
inline constexpr std::size_t kMaxCloneFiles = 5'000;

struct Person {
  std::string name;
  std::string email;
};

struct NewCommit {
  std::string parent;                        // a commit's id
  std::map<std::string, std::string> files;  // path in the repository to its new content
  Person author;
  WallTime time{};
  std::string message;
};

// Makes the `gpgsig` header for what is signed: a commit without it.
using Signer = std::function<Result<std::string>(std::string_view commit)>;

struct Pushed {
  std::string said;  // what the server told: where a merge request can be opened, mostly
};

class Repository {
 public:
  // `client`: for https:// and http:// remotes; made of the credentials by its owner.
  static Result<Repository> open(const std::filesystem::path& folder, Remote remote,
                                 GitCredentials credentials,
                                 std::shared_ptr<net::HttpClient> client);

  Repository(Repository&&) noexcept;
  Repository& operator=(Repository&&) noexcept;
  ~Repository();

  // Has been used so often that it is better made anew.
  bool worn() const;

  // The ids of these branches' last commits; a branch that is not there is left out. `shallow`:
  // without their history, where the library can (libgit2 1.7).
  Result<std::map<std::string, std::string>> fetch(const std::vector<std::string>& branches,
                                                   bool shallow, Deadline deadline,
                                                   const std::stop_token& stop);

  // The regular files below `path` ("" for all) of a commit, in git's order. The view ends with the
  // call. kNotFound where there is no such folder.
  using SeeFile = std::function<Status(const std::string& path, std::string_view content)>;
  Status each_yaml_file(const std::string& commit, const std::string& path,
                        const SeeFile& see) const;

  // The new commit's id; nullopt where the files are as they were.
  Result<std::optional<std::string>> commit(const NewCommit& wanted, const Signer& sign) const;

  // True where all that `tip` has and `base` has not was committed by that person.
  Result<bool> only_by(const Person& person, const std::string& tip, const std::string& base) const;
  // Whether `commit` was made on `parent` alone.
  Result<bool> is_child(const std::string& commit, const std::string& parent) const;
  // Whether both hold the same files.
  Result<bool> same_tree(const std::string& a, const std::string& b) const;

  // `expected`: where the branch must be at; nullopt: it must not be there. `replace`: also by what
  // does not follow from that.
  Result<Pushed> push(const std::string& commit, const std::string& branch,
                      const std::optional<std::string>& expected, bool replace, Deadline deadline,
                      const std::stop_token& stop);

  // "-old\n+new" of a file in both commits, as `git diff` has it. For people.
  Result<std::string> diff(const std::string& from, const std::string& to) const;

 private:
  // Asked of the server; nullopt: there is none.
  Result<std::optional<std::string>> branch_now(const std::string& branch, Deadline deadline,
                                                const std::stop_token& stop);
  struct State;
  explicit Repository(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tidemark::gitops
