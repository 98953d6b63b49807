#include "gitops/repository.h"

#include <git2.h>
#include <git2/sys/transport.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <iterator>
#include <span>
#include <system_error>
#include <utility>

#include "base/base64.h"
#include "base/text.h"
#include "gitops/http_transport.h"
#include "gitops/known_hosts.h"

namespace tidemark::gitops {
namespace {

constexpr std::size_t kMaxSaid = 2000;
constexpr ssize_t kObjectCacheBytes = ssize_t{16} * 1024 * 1024;
constexpr std::string_view kTracking = "refs/remotes/origin/";
constexpr std::string_view kHeads = "refs/heads/";
constexpr const char* kUrlKey = "tidemark.url";  // in the clone's config

// libgit2's own type for each, freed by its own function.
template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using RepositoryPtr = std::unique_ptr<git_repository, Freed<git_repository_free>>;
using ConfigPtr = std::unique_ptr<git_config, Freed<git_config_free>>;
using RemotePtr = std::unique_ptr<git_remote, Freed<git_remote_free>>;
using CommitPtr = std::unique_ptr<git_commit, Freed<git_commit_free>>;
using TreePtr = std::unique_ptr<git_tree, Freed<git_tree_free>>;
using EntryPtr = std::unique_ptr<git_tree_entry, Freed<git_tree_entry_free>>;
using BlobPtr = std::unique_ptr<git_blob, Freed<git_blob_free>>;
using SignaturePtr = std::unique_ptr<git_signature, Freed<git_signature_free>>;
using WalkPtr = std::unique_ptr<git_revwalk, Freed<git_revwalk_free>>;
using DiffPtr = std::unique_ptr<git_diff, Freed<git_diff_free>>;

// git_thing_make(&out, ...) into an owner, which has it when the whole expression is over.
template <typename Owner>
class Out {
 public:
  explicit Out(Owner& owner) : owner_(owner) {}
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  ~Out() { owner_.reset(raw_); }
  operator typename Owner::pointer *() { return &raw_; }  // NOLINT(google-explicit-constructor)

 private:
  Owner& owner_;
  typename Owner::pointer raw_ = nullptr;
};

// libgit2's own defaults, which its macros give to C.
template <typename Options>
Options defaults_of(int (*fill)(Options*, unsigned int), unsigned int version) {
  Options out;
  (void)fill(&out, version);
  return out;
}

class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { git_buf_dispose(&buffer_); }
  git_buf* get() { return &buffer_; }
  std::string str() const { return {buffer_.ptr, buffer_.size}; }

