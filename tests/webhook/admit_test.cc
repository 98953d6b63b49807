// The pipeline as a whole, with a scripted registry and an API server in memory.

#include "webhook/admit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <latch>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/base64.h"
#include "support/fake_clock.h"
#include "support/fake_event_sink.h"
#include "support/fake_kube_api.h"
#include "support/fake_resolver.h"

namespace tidemark::webhook {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::fake_digest;
using testing::FakeClock;
using testing::FakeEventSink;
using testing::FakeKubeApi;
using testing::FakeResolver;
using ::testing::HasSubstr;
using ::testing::Not;

json deployment(const std::vector<std::string>& images) {
  json containers = json::array();
  for (std::size_t i = 0; i < images.size(); ++i) {
    containers.push_back(
        {{"name", "c" + std::to_string(i)}, {"image", images[i]}, {"imagePullPolicy", "Always"}});
  }
  return {{"metadata", {{"name", "web"}, {"namespace", "team-a"}}},
          {"spec", {{"template", {{"spec", {{"containers", containers}}}}}}}};
}

json create_review(json object) {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "u1"},
            {"operation", "CREATE"},
            {"namespace", "team-a"},
            {"kind", {{"group", "apps"}, {"version", "v1"}, {"kind", "Deployment"}}},
            {"object", std::move(object)}}}};
}

// One container, "c0", with a stamp.
json stamped_deployment(const std::string& image, char digest) {
  json object = deployment({image});
  object["spec"]["template"]["metadata"]["annotations"]["digest.tidemark.dev/c0"] =
      image + "@" + fake_digest(digest).str();
  return object;
}

json update_review(json old_object, json object) {
  json review = create_review(std::move(object));
  review["request"]["operation"] = "UPDATE";
  review["request"]["oldObject"] = std::move(old_object);
  return review;
}

// An edit of `old_image` to `image`, of the object as it is stored at this version and generation.
json edit_review(const std::string& old_image, const std::string& image, int version,
                 int generation = 3) {
  json review = create_review(deployment({image}));
  json old = deployment({old_image});
  for (json* object : {&old, &review["request"]["object"]}) {
    (*object)["metadata"]["uid"] = "d1";
    (*object)["metadata"]["resourceVersion"] = std::to_string(version);
    (*object)["metadata"]["generation"] = generation;
  }
  review["request"]["operation"] = "UPDATE";
  review["request"]["uid"] = "request " + std::to_string(version);
  review["request"]["name"] = "web";
  review["request"]["oldObject"] = std::move(old);
  return review;
}

std::string docker_config(const std::string& user) {
  return json{{"auths", {{"registry.test", {{"username", user}, {"password", "secret"}}}}}}.dump();
}

class AdmitTest : public ::testing::Test {
 protected:
  static constexpr const char* kSecretPath = "/api/v1/namespaces/team-a/secrets/pull";

  Admitter& admitter() {
    if (!admitter_) {
      admitter_.emplace(options_,
                        Lookups{.resolver = resolver_, .secrets = secrets_, .pool = pool_},
                        namespaces_, schemas_, &events_, clock_, metrics_, Logger::none());
    }
    return *admitter_;
  }

  json admit(const json& review) {
    const auto answer = admitter().admit(review.dump());
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? json::parse(*answer)["response"] : json();
  }

  void put_secret(const std::string& user) {
    api_.put(kSecretPath,
             json{{"kind", "Secret"},
                  {"type", "kubernetes.io/dockerconfigjson"},
                  {"data", {{".dockerconfigjson", base64_encode(docker_config(user))}}}}
                 .dump());
  }

  static std::string user_of(const registry::Query& query) {
    return query.credentials.empty() ? "" : query.credentials.front().username;
  }

  FakeClock clock_;
  FakeResolver resolver_;
  FakeKubeApi api_;
  FakeEventSink events_;
  Metrics metrics_;
  AdmitOptions options_;
  PullSecrets secrets_{&api_, clock_};
  Namespaces namespaces_{&api_, clock_, metrics_, Logger::none()};
  TemplateSchemas schemas_{&api_, clock_, metrics_, Logger::none()};
  WorkerPool pool_{4, 16};
  std::optional<Admitter> admitter_;
};

