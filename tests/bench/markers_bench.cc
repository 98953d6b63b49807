// ./dev bench markers: what it costs to look through the files of a repository, and to rewrite
// those that have markers. Prints milliseconds (the median of 21 runs) beside reading every file as
// YAML, which is what looking for markers costs without screening; then the same files in a Git
// repository, read from its last commit and written as another. Exit code 1: over a goal.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gitops/markers.h"
#include "gitops/repository.h"

namespace {

namespace gitops = tidemark::gitops;

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t kFiles = 5'000;
constexpr std::size_t kMarkedEvery = 10;
constexpr int kRuns = 21;
constexpr double kGoal = 250;
constexpr int kRepositoryRuns = 5;
constexpr double kRepositoryGoal = 2'000;

// A Deployment of about 1 KiB.
std::string manifest(std::size_t number, bool marked) {
  const std::string name = "app-" + std::to_string(number);
  std::string text = "# Owned by team " + std::to_string(number % 17) +
                     ".\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: " + name +
                     "\n  namespace: shop\n  labels: {app.kubernetes.io/name: " + name +
                     ", app.kubernetes.io/part-of: shop}\nspec:\n  replicas: 2\n  selector: "
                     "{matchLabels: {app: " +
                     name + "}}\n  template:\n    metadata: {labels: {app: " + name +
                     "}}\n    spec:\n      containers:\n";
  for (const char* container : {"app", "proxy"}) {
    text += "        - name: " + std::string(container) + "\n          image: ghcr.io/shop/" +
            name + ":1.9.0";
    if (marked) text += "  # {\"$imagepolicy\": \"shop:app\"}";
    text +=
        "\n          args: [\"--listen=:8080\", \"--log=json\"]\n"
        "          ports: [{name: http, containerPort: 8080}]\n"
        "          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 5}\n"
        "          resources:\n            requests: {cpu: 50m, memory: 64Mi}\n"
        "            limits: {memory: 128Mi}\n";
  }
  return text;
}

template <typename Work>
double median_of(Work work, int runs = kRuns) {
  std::vector<double> took;
  for (int i = 0; i < runs; ++i) {
    const auto begin = Clock::now();
    work();
    took.push_back(Milliseconds(Clock::now() - begin).count());
  }
  std::ranges::sort(took);
  return took[took.size() / 2];
}

// git's own: one commit of all files, packed as a clone has it. Its id.
std::string import(const std::filesystem::path& clone, const std::vector<std::string>& files) {
  const std::filesystem::path stream = clone / "stream";
  {
    std::ofstream out(stream);
    out << "commit refs/heads/main\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n";
    for (std::size_t i = 0; i < files.size(); ++i) {
      out << "M 100644 inline apps/team-" << i % 50 << "/app-" << i << ".yaml\ndata "
          << files[i].size() << "\n"
          << files[i] << "\n";
    }
  }
  const std::string command =
      "git --git-dir='" + clone.string() + "' fast-import --quiet <'" + stream.string() + "'";
  if (std::system(command.c_str()) != 0) return {};
  std::string id;
  std::ifstream(clone / "refs/heads/main") >> id;
  return id;
}

// Milliseconds of a round but for the network; below zero where it went wrong.
double round_in_repository(const std::vector<std::string>& files,
                           const gitops::PolicyImages& images) {
  std::string folder = (std::filesystem::temp_directory_path() / "tidemark-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return -1;
  double took = -1;
  auto repository =
      gitops::Repository::open(std::filesystem::path(folder) / "clone",
                               *gitops::Remote::parse("https://git.test/x"), {}, nullptr);
  const std::string id =
      repository ? import(std::filesystem::path(folder) / "clone", files) : std::string();
  bool well = !id.empty();
  if (well) {
    took = median_of(
        [&] {
          gitops::NewCommit commit{.parent = id,
                                   .files = {},
                                   .author = {.name = "A", .email = "a@example.com"},
                                   .message = "x"};
          const auto see = [&](const std::string& path, std::string_view text) -> tidemark::Status {
            if (!gitops::may_have_markers(text)) return {};
            auto rewritten = gitops::rewrite_markers(text, images);
            if (rewritten) commit.files.emplace(path, std::move(rewritten->text));
            return {};
          };
          well = well && repository->each_yaml_file(id, "", see).has_value() &&
                 commit.files.size() == kFiles / kMarkedEvery &&
                 repository->commit(commit, {}).has_value();
        },
        kRepositoryRuns);
  }
  std::filesystem::remove_all(folder);
  return well ? took : -1;
}

}  // namespace

int main() {
  std::vector<std::string> files;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kFiles; ++i) {
    files.push_back(manifest(i, i % kMarkedEvery == 0));
    bytes += files.back().size();
  }
  const gitops::PolicyImages images = {{"shop:app", {.name = "ghcr.io/shop/app", .tag = "1.10.0"}}};
  const auto rewrite = [&](bool screened) {
    std::size_t changed = 0;
    for (const std::string& file : files) {
      if (screened && !gitops::may_have_markers(file)) continue;
      const auto result = gitops::rewrite_markers(file, images);
      if (result && !result->changes.empty()) ++changed;
    }
    return changed;
  };
  std::size_t changed = 0;
  const double all = median_of([&] { changed = rewrite(false); });
  const double screened = median_of([&] { changed = rewrite(true); });
  std::printf("%zu files of %zu bytes, %zu rewritten\n", kFiles, bytes / kFiles, changed);
  std::printf("%-32s %8.2f ms\n", "each read as YAML", all);
  std::printf("%-32s %8.2f ms\n", "screened", screened);
  const bool met = changed == kFiles / kMarkedEvery && screened < kGoal;
  std::printf("%s: %zu files under %.0f ms\n", met ? "met" : "MISSED", kFiles, kGoal);
  const double round = round_in_repository(files, images);
  std::printf("%-32s %8.2f ms\n", "in a Git repository", round);
  const bool round_met = round >= 0 && round < kRepositoryGoal;
  std::printf("%s: read, rewritten and committed under %.0f ms\n", round_met ? "met" : "MISSED",
              kRepositoryGoal);
  return met && round_met ? 0 : 1;
}