 private:
  git_buf buffer_ = {};
};

Error git_failure(int code, std::string_view doing) {
  const git_error* last = git_error_last();
  ErrorKind kind = ErrorKind::kInternal;
  if (code == GIT_ENOTFOUND) kind = ErrorKind::kNotFound;
  if (code == GIT_EAUTH) kind = ErrorKind::kUnauthorized;
  if (code == GIT_ECERTIFICATE) kind = ErrorKind::kTls;
  if (code == GIT_ENONFASTFORWARD) kind = ErrorKind::kConflict;
  const bool network =
      last != nullptr && (last->klass == GIT_ERROR_NET || last->klass == GIT_ERROR_SSH);
  if (kind == ErrorKind::kInternal && network) kind = ErrorKind::kUnavailable;
  std::string why = last != nullptr && last->message != nullptr ? last->message : "unknown";
  std::ranges::replace(why, '\n', ' ');
  return {.kind = kind, .message = std::string(doing) + ": " + why};
}

Status checked(int code, std::string_view doing) {
  if (code >= 0) return {};
  return fail(git_failure(code, doing));
}

std::string id_text(const git_oid& id) {
  std::array<char, GIT_OID_HEXSZ + 1> text{};
  return git_oid_tostr(text.data(), text.size(), &id);
}

Result<git_oid> parse_id(const std::string& text) {
  git_oid id;
  if (git_oid_fromstr(&id, text.c_str()) != 0) {
    return fail(ErrorKind::kInternal, brief_quote(text) + " is no commit's id");
  }
  return id;
}

// The process reads nobody's ~/.gitconfig: a repository is reached as the configuration says.
class Library {
 public:
  Library() {
    (void)git_libgit2_init();
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG,
                            GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      (void)git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    // Of objects in memory, for which the library would take 256 MiB.
    (void)git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, kObjectCacheBytes);
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 7
    // Of SSH; HTTP has deadlines of its own.
    (void)git_libgit2_opts(GIT_OPT_SET_SERVER_CONNECT_TIMEOUT, 10'000);
    (void)git_libgit2_opts(GIT_OPT_SET_SERVER_TIMEOUT, 60'000);
#endif
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { (void)git_libgit2_shutdown(); }
};

bool is_yaml(std::string_view name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

}  // namespace

struct Repository::State {
  Library library{};  // first: all else is libgit2's
  Remote remote;
  GitCredentials credentials;
  std::shared_ptr<net::HttpClient> client;
  std::filesystem::path folder;
  RepositoryPtr repository;
};

namespace {

// One conversation with the remote: what its callbacks need, and what they find.
struct Conversation {
  const Remote& remote;
  const GitCredentials& credentials;
  std::optional<HttpTransport> http;
  Deadline deadline;
  std::stop_token stop;
  bool asked_for_key = false;
  std::string said;
  std::optional<Error> error;
  // Of a push.
  std::optional<git_oid> expected;
  std::string refused;

  int give_up(Error why) {
    if (!error) error = std::move(why);
    return GIT_EUSER;
  }
  int go_on() {
    if (stop.stop_requested()) return give_up({ErrorKind::kCanceled, "stopped"});
    if (deadline.expired()) return give_up({ErrorKind::kTimeout, "its time is over"});
    return 0;
  }
  // What libgit2's answer means.
  Status outcome(int code, std::string_view doing) {
    if (code >= 0 && !error) return {};
    if (error) return fail(*error);
    if (http && http->error()) return fail(*http->error());
    return fail(git_failure(code, doing));
  }
};

Conversation& conversation(void* payload) { return *static_cast<Conversation*>(payload); }

int give_credentials(git_credential** out, const char* /*url*/, const char* user,
                     unsigned int allowed, void* payload) {
  Conversation& self = conversation(payload);
  const GitCredentials& own = self.credentials;
  const std::string name = user != nullptr && *user != '\0' ? user
                           : own.username.empty()           ? "git"
                                                            : own.username;
  if ((allowed & GIT_CREDENTIAL_USERNAME) != 0)
    return git_credential_username_new(out, name.c_str());
  if ((allowed & GIT_CREDENTIAL_SSH_KEY) == 0 || std::exchange(self.asked_for_key, true)) {
    return self.give_up({ErrorKind::kUnauthorized, "the server does not take the SSH key"});
  }
  return git_credential_ssh_key_memory_new(
      out, name.c_str(), own.ssh_public_key.empty() ? nullptr : own.ssh_public_key.c_str(),
      own.ssh_key.c_str(), own.password.empty() ? nullptr : own.password.c_str());
}

int check_host_key(git_cert* certificate, int /*valid*/, const char* host, void* payload) {
  Conversation& self = conversation(payload);
  if (certificate->cert_type != GIT_CERT_HOSTKEY_LIBSSH2) {
    return self.give_up({ErrorKind::kTls, "not the kind of proof that SSH gives"});
  }
  // git2/cert.h: the type says which of its kinds this is.
  const auto* key = reinterpret_cast<const git_cert_hostkey*>(certificate);
  if ((key->type & GIT_CERT_SSH_RAW) == 0) {
    return self.give_up({ErrorKind::kTls, "the server's key is of an unknown kind"});
  }
  auto known = check_known_host(self.credentials.known_hosts, self.remote.url, host,
                                std::string_view(key->hostkey, key->hostkey_len));
  if (!known) return self.give_up(std::move(known.error()));
  return 0;
}

int on_progress(const git_indexer_progress* progress, void* payload) {
  Conversation& self = conversation(payload);
  if (progress->received_bytes > kMaxFetchBytes) {
    return self.give_up({ErrorKind::kTooLarge, "the repository is larger than 1 GiB"});
  }
  return self.go_on();
}

int on_said(const char* text, int length, void* payload) {
  Conversation& self = conversation(payload);
  const std::size_t room = kMaxSaid - std::min(kMaxSaid, self.said.size());
  self.said.append(text, std::min(room, static_cast<std::size_t>(std::max(length, 0))));
  return self.go_on();
}

// The branch as the server has it now, before anything is sent.
int on_negotiation(const git_push_update** updates, std::size_t count, void* payload) {
  Conversation& self = conversation(payload);
  for (std::size_t i = 0; i < count; ++i) {
    const git_oid& now = updates[i]->src;
    const bool same =
        self.expected ? git_oid_equal(&now, &*self.expected) != 0 : git_oid_is_zero(&now) != 0;
    if (!same) {
      return self.give_up({ErrorKind::kConflict, "somebody pushed to the branch meanwhile"});
    }
  }
  return self.go_on();
}

int on_updated(const char* /*reference*/, const char* status, void* payload) {
  if (status != nullptr) conversation(payload).refused = status;
  return 0;
}

int make_http_transport(git_transport** out, git_remote* owner, void* payload) {
  return HttpTransport::make(out, owner, &*conversation(payload).http);
}

git_remote_callbacks callbacks_of(Conversation& self) {
  auto callbacks = defaults_of(git_remote_init_callbacks, GIT_REMOTE_CALLBACKS_VERSION);
  callbacks.payload = &self;
  callbacks.credentials = give_credentials;
  callbacks.certificate_check = check_host_key;
  callbacks.transfer_progress = on_progress;
  callbacks.sideband_progress = on_said;
  callbacks.push_negotiation = on_negotiation;
  callbacks.push_update_reference = on_updated;
  // Without one libgit2 takes its own, by the URL's scheme.
  if (self.http) callbacks.transport = make_http_transport;
  return callbacks;
}

std::string authorization_of(const GitCredentials& credentials) {
  if (!credentials.bearer_token.empty()) return "Bearer " + credentials.bearer_token;
  if (credentials.password.empty() && credentials.username.empty()) return {};
  // A token as a password needs some name beside it.
  const std::string name = credentials.username.empty() ? "git" : credentials.username;
  return "Basic " + base64_encode(name + ":" + credentials.password);
}

Conversation converse(const Remote& remote, const GitCredentials& credentials,
                      net::HttpClient* client, const std::filesystem::path& folder,
                      Deadline deadline, const std::stop_token& stop) {
  Conversation out{.remote = remote,
                   .credentials = credentials,
                   .http = std::nullopt,
                   .deadline = deadline,
                   .stop = stop,
                   .said = {},
                   .error = std::nullopt,
                   .expected = std::nullopt,
                   .refused = {}};
  if (!remote.ssh()) {
    out.http.emplace(*client, authorization_of(credentials), folder, kMaxFetchBytes, deadline,
                     stop);
  }
  return out;
}

// Nothing of a configuration is looked up for it; that lookup, of url.insteadOf, also leaks in
// libgit2 1.5 as it is built with PCRE2.
Result<RemotePtr> remote_of(git_repository* repository, const std::string& url) {
  auto options = defaults_of(git_remote_create_options_init, GIT_REMOTE_CREATE_OPTIONS_VERSION);
  options.repository = repository;
  options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF;
  RemotePtr out;
  if (auto made =
          checked(git_remote_create_with_opts(Out(out), url.c_str(), &options), "the remote");
      !made) {
    return fail(made.error());
  }
  return out;
}

Result<CommitPtr> commit_of(git_repository* repository, const std::string& text) {
  const auto id = parse_id(text);
  if (!id) return fail(id.error());
  CommitPtr out;
  if (auto found = checked(git_commit_lookup(Out(out), repository, &*id), "commit " + text);
      !found) {
    return fail(found.error());
  }
  return out;
}

Result<TreePtr> tree_of(git_repository* repository, const std::string& commit) {
  const auto found = commit_of(repository, commit);
  if (!found) return fail(found.error());
  TreePtr out;
  if (auto got = checked(git_commit_tree(Out(out), found->get()), "the tree of " + commit); !got) {
    return fail(got.error());
  }
  return out;
}

// Walks a tree; what the visitor throws or refuses ends the walk.
struct TreeVisit {
  git_repository* repository;
  std::string prefix;  // of the paths: the folder with its slash
  const Repository::SeeFile& see;
  std::size_t files = 0;
  Status outcome{};

  Status visit(const std::string& folder, const git_tree_entry* entry) {
    const std::string name = git_tree_entry_name(entry);
    const git_filemode_t mode = git_tree_entry_filemode(entry);
    if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE) return {};
    if (!is_yaml(name)) return {};
    if (++files > kMaxFiles) {
      return fail(ErrorKind::kTooLarge, "more than " + std::to_string(kMaxFiles) + " YAML files");
    }
    BlobPtr blob;
    if (auto got = checked(git_blob_lookup(Out(blob), repository, git_tree_entry_id(entry)), name);
        !got) {
      return got;
    }
    const auto size = static_cast<std::size_t>(git_blob_rawsize(blob.get()));
    if (size > kMaxFileBytes) return {};
    return see(prefix + folder + name,
               {static_cast<const char*>(git_blob_rawcontent(blob.get())), size});
  }
};

int visit_entry(const char* folder, const git_tree_entry* entry, void* payload) noexcept {
  auto& self = *static_cast<TreeVisit*>(payload);
  try {
    self.outcome = self.visit(folder, entry);
  } catch (const std::exception& e) {
    self.outcome = fail(ErrorKind::kInternal, e.what());
  }
  return self.outcome ? 0 : GIT_EUSER;
}

// Whose clone it is; "" where that cannot be read.
std::string url_of(git_repository* clone) {
  ConfigPtr config;
  Buffer url;
  if (git_repository_config(Out(config), clone) != 0) return {};
  if (git_config_get_string_buf(url.get(), config.get(), kUrlKey) != 0) return {};
  return url.str();
}

bool is_worn(const std::filesystem::path& folder) {
  std::error_code error;
  std::size_t files = 0;
  for (auto at = std::filesystem::recursive_directory_iterator(folder, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (++files > kMaxCloneFiles) return true;
  }
  return false;
}

Result<RepositoryPtr> open_clone(const std::filesystem::path& folder, const std::string& url) {
  RepositoryPtr out;
  (void)git_repository_open_bare(Out(out), folder.c_str());
  if (out != nullptr && url_of(out.get()) == url && !is_worn(folder)) return out;
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (auto made = checked(git_repository_init(Out(out), folder.c_str(), /*is_bare=*/1),
                          "the clone's folder " + folder.string());
      !made) {
    return fail(made.error());
  }
  ConfigPtr config;
  if (auto got = checked(git_repository_config(Out(config), out.get()), "its config"); !got) {
    return fail(got.error());
  }
  if (auto set = checked(git_config_set_string(config.get(), kUrlKey, url.c_str()), "its config");
      !set) {
    return fail(set.error());
  }
  return out;
}

}  // namespace

Repository::Repository(std::unique_ptr<State> state) : state_(std::move(state)) {}
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;
Repository::~Repository() = default;

Result<Repository> Repository::open(const std::filesystem::path& folder, Remote remote,
                                    GitCredentials credentials,
                                    std::shared_ptr<net::HttpClient> client) {
  if (auto fit = check_credentials(remote, credentials); !fit) return fail(fit.error());
  auto state = std::make_unique<State>();
  state->remote = std::move(remote);
  state->credentials = std::move(credentials);
  state->client = std::move(client);
  state->folder = folder;
  auto repository = open_clone(folder, state->remote.url);
  if (!repository) return fail(repository.error());
  state->repository = std::move(*repository);
  return Repository(std::move(state));
}

bool Repository::worn() const { return is_worn(state_->folder); }

Result<std::map<std::string, std::string>> Repository::fetch(
    const std::vector<std::string>& branches, bool shallow, Deadline deadline,
    const std::stop_token& stop) {
  git_repository* repository = state_->repository.get();
  const auto remote = remote_of(repository, state_->remote.url);
  if (!remote) return fail(remote.error());
  Conversation conversation = converse(state_->remote, state_->credentials, state_->client.get(),
                                       state_->folder, deadline, stop);
  auto options = defaults_of(git_fetch_options_init, GIT_FETCH_OPTIONS_VERSION);
  options.callbacks = callbacks_of(conversation);
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
  options.prune = GIT_FETCH_PRUNE;
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 7
  options.depth = shallow ? 1 : GIT_FETCH_DEPTH_FULL;
#else
  (void)shallow;
#endif
  std::vector<std::string> specs;
  for (const std::string& branch : branches) {
    specs.push_back("+" + std::string(kHeads) + branch + ":" + std::string(kTracking) + branch);
  }
  std::vector<char*> pointers;
  for (std::string& spec : specs) pointers.push_back(spec.data());
  const git_strarray refspecs{.strings = pointers.data(), .count = pointers.size()};
  if (auto done = conversation.outcome(
          git_remote_fetch(remote->get(), &refspecs, &options, nullptr), "fetch");
      !done) {
    return fail(done.error());
  }
  std::map<std::string, std::string> out;
  for (const std::string& branch : branches) {
    git_oid id;
    const std::string name = std::string(kTracking) + branch;
    if (git_reference_name_to_id(&id, repository, name.c_str()) == 0) {
      out.emplace(branch, id_text(id));
    }
  }
  return out;
}

Status Repository::each_yaml_file(const std::string& commit, const std::string& path,
                                  const SeeFile& see) const {
  git_repository* repository = state_->repository.get();
  auto tree = tree_of(repository, commit);
  if (!tree) return fail(tree.error());
  if (!path.empty()) {
    EntryPtr entry;
    if (auto found = checked(git_tree_entry_bypath(Out(entry), tree->get(), path.c_str()), path);
        !found || git_tree_entry_type(entry.get()) != GIT_OBJECT_TREE) {
      return fail(ErrorKind::kNotFound, "there is no folder " + brief_quote(path));
    }
    if (auto got =
            checked(git_tree_lookup(Out(*tree), repository, git_tree_entry_id(entry.get())), path);
        !got) {
      return got;
    }
  }
  TreeVisit visit{.repository = repository, .prefix = path.empty() ? "" : path + "/", .see = see};
  const int walked = git_tree_walk(tree->get(), GIT_TREEWALK_PRE, visit_entry, &visit);
  if (!visit.outcome) return visit.outcome;
  return checked(walked, "the files of " + commit);
}

Result<std::optional<std::string>> Repository::commit(const NewCommit& wanted,
                                                      const Signer& sign) const {
  git_repository* repository = state_->repository.get();
  const auto parent = commit_of(repository, wanted.parent);
  if (!parent) return fail(parent.error());
  TreePtr before;
  if (auto got = checked(git_commit_tree(Out(before), parent->get()), "its tree"); !got) {
    return fail(got.error());
  }
  std::vector<git_tree_update> updates;
  for (const auto& [path, content] : wanted.files) {
    EntryPtr entry;
    if (auto found = checked(git_tree_entry_bypath(Out(entry), before.get(), path.c_str()), path);
        !found) {
      return fail(found.error());
    }
    git_tree_update& update = updates.emplace_back();
    update.action = GIT_TREE_UPDATE_UPSERT;
    update.filemode = git_tree_entry_filemode(entry.get());
    update.path = path.c_str();
    if (auto made = checked(
            git_blob_create_from_buffer(&update.id, repository, content.data(), content.size()),
            path);
        !made) {
      return fail(made.error());
    }
  }
  git_oid tree_id;
  if (auto made = checked(git_tree_create_updated(&tree_id, repository, before.get(),
                                                  updates.size(), updates.data()),
                          "the new tree");
      !made) {
    return fail(made.error());
  }
  if (git_oid_equal(&tree_id, git_tree_id(before.get())) != 0) return std::nullopt;
  TreePtr tree;
  if (auto got = checked(git_tree_lookup(Out(tree), repository, &tree_id), "the new tree"); !got) {
    return fail(got.error());
  }
  SignaturePtr author;
  if (auto made = checked(
          git_signature_new(Out(author), wanted.author.name.c_str(), wanted.author.email.c_str(),
                            std::chrono::system_clock::to_time_t(wanted.time), /*offset=*/0),
          "the author");
      !made) {
    return fail(made.error());
  }
  std::array<const git_commit*, 1> parents{parent->get()};
  Buffer text;
  if (auto made = checked(git_commit_create_buffer(text.get(), repository, author.get(),
                                                   author.get(), "UTF-8", wanted.message.c_str(),
                                                   tree.get(), parents.size(), parents.data()),
                          "the commit");
      !made) {
    return fail(made.error());
  }
  std::string signature;
  if (sign) {
    auto made = sign(text.str());
    if (!made) return fail(within("signing the commit", made.error()));
    signature = std::move(*made);
  }
  git_oid id;
  // Without a signature it is written as it is.
  if (auto made = checked(git_commit_create_with_signature(
                              &id, repository, text.str().c_str(),
                              signature.empty() ? nullptr : signature.c_str(), nullptr),
                          "the commit");
      !made) {
    return fail(made.error());
  }
  return id_text(id);
}

Result<bool> Repository::only_by(const Person& person, const std::string& tip,
                                 const std::string& base) const {
  git_repository* repository = state_->repository.get();
  const auto from = parse_id(tip);
  if (!from) return fail(from.error());
  const auto hidden = parse_id(base);
  if (!hidden) return fail(hidden.error());
  WalkPtr walk;
  int code = git_revwalk_new(Out(walk), repository);
  if (code >= 0) code = git_revwalk_push(walk.get(), &*from);
  if (code >= 0) code = git_revwalk_hide(walk.get(), &*hidden);
  if (auto done = checked(code, "the history of " + tip); !done) return fail(done.error());
  git_oid id;
  while (git_revwalk_next(&id, walk.get()) == 0) {
    const auto commit = commit_of(repository, id_text(id));
    if (!commit) return fail(commit.error());
    const git_signature* committer = git_commit_committer(commit->get());
    if (person.name != committer->name || person.email != committer->email) return false;
  }
  return true;
}

Result<bool> Repository::is_child(const std::string& commit, const std::string& parent) const {
  const auto child = commit_of(state_->repository.get(), commit);
  if (!child) return fail(child.error());
  return git_commit_parentcount(child->get()) == 1 &&
         id_text(*git_commit_parent_id(child->get(), 0)) == parent;
}

Result<bool> Repository::same_tree(const std::string& a, const std::string& b) const {
  const auto one = commit_of(state_->repository.get(), a);
  if (!one) return fail(one.error());
  const auto other = commit_of(state_->repository.get(), b);
  if (!other) return fail(other.error());
  return git_oid_equal(git_commit_tree_id(one->get()), git_commit_tree_id(other->get())) != 0;
}

Result<Pushed> Repository::push(const std::string& commit, const std::string& branch,
                                const std::optional<std::string>& expected, bool replace,
                                Deadline deadline, const std::stop_token& stop) {
  git_repository* repository = state_->repository.get();
  const auto id = parse_id(commit);
  if (!id) return fail(id.error());
  const auto remote = remote_of(repository, state_->remote.url);
  if (!remote) return fail(remote.error());
  Conversation conversation = converse(state_->remote, state_->credentials, state_->client.get(),
                                       state_->folder, deadline, stop);
  if (expected) {
    const auto old = parse_id(*expected);
    if (!old) return fail(old.error());
    conversation.expected = *old;
  }
  // A push names a reference, not a commit.
  const std::string local = "refs/tidemark/push";
  git_reference* made = nullptr;
  if (auto named = checked(git_reference_create(&made, repository, local.c_str(), &*id,
                                                /*force=*/1, nullptr),
                           local);
      !named) {
    return fail(named.error());
  }
  git_reference_free(made);
  auto options = defaults_of(git_push_options_init, GIT_PUSH_OPTIONS_VERSION);
  options.pb_parallelism = 1;
  options.callbacks = callbacks_of(conversation);
  std::string spec = (replace ? "+" : "") + local + ":" + std::string(kHeads) + branch;
  std::array<char*, 1> pointers{spec.data()};
  const git_strarray refspecs{.strings = pointers.data(), .count = pointers.size()};
  if (auto done = conversation.outcome(git_remote_push(remote->get(), &refspecs, &options), "push");
      !done) {
    return fail(done.error());
  }
  if (conversation.refused.empty()) return Pushed{.said = std::move(conversation.said)};
  std::string why =
      "the server does not take a push to " + brief_quote(branch) + ": " + conversation.refused;
  if (!conversation.said.empty()) why += " (" + std::string(trimmed(conversation.said)) + ")";
  std::ranges::replace(why, '\n', ' ');
  // Each server has words of its own for a branch that moved between its answer and our commit.
  const auto now = branch_now(branch, deadline, stop);
  const bool moved = now && *now != expected;
  return fail(moved ? ErrorKind::kConflict : ErrorKind::kForbidden, std::move(why));
}

Result<std::optional<std::string>> Repository::branch_now(const std::string& branch,
                                                          Deadline deadline,
                                                          const std::stop_token& stop) {
  const auto remote = remote_of(state_->repository.get(), state_->remote.url);
  if (!remote) return fail(remote.error());
  Conversation conversation = converse(state_->remote, state_->credentials, state_->client.get(),
                                       state_->folder, deadline, stop);
  const git_remote_callbacks callbacks = callbacks_of(conversation);
  if (auto done = conversation.outcome(
          git_remote_connect(remote->get(), GIT_DIRECTION_FETCH, &callbacks, nullptr, nullptr),
          "connect");
      !done) {
    return fail(done.error());
  }
  const git_remote_head** heads = nullptr;
  std::size_t count = 0;
  if (auto done = conversation.outcome(git_remote_ls(&heads, &count, remote->get()), "branches");
      !done) {
    return fail(done.error());
  }
  const std::string name = std::string(kHeads) + branch;
  for (const git_remote_head* head : std::span(heads, count)) {
    if (name == head->name) return id_text(head->oid);
  }
  return std::nullopt;
}

Result<std::string> Repository::diff(const std::string& from, const std::string& to) const {
  git_repository* repository = state_->repository.get();
  const auto before = tree_of(repository, from);
  if (!before) return fail(before.error());
  const auto after = tree_of(repository, to);
  if (!after) return fail(after.error());
  DiffPtr diff;
  if (auto made = checked(
          git_diff_tree_to_tree(Out(diff), repository, before->get(), after->get(), nullptr),
          "the difference");
      !made) {
    return fail(made.error());
  }
  Buffer text;
  if (auto made =
          checked(git_diff_to_buf(text.get(), diff.get(), GIT_DIFF_FORMAT_PATCH), "the difference");
      !made) {
    return fail(made.error());
  }
  return text.str();
}

}  // namespace tidemark::gitops
