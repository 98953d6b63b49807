// A review of 1 MiB through the two stages that read all of it, in MB/s; and the common review
// through all stages with a registry that answers at once, which is what a warm admission costs
// without HTTPS.

#include <benchmark/benchmark.h>

#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "base/worker_pool.h"
#include "webhook/admit.h"
#include "webhook/assess.h"
#include "webhook/decode_review.h"

namespace {

using namespace tidemark;

constexpr std::size_t kReviewBytes = std::size_t{1024} * 1024;

// A Deployment of three containers with as many variables as fill `bytes`.
std::string object_of(std::size_t bytes, std::string_view label) {
  std::string json = R"({"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web",)"
                     R"("namespace":"team-a","labels":{"app":")";
  json.append(label).append(R"("}},"spec":{"replicas":3,"template":{"metadata":{"labels":)"
                            R"({"app":"web"}},"spec":{"containers":[)");
  constexpr std::size_t kContainers = 3;
  for (std::size_t i = 0; i < kContainers; ++i) {
    const std::string number = std::to_string(i);
    json.append(i == 0 ? "" : ",")
        .append(R"({"name":"c)" + number + R"(","image":"registry.test/)");
    json.append("team/app:" + number + R"(","imagePullPolicy":"Always","env":[)");
    for (std::size_t j = 0; json.size() < bytes * (i + 1) / kContainers; ++j) {
      json.append(j == 0 ? "" : ",").append(R"({"name":"VARIABLE_)" + std::to_string(j));
      json.append(R"(","value":"a value of a common length, such as a path or an address"})");
    }
    json.append("]}");
  }
  return json.append("]}}}}");
}

std::string review_of(std::string_view operation, const std::string& object,
                      const std::string& old_object) {
  std::string json = R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":)"
                     R"({"uid":"u","kind":{"group":"apps","version":"v1","kind":"Deployment"},)"
                     R"("name":"web","namespace":"team-a","operation":")";
  json.append(operation).append(R"(","userInfo":{"username":"alice"},"object":)").append(object);
  return json.append(R"(,"oldObject":)").append(old_object).append("}}");
}

void run(benchmark::State& state, const std::string& review) {
  webhook::ReviewDecoder decoder;
  for (auto _ : state) {
    const auto decoded = decoder.decode(review, {});
    if (!decoded) return state.SkipWithError(decoded.error().message.c_str());
    const auto assessment = webhook::assess(*decoded, {}, {}, WallTime{});
    if (!assessment) return state.SkipWithError(assessment.error().message.c_str());
    benchmark::DoNotOptimize(assessment->edited);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(review.size()) * state.iterations());
}

void Create(benchmark::State& state) {
  run(state, review_of("CREATE", object_of(kReviewBytes, "web"), "null"));
}
void UpdateOfTheSameTemplate(benchmark::State& state) {
  run(state, review_of("UPDATE", object_of(kReviewBytes / 2, "web"),
                       object_of(kReviewBytes / 2, "other")));
}
// One variable more: bytes differ, and all is compared value by value.
void UpdateOfAnotherTemplate(benchmark::State& state) {
  run(state, review_of("UPDATE", object_of(kReviewBytes / 2, "web"),
                       object_of(kReviewBytes / 2 - 100, "web")));
}

// Everything is known, as in a warm cache.
class KnowsAll final : public registry::Resolver {
 public:
  Result<registry::Resolution> resolve(const registry::Query& query, Deadline /*deadline*/,
                                       std::stop_token /*stop*/) override {
    return *known(query);
  }
  Result<registry::TagList> tags(const registry::Query& /*query*/, Deadline /*deadline*/,
                                 std::stop_token /*stop*/) override {
    return registry::TagList{};
  }
  Result<registry::Creation> created(const registry::Query& /*query*/, Deadline /*deadline*/,
                                     std::stop_token /*stop*/) override {
    return registry::Creation{};
  }
  std::optional<Result<registry::Resolution>> known(const registry::Query& /*query*/) override {
    return registry::Resolution{.digest = *image::Digest::parse("sha256:" + std::string(64, 'a'))};
  }
};

void WarmAdmission(benchmark::State& state) {
  std::ostringstream text;
  text << std::ifstream(TIDEMARK_REVIEW).rdbuf();
  std::string review = std::move(text).str();
  for (std::size_t at = 0; (at = review.find("REGISTRY")) != std::string::npos;) {
    review.replace(at, 8, "registry.test:5000");
  }
  const SystemClock clock;
  Metrics metrics;
  KnowsAll resolver;
  webhook::PullSecrets secrets(nullptr, clock);
  webhook::Namespaces namespaces(nullptr, clock, metrics, Logger::none());
  webhook::TemplateSchemas schemas(nullptr, clock, metrics, Logger::none());
  WorkerPool pool(1, 1);
  webhook::Admitter admitter({}, {.resolver = resolver, .secrets = secrets, .pool = pool},
                             namespaces, schemas, nullptr, clock, metrics, Logger::none());
  for (auto _ : state) {
    const auto answer = admitter.admit(review);
    if (!answer) return state.SkipWithError(answer.error().message.c_str());
    benchmark::DoNotOptimize(answer->data());
  }
}

BENCHMARK(WarmAdmission);
BENCHMARK(Create);
BENCHMARK(UpdateOfTheSameTemplate);
BENCHMARK(UpdateOfAnotherTemplate);

}  // namespace

BENCHMARK_MAIN();