TEST_F(AdmitTest, StampsWithOneQueryForEachReference) {
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  resolver_.serve("registry.test/log:1", fake_digest('b'));
  const json response = admit(create_review(
      deployment({"registry.test/app:1", "registry.test/log:1", "registry.test/app:1"})));
  EXPECT_EQ(response["uid"], "u1");
  EXPECT_EQ(response["allowed"], true);
  EXPECT_FALSE(response.contains("warnings")) << response;
  EXPECT_EQ(resolver_.calls().size(), 2U);
  EXPECT_THAT(metrics_.expose(), HasSubstr(R"(tidemark_admissions_total{kind="Deployment",)"
                                           R"(operation="CREATE",outcome="stamped"} 1)"));
}

// The second answers only after the third was asked, and the first only after the second.
TEST_F(AdmitTest, AsksForAllReferencesAtOnce) {
  std::mutex mutex;
  std::condition_variable changed;
  int asked = 0;
  for (const char* name : {"registry.test/a:1", "registry.test/b:1", "registry.test/c:1"}) {
    resolver_.answer(
        name,
        [&](const registry::Query&, Deadline deadline,
            const std::stop_token&) -> Result<registry::Resolution> {
          std::unique_lock lock(mutex);
          ++asked;
          changed.notify_all();
          if (!changed.wait_until(lock, deadline.point(), [&] { return asked == 3; })) {
            return tidemark::fail(ErrorKind::kTimeout, "alone");
          }
          return registry::Resolution{
              .digest = fake_digest('a'), .media_type = "", .credential_source = ""};
        });
  }
  const json response = admit(
      create_review(deployment({"registry.test/a:1", "registry.test/b:1", "registry.test/c:1"})));
  EXPECT_FALSE(response.contains("warnings")) << response;
}

TEST_F(AdmitTest, AnswersAtTheDeadlineWhateverTheRegistryDoes) {
  options_.deadline = 50ms;
  const auto release = std::make_shared<std::latch>(1);
  resolver_.serve("registry.test/a:1", fake_digest('a'));
  resolver_.answer("registry.test/hangs:1",
                   [release](const registry::Query&, Deadline,
                             const std::stop_token&) -> Result<registry::Resolution> {
                     release->wait();  // heeds neither deadline nor stop
                     return tidemark::fail(ErrorKind::kTimeout, "late");
                   });
  const auto begin = std::chrono::steady_clock::now();
  const json response =
      admit(create_review(deployment({"registry.test/a:1", "registry.test/hangs:1"})));
  release->count_down();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_EQ(response["allowed"], true);
  EXPECT_EQ(response["warnings"],
            json({"tidemark: container \"c1\": registry.test/hangs:1 not stamped: timed out"}));
}

// What the registry said before the last roll must not replace the stamp of that roll.
TEST_F(AdmitTest, WantsNoOldAnswerInPlaceOfAStampThatStands) {
  resolver_.serve("registry.test/app:1", fake_digest('b'));
  resolver_.serve("registry.test/new:1", fake_digest('c'));
  admit(update_review(stamped_deployment("registry.test/app:1", 'a'),
                      deployment({"registry.test/app:1", "registry.test/new:1"})));
  const auto calls = resolver_.calls();
  ASSERT_EQ(calls.size(), 2U);
  for (const registry::Query& query : calls) {
    EXPECT_EQ(query.stale_ok, query.reference.tagged() == "registry.test/new:1");
    EXPECT_EQ(query.max_age, Admitter::kEditMaxAge);
  }
}

// The sweeper has asked since, and written what it heard: an edit right after the roll must not go
// back to the digest that admission remembers.
TEST_F(AdmitTest, ARememberedAnswerThatContradictsTheStampIsAskedAnew) {
  const auto edited = [&](bool registry_up) {
    resolver_.answer("registry.test/app:1",
                     [registry_up](const registry::Query& query, Deadline,
                                   const std::stop_token&) -> Result<registry::Resolution> {
                       if (query.max_age > 0ms) {
                         return registry::Resolution{
                             .digest = fake_digest('a'),
                             .freshness = registry::Resolution::Freshness::kCached};
                       }
                       if (!registry_up) return tidemark::fail(ErrorKind::kUnavailable, "down");
                       return registry::Resolution{.digest = fake_digest('b')};
                     });
    json edit = deployment({"registry.test/app:1"});
    edit["spec"]["template"]["spec"]["containers"][0]["env"] = json::array();
    return admit(update_review(stamped_deployment("registry.test/app:1", 'b'), edit)).dump();
  };
  for (const bool registry_up : {true, false}) {
    const std::string response = edited(registry_up);
    EXPECT_THAT(response, Not(HasSubstr(fake_digest('a').str())));
    EXPECT_EQ(resolver_.calls_for("registry.test/app:1"), 2U);
    resolver_.clear_calls();
  }
}

