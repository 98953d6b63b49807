// Cold admissions beside the least that they could cost: one parallel round of HEADs.
//
//   cold_round WEBHOOK_URL CA_FILE REVIEW_FILE REGISTRY ROUNDS
//
// The review names :t0, :t1 and :t2. Round i asks the webhook about three tags that nobody has
// asked about, then sends three HEADs of three more at once by itself, over the same client. Prints
// one JSON object: the medians, and the median of the difference, in milliseconds.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <functional>
#include <iostream>
#include <latch>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/worker_pool.h"
#include "net/client.h"

namespace {

using namespace tidemark;
using Millis = std::chrono::duration<double, std::milli>;

constexpr std::size_t kReferences = 3;
constexpr std::array<std::string_view, kReferences> kImages = {"web", "worker", "proxy"};
constexpr std::chrono::milliseconds kTimeout{5'000};

std::string read_file(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

std::string tag(std::size_t number) { return ":t" + std::to_string(number); }

// The review with its three tags moved to those from `first` on.
std::string with_tags(std::string review, std::size_t first) {
  for (std::size_t i = 0; i < kReferences; ++i) {
    const std::string from = std::string(kImages[i]) + tag(i) + "\"";
    const std::string to = std::string(kImages[i]) + tag(first + i) + "\"";
    review.replace(review.find(from), from.size(), to);
  }
  return review;
}

bool succeeds(net::HttpClient& client, const net::Request& request) {
  const auto answer = client.send(request, Deadline::after(kTimeout));
  return answer && answer->status == 200;
}

net::Request head_of(const std::string& registry, std::size_t image, std::size_t number) {
  return {
      .method = "HEAD",
      .url = *net::Url::parse("http://" + registry + "/v2/bench/" + std::string(kImages[image]) +
                              "/manifests/" + tag(number).substr(1)),
      .headers = {{.name = "Accept", .value = "application/vnd.oci.image.manifest.v1+json"},
                  {.name = "Accept",
                   .value = "application/vnd.docker.distribution.manifest.v2+json"}},
      .body = {}};
}

// All three at once, the first on this thread; false if one failed.
bool heads(net::HttpClient& client, WorkerPool& pool, const std::string& registry,
           std::size_t first) {
  std::array<bool, kReferences> good{};
  std::latch done(kReferences - 1);
  for (std::size_t i = 1; i < kReferences; ++i) {
    const bool taken = pool.submit([&, i] {
      good[i] = succeeds(client, head_of(registry, i, first + i));
      done.count_down();
    });
    if (!taken) done.count_down();
  }
  good[0] = succeeds(client, head_of(registry, 0, first));
  done.wait();
  return std::ranges::all_of(good, std::identity{});
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

template <typename Work>
double timed(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return Millis(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  if (arguments.size() != 6) {
    std::cerr << "usage: cold_round WEBHOOK_URL CA_FILE REVIEW_FILE REGISTRY ROUNDS\n";
    return 2;
  }
  const auto url = net::Url::parse(arguments[1]);
  net::ClientOptions options;
  options.trust.ca_pem = read_file(arguments[2]);
  const auto client = net::make_client(options);
  const std::string review = read_file(arguments[3]);
  const std::string registry = arguments[4];
  const std::size_t rounds = std::stoul(arguments[5]);
  if (!url || !client || review.empty()) {
    std::cerr << "cannot read the URL, the CA or the review\n";
    return 2;
  }

  WorkerPool pool(kReferences - 1, kReferences);
  std::vector<double> admission;
  std::vector<double> round;
  std::vector<double> difference;
  bool good = true;
  for (std::size_t i = 0; i < rounds; ++i) {
    const std::size_t first = i * 2 * kReferences;
    const net::Request request{.method = "POST",
                               .url = *url,
                               .headers = {{.name = "Content-Type", .value = "application/json"}},
                               .body = with_tags(review, first)};
    const auto admit = [&] {
      admission.push_back(timed([&] { good = succeeds(**client, request) && good; }));
    };
    const auto ask = [&] {
      round.push_back(
          timed([&] { good = heads(**client, pool, registry, first + kReferences) && good; }));
    };
    // In turns: whichever comes second finds the registry as the other left it.
    if (i % 2 == 0) admit();
    ask();
    if (i % 2 != 0) admit();
    difference.push_back(admission.back() - round.back());
  }
  std::cout << R"({"good":)" << (good ? "true" : "false") << R"(,"admission_ms":)"
            << median(admission) << R"(,"heads_ms":)" << median(round) << R"(,"difference_ms":)"
            << median(difference) << "}\n";
  return 0;
}
