#include "gitops/write_back.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace tidemark::gitops {
namespace {

// A message is read by people; a longer one says how much it leaves out.
constexpr std::size_t kMaxChangeLines = 200;
constexpr std::size_t kMaxTroubles = 100;

// Values come from files: a line break in one would begin another line of the message.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

std::string images_in(const std::vector<FileChange>& changes) {
  std::set<std::string> images;
  for (const FileChange& each : changes) images.insert(each.image + ":" + each.tag);
  if (images.empty()) return {};
  std::string out = *images.begin();
  if (images.size() > 1) out += " and " + std::to_string(images.size() - 1) + " more";
  return out;
}

std::string value_of(const FileChange& of, std::string_view name) {
  const MarkerChange& change = of.change;
  if (name == "file") return one_line(of.file);
  if (name == "workload") return one_line(change.object);
  if (name == "image") return of.image;
  if (name == "old") return one_line(change.before);
  if (name == "new") return change.after;
  return change.policy;
}

}  // namespace

// What a commit is made on, and what its push finds and replaces.
struct WriteBack::Base {
  std::string commit;
  std::string branch;                   // where to
  std::optional<std::string> expected;  // that branch, now
  bool replace = false;
};

Result<WriteBack> WriteBack::open(WriteBackOptions options, const std::filesystem::path& folder,
                                  GitCredentials credentials,
                                  std::shared_ptr<net::HttpClient> client, Signer sign) {
  auto repository =
      Repository::open(folder, options.remote, std::move(credentials), std::move(client));
  if (!repository) return fail(repository.error());
  return WriteBack(std::move(options), std::move(*repository), std::move(sign));
}

Result<WriteBackOutcome> WriteBack::round(const PolicyImages& images, WallTime now, bool dry_run,
                                          Deadline deadline, const std::stop_token& stop) {
  for (int left = kAttempts;; --left) {
    auto done = attempt(images, now, dry_run, deadline, stop);
    if (done || done.error().kind != ErrorKind::kConflict || left <= 1) return done;
  }
}

Result<WriteBack::Base> WriteBack::base_of(const std::map<std::string, std::string>& heads) const {
  const auto branch = heads.find(options_.branch);
  if (branch == heads.end()) {
    return fail(ErrorKind::kNotFound, "there is no branch " + brief_quote(options_.branch));
  }
  if (options_.push_branch.empty()) {
    return Base{.commit = branch->second, .branch = options_.branch, .expected = branch->second};
  }
  const auto proposed = heads.find(options_.push_branch);
  if (proposed == heads.end()) {
    return Base{.commit = branch->second, .branch = options_.push_branch, .expected = std::nullopt};
  }
  const auto ours = repository_.only_by(options_.author, proposed->second, branch->second);
  if (!ours) return fail(ours.error());
  return Base{.commit = *ours ? branch->second : proposed->second,
              .branch = options_.push_branch,
              .expected = proposed->second,
              .replace = *ours};
}

Result<NewCommit> WriteBack::rewrite(const std::string& base, const PolicyImages& images,
                                     WallTime now, WriteBackOutcome& out) const {
  NewCommit commit{
      .parent = base, .files = {}, .author = options_.author, .time = now, .message = {}};
  const auto trouble = [&out](std::string text) {
    if (out.troubles.size() < kMaxTroubles) out.troubles.push_back(one_line(std::move(text)));
  };
  const auto see = [&](const std::string& path, std::string_view text) -> Status {
    if (!may_have_markers(text)) return {};
    auto rewritten = rewrite_markers(text, images);
    if (!rewritten) {
      trouble(path + ": " + rewritten.error().message);
      return {};
    }
    for (const MarkerTrouble& each : rewritten->troubles) {
      trouble(path + ":" + std::to_string(each.line) + ": " + each.message);
    }
    for (const UnknownPolicy& each : rewritten->unknown) {
      trouble(path + ":" + std::to_string(each.line) + ": the policy " + each.policy +
              " is not configured, or chooses nothing");
    }
    if (rewritten->changes.empty()) return {};
    for (MarkerChange& change : rewritten->changes) {
      const PolicyImage& image = images.at(change.policy);
      out.changes.push_back({path, image.name, image.tag, std::move(change)});
    }
    commit.files.emplace(path, std::move(rewritten->text));
    return {};
  };
  if (auto seen = repository_.each_yaml_file(base, options_.path, see); !seen) {
    return fail(seen.error());
  }
  commit.message = message(out.changes);
  return commit;
}

std::string WriteBack::message(const std::vector<FileChange>& changes) const {
  // The defaults name values that there are.
  static const Template kSubject = *MessageTemplates::subject(MessageTemplates::kSubject);
  static const Template kChange = *MessageTemplates::change(MessageTemplates::kChange);
  std::string out = options_.subject.value_or(kSubject).render([&](std::string_view name) {
    return name == "count" ? std::to_string(changes.size()) : images_in(changes);
  });
  out += "\n\n";
  std::size_t lines = 0;
  for (const FileChange& each : changes) {
    if (++lines > kMaxChangeLines) {
      out += "and " + std::to_string(changes.size() - kMaxChangeLines) + " more\n";
      break;
    }
    out += options_.change.value_or(kChange).render([&](std::string_view name) {
      return value_of(each, name);
    }) + "\n";
  }
  return out;
}

Result<WriteBackOutcome> WriteBack::attempt(const PolicyImages& images, WallTime now, bool dry_run,
                                            Deadline deadline, const std::stop_token& stop) {
  std::vector<std::string> branches{options_.branch};
  const bool proposes = !options_.push_branch.empty();
  if (proposes) branches.push_back(options_.push_branch);
  // Who committed to the push branch is seen in its history alone.
  const auto heads = repository_.fetch(branches, /*shallow=*/!proposes, deadline, stop);
  if (!heads) return fail(heads.error());
  if (!dry_run && *heads == seen_heads_ && images == seen_images_) {
    return WriteBackOutcome{.troubles = seen_troubles_, .head = heads->at(options_.branch)};
  }
  const auto base = base_of(*heads);
  if (!base) return fail(base.error());
  WriteBackOutcome out{.head = heads->at(options_.branch)};
  const auto wanted = rewrite(base->commit, images, now, out);
  if (!wanted) return fail(wanted.error());
  const auto nothing_to_do = [&] {
    seen_heads_ = *heads;
    seen_images_ = images;
    seen_troubles_ = out.troubles;
    return std::move(out);
  };
  if (wanted->files.empty()) return nothing_to_do();
  const auto commit = repository_.commit(*wanted, sign_);
  if (!commit) return fail(commit.error());
  if (!*commit) return nothing_to_do();
  if (base->replace) {
    // Proposed already, on what the branch still is at.
    const auto same = repository_.same_tree(**commit, *base->expected);
    if (!same) return fail(same.error());
    const auto follows = repository_.is_child(*base->expected, base->commit);
    if (!follows) return fail(follows.error());
    if (*same && *follows) {
      out.changes.clear();
      return nothing_to_do();
    }
  }
  out.branch = base->branch;
  if (dry_run) {
    auto diff = repository_.diff(base->commit, **commit);
    if (!diff) return fail(diff.error());
    out.diff = std::move(*diff);
    return out;
  }
  auto pushed =
      repository_.push(**commit, base->branch, base->expected, base->replace, deadline, stop);
  if (!pushed) return fail(pushed.error());
  out.commit = **commit;
  out.said = std::move(pushed->said);
  return out;
}

}  // namespace tidemark::gitops