TEST_F(AdmitTest, ARememberedAnswerThatTheStampConfirmsIsNotAskedAnew) {
  resolver_.answer(
      "registry.test/app:1", [](const registry::Query&, Deadline, const std::stop_token&) {
        return registry::Resolution{.digest = fake_digest('a'),
                                    .freshness = registry::Resolution::Freshness::kCached};
      });
  json edit = deployment({"registry.test/app:1"});
  edit["spec"]["template"]["spec"]["containers"][0]["env"] = json::array();
  admit(update_review(stamped_deployment("registry.test/app:1", 'a'), edit));
  EXPECT_EQ(resolver_.calls().size(), 1U);
}

// Whether it pins and holds turns on what is served now.
TEST_F(AdmitTest, ARollbackHearsTheRegistryItself) {
  resolver_.serve("registry.test/app:1", fake_digest('b'));
  json old_object = stamped_deployment("registry.test/app:1", 'b');
  const std::string former = "registry.test/app:1@" + fake_digest('a').str();
  old_object["metadata"]["annotations"]["tidemark.dev/history"] =
      R"([{"time":"2026-01-01T00:00:00Z","slot":"c0","to":")" + former + R"(","why":"created"}])";
  const json response =
      admit(update_review(old_object, stamped_deployment("registry.test/app:1", 'a')));
  EXPECT_THAT(response["warnings"][0].get<std::string>(), HasSubstr("rolled back"));
  ASSERT_EQ(resolver_.calls().size(), 1U);
  EXPECT_EQ(resolver_.calls()[0].max_age, 0ms);
}

TEST_F(AdmitTest, TellsAMissingTagFromARegistryThatIsNotReached) {
  resolver_.refuse("registry.test/down:1", ErrorKind::kUnavailable, "Connection refused");
  const json response =
      admit(create_review(deployment({"registry.test/none:1", "registry.test/down:1"})));
  ASSERT_EQ(response["warnings"].size(), 2U);
  EXPECT_THAT(response["warnings"][0].get<std::string>(),
              HasSubstr("container \"c0\": registry.test/none:1 not stamped: "
                        "the registry has no such tag: "));
  EXPECT_THAT(response["warnings"][1].get<std::string>(),
              HasSubstr("registry.test/down:1 not stamped: Connection refused"));
}

TEST_F(AdmitTest, RequireTurnsAFailureIntoADenial) {
  options_.policy.require = true;
  const json response = admit(create_review(deployment({"registry.test/none:1"})));
  EXPECT_EQ(response["allowed"], false);
  EXPECT_THAT(response["status"]["message"].get<std::string>(),
              HasSubstr("container \"c0\": registry.test/none:1: the registry has no such tag: "
                        "manifest unknown"));
  EXPECT_FALSE(response.contains("patch"));
}

TEST_F(AdmitTest, CountsNoDryRuns) {
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  json review = create_review(deployment({"registry.test/app:1"}));
  review["request"]["dryRun"] = true;
  EXPECT_TRUE(admit(review).contains("patch"));
  EXPECT_THAT(metrics_.expose(), Not(HasSubstr("tidemark_admissions_total{")));
}

TEST_F(AdmitTest, TellsWhatIsNotStampedOfTheObjectThatIs) {
  admit(edit_review("registry.test/app:1", "registry.test/none:1", 7));
  const auto notes = events_.notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].reason, "NotStamped");
  EXPECT_EQ(notes[0].action, "Stamp");
  EXPECT_TRUE(notes[0].warning);
  EXPECT_THAT(notes[0].note, HasSubstr("container \"c0\": registry.test/none:1 not stamped: "));
  EXPECT_EQ(notes[0].regarding.api_version, "apps/v1");
  EXPECT_EQ(notes[0].regarding.kind, "Deployment");
  EXPECT_EQ(notes[0].regarding.ns, "team-a");
  EXPECT_EQ(notes[0].regarding.name, "web");
  EXPECT_EQ(notes[0].regarding.uid, "d1");
}

TEST_F(AdmitTest, TellsOfACreateByName) {
  json review = create_review(deployment({"registry.test/none:1"}));
  review["request"]["name"] = "web";
  admit(review);
  ASSERT_EQ(events_.notes().size(), 1U);
  EXPECT_EQ(events_.notes()[0].regarding.name, "web");
  EXPECT_EQ(events_.notes()[0].regarding.uid, "");
  // The API server is still to make the name.
  review["request"]["name"] = "";
  admit(review);
  EXPECT_EQ(events_.notes().size(), 1U);
}

