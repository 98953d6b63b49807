// ./dev bench markers: what it costs to look through the files of a repository, and to rewrite
// those that have markers. Prints milliseconds (the median of 21 runs) beside reading every file as
// YAML, which is what looking for markers costs without screening. Exit code 1: over the goal.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "gitops/markers.h"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t kFiles = 5'000;
constexpr std::size_t kMarkedEvery = 10;
constexpr int kRuns = 21;
constexpr double kGoal = 250;

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
double median_of(Work work) {
  std::vector<double> took;
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = Clock::now();
    work();
    took.push_back(Milliseconds(Clock::now() - begin).count());
  }
  std::ranges::sort(took);
  return took[took.size() / 2];
}

}  // namespace

int main() {
  namespace gitops = tidemark::gitops;
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
  return met ? 0 : 1;
}