TEST_F(AdmitTest, TellsNothingOfWhatWentWell) {
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  resolver_.serve("registry.test/app:2", fake_digest('b'));
  json review = create_review(deployment({"registry.test/app:1"}));
  review["request"]["name"] = "web";
  admit(review);
  admit(edit_review("registry.test/app:1", "registry.test/app:2", 7));
  EXPECT_THAT(events_.reasons(), ::testing::IsEmpty());
}

TEST_F(AdmitTest, TellsNothingOfDryRuns) {
  json review = edit_review("registry.test/app:1", "registry.test/none:1", 7);
  review["request"]["dryRun"] = true;
  EXPECT_TRUE(admit(review).contains("warnings"));
  EXPECT_THAT(events_.reasons(), ::testing::IsEmpty());
}

// The client of a refused CREATE has its answer, and there is nothing that an Event could be about.
TEST_F(AdmitTest, TellsOfADenialWhereThereIsAnObject) {
  options_.policy.require = true;
  json review = create_review(deployment({"registry.test/none:1"}));
  review["request"]["name"] = "web";
  EXPECT_EQ(admit(review)["allowed"], false);
  EXPECT_THAT(events_.reasons(), ::testing::IsEmpty());
  EXPECT_EQ(admit(edit_review("registry.test/app:1", "registry.test/none:1", 7))["allowed"], false);
  EXPECT_THAT(events_.reasons(), ::testing::ElementsAre("Denied"));
}

// The API server tries a write again after a conflict, each time from the newest object, and each
// try may hear of another cause; two replicas of the webhook share the tries.
TEST_F(AdmitTest, OneWriteIsToldOnceHoweverOftenItIsTried) {
  const kube::EventOptions options{.controller = "tidemark.dev/webhook", .instance = "one"};
  kube::EventRecorder one(api_, clock_, options, metrics_, Logger::none());
  kube::EventRecorder two(api_, clock_, options, metrics_, Logger::none());
  const auto try_it = [&](kube::EventRecorder& recorder, const json& review) {
    Admitter replica(options_, Lookups{.resolver = resolver_, .secrets = secrets_, .pool = pool_},
                     namespaces_, schemas_, &recorder, clock_, metrics_, Logger::none());
    EXPECT_TRUE(replica.admit(review.dump()));
    EXPECT_TRUE(recorder.flush(Deadline::after(10s)));
  };
  for (int version = 7; version < 10; ++version) {
    try_it(one, edit_review("registry.test/app:1", "registry.test/none:1", version));
  }
  resolver_.refuse("registry.test/none:1", ErrorKind::kUnavailable, "circuit open");
  try_it(one, edit_review("registry.test/app:1", "registry.test/none:1", 10));
  try_it(two, edit_review("registry.test/app:1", "registry.test/none:1", 11));
  std::set<std::string> names;
  for (const auto& call : api_.calls("create")) {
    names.insert(json::parse(call.body)["metadata"]["name"].get<std::string>());
  }
  EXPECT_EQ(names.size(), 1U);
  EXPECT_TRUE(api_.calls("patch").empty()) << "a retry was counted as a series";
  // The next edit is another decision.
  try_it(two, edit_review("registry.test/app:2", "registry.test/gone:1", 12, 4));
  EXPECT_THAT(json::parse(api_.calls("create").back().body)["note"].get<std::string>(),
              HasSubstr("registry.test/gone:1 not stamped"));
}

// What an admission tells waits in a queue: an API server that hangs holds nobody up.
TEST_F(AdmitTest, AnApiServerThatHangsDelaysNoAdmission) {
  std::latch release(1);
  api_.before([&](const FakeKubeApi::Call& call) -> std::optional<Error> {
    if (call.verb == "create") release.wait();
    return std::nullopt;
  });
  kube::EventOptions options;
  options.max_queued = 2;
  kube::EventRecorder recorder(api_, clock_, options, metrics_, Logger::none());
  Admitter replica(options_, Lookups{.resolver = resolver_, .secrets = secrets_, .pool = pool_},
                   namespaces_, schemas_, &recorder, clock_, metrics_, Logger::none());
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(
        replica.admit(edit_review("registry.test/app:1", "registry.test/none:1", i, i + 1).dump()));
  }
  EXPECT_THAT(metrics_.expose(), HasSubstr(R"(tidemark_kube_events_total{outcome="dropped"})"));
  release.count_down();
}

TEST_F(AdmitTest, AsksNobodyBeyondItsBound) {
  options_.max_in_flight = 0;
  const json response = admit(create_review(deployment({"registry.test/app:1"})));
  EXPECT_EQ(response["allowed"], true);
  EXPECT_THAT(response["warnings"][0].get<std::string>(), HasSubstr("too many admissions"));
  EXPECT_TRUE(resolver_.calls().empty());
  EXPECT_THAT(metrics_.expose(), HasSubstr("tidemark_admissions_overloaded_total 1"));
  EXPECT_THAT(metrics_.expose(), HasSubstr("tidemark_admissions_in_flight 0"));
}

TEST_F(AdmitTest, RefusesWhatIsNoReview) {
  const auto answer = admitter().admit("{}");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(metrics_.expose(), HasSubstr("tidemark_malformed_reviews_total 1"));
}

TEST_F(AdmitTest, HasTheCredentialsOfTheTemplate) {
  put_secret("robot");
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  json object = deployment({"registry.test/app:1"});
  object["spec"]["template"]["spec"]["imagePullSecrets"] = {{{"name", "pull"}}};
  admit(create_review(object));
  ASSERT_EQ(resolver_.calls().size(), 1U);
  EXPECT_EQ(user_of(resolver_.calls()[0]), "robot");
  // Kept for a short time.
  const auto reads = api_.calls("get").size();
  admit(create_review(object));
  EXPECT_EQ(api_.calls("get").size(), reads);
}

TEST_F(AdmitTest, HasTheCredentialsOfTheServiceAccountWhereTheTemplateNamesNone) {
  put_secret("robot");
  api_.put("/api/v1/namespaces/team-a/serviceaccounts/default",
           R"({"kind":"ServiceAccount","imagePullSecrets":[{"name":"pull"}]})");
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  admit(create_review(deployment({"registry.test/app:1"})));
  ASSERT_EQ(resolver_.calls().size(), 1U);
  EXPECT_EQ(user_of(resolver_.calls()[0]), "robot");
}

TEST_F(AdmitTest, ReadsSecretsAgainOnceTheRegistryRefuses) {
  put_secret("old");
  json object = deployment({"registry.test/app:1"});
  object["spec"]["template"]["spec"]["imagePullSecrets"] = {{{"name", "pull"}}};
  resolver_.answer("registry.test/app:1",
                   [](const registry::Query& query, Deadline,
                      const std::stop_token&) -> Result<registry::Resolution> {
                     if (user_of(query) != "new") {
                       return tidemark::fail(ErrorKind::kUnauthorized, "401");
                     }
                     return registry::Resolution{
                         .digest = fake_digest('a'), .media_type = "", .credential_source = ""};
                   });
  EXPECT_TRUE(admit(create_review(object)).contains("warnings"));
  EXPECT_EQ(resolver_.calls().size(), 1U);  // the same credentials are not tried twice
  put_secret("new");
  EXPECT_FALSE(admit(create_review(object)).contains("warnings"));
}

TEST_F(AdmitTest, NamesTheSecretThatIsMissing) {
  resolver_.refuse("registry.test/app:1", ErrorKind::kUnauthorized, "401 Unauthorized");
  json object = deployment({"registry.test/app:1"});
  object["spec"]["template"]["spec"]["imagePullSecrets"] = {{{"name", "pull"}}};
  const json response = admit(create_review(object));
  EXPECT_THAT(response["warnings"][0].get<std::string>(), HasSubstr("secret team-a/pull"));
}

TEST_F(AdmitTest, ObeysTheNamespaceAndKeepsItForAWhile) {
  api_.put("/api/v1/namespaces/team-a",
           R"({"kind":"Namespace","metadata":{"annotations":{"tidemark.dev/stamp":"off"}}})");
  EXPECT_FALSE(admit(create_review(deployment({"registry.test/app:1"}))).contains("patch"));
  api_.put("/api/v1/namespaces/team-a", R"({"kind":"Namespace","metadata":{}})");
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  EXPECT_FALSE(admit(create_review(deployment({"registry.test/app:1"}))).contains("patch"));
  clock_.advance(Namespaces::kTtl);
  EXPECT_TRUE(admit(create_review(deployment({"registry.test/app:1"}))).contains("patch"));
}

TEST_F(AdmitTest, GoesOnWithoutTheApiServer) {
  api_.before([](const FakeKubeApi::Call&) {
    return std::optional<Error>({.kind = ErrorKind::kUnavailable, .message = "refused"});
  });
  resolver_.serve("registry.test/app:1", fake_digest('a'));
  EXPECT_TRUE(admit(create_review(deployment({"registry.test/app:1"}))).contains("patch"));
  EXPECT_THAT(metrics_.expose(), HasSubstr("tidemark_namespace_read_failures_total 1"));
}

}  // namespace
}  // namespace tidemark::webhook
