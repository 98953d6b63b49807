#include "sweeper/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/base64.h"
#include "sweeper/cluster.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words
using Call = tidemark::testing::FakeKubeApi::Call;

std::vector<workload::HistoryEntry> history_of(const Cluster& cluster, const Spec& spec) {
  return workload::parse_history(cluster.annotation(spec, workload::kHistoryKey));
}

TEST(Sweep, RollsAMovedTagOnceAndOnlyOnce) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  const auto report = cluster.sweep();
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->rolls.size(), 1U);
  EXPECT_EQ(report->rolls[0].kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(cluster.stamp(spec), stamp_text(kImage, 'b'));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(cluster.sweep()->rolls.empty());
  EXPECT_EQ(cluster.api.calls("patch").size(), 1U);
  EXPECT_EQ(history_of(cluster, spec).size(), 1U);
}

TEST(Sweep, DryRunWritesNothing) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.options.dry_run = true;
  const auto report = cluster.sweep();
  EXPECT_TRUE(report->plans.at(0).rolls());
  EXPECT_TRUE(report->rolls.empty());
  EXPECT_TRUE(report->moved_or_failed());
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(Sweep, AsksOnceForEachUniqueReference) {
  Cluster cluster;
  for (int i = 0; i < 1000; ++i) {
    const std::string image = "registry.test/app-" + std::to_string(i % 50) + ":1";
    cluster.put({.name = "web-" + std::to_string(i),
                 .containers = {{.image = image, .stamp = stamp_text(image, 'a')}}});
  }
  for (int i = 0; i < 50; ++i) {
    cluster.resolver.serve("registry.test/app-" + std::to_string(i) + ":1", fake_digest('a'));
  }
  cluster.api.forget_calls();
  const auto report = cluster.sweep();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->plans.size(), 1000U);
  EXPECT_FALSE(report->moved_or_failed());
  EXPECT_EQ(cluster.resolver.calls().size(), 50U);
  // Four kinds and the namespaces; the one service account; nothing else.
  EXPECT_EQ(cluster.api.calls("list").size(), 5U);
  EXPECT_EQ(cluster.api.calls("get").size(), 1U);
  EXPECT_EQ(cluster.api.calls().size(), 6U);
}

TEST(Sweep, AsksTheRegistryItselfAndNotItsOwnMemory) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('a'));
  (void)cluster.sweep();
  ASSERT_EQ(cluster.resolver.calls().size(), 1U);
  EXPECT_EQ(cluster.resolver.calls()[0].max_age.count(), 0);
}

// A tag that moved from index a to index b; what images these two hold.
struct TwoIndexes {
  TwoIndexes(std::vector<image::Digest> before, std::vector<image::Digest> after) {
    cluster.put(spec);
    cluster.resolver.serve(kImage, fake_digest('b'));
    serve('a', std::move(before));
    serve('b', std::move(after));
    cluster.options.check.compare_platforms = true;
  }
  void serve(char index, std::vector<image::Digest> images) {
    const image::Reference tag = image::Reference::parse(kImage).value();
    const image::Digest digest = fake_digest(index);
    cluster.resolver.answer(tag.name() + "@" + digest.str(), [digest, images = std::move(images)](
                                                                 const registry::Query& query,
                                                                 Deadline, const std::stop_token&) {
      EXPECT_TRUE(query.with_platforms);
      EXPECT_GT(query.max_age, std::chrono::hours{1}) << "what a digest names never changes";
      return registry::Resolution{.digest = digest, .platforms = images};
    });
  }
  bool rolls() { return !cluster.sweep()->rolls.empty(); }

  Spec spec;
  Cluster cluster;
};

TEST(ComparePlatforms, AnIndexPushedAnewWithTheSameImagesHasNotMoved) {
  TwoIndexes same({fake_digest('1'), fake_digest('2')}, {fake_digest('2'), fake_digest('1')});
  const auto report = same.cluster.sweep();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->rolls.empty());
  EXPECT_FALSE(report->moved_or_failed());
  EXPECT_EQ(report->plans.at(0).slots.at(0).verdict, Verdict::kUpToDate);
  EXPECT_EQ(report->plans.at(0).slots.at(0).reason,
            "its tag names another index of the same images");
  EXPECT_EQ(same.cluster.stamp(same.spec), stamp_text(kImage, 'a'));

  TwoIndexes more({fake_digest('1')}, {fake_digest('1'), fake_digest('3')});
  EXPECT_FALSE(more.rolls()) << "a platform was added: no pod of the old one runs it";
  TwoIndexes asked({fake_digest('1')}, {fake_digest('1')});
  asked.cluster.options.check.compare_platforms = false;
  EXPECT_TRUE(asked.rolls()) << "the index alone counts unless told";
}

TEST(ComparePlatforms, WhatDiffersOrCannotBeSeenHasMoved) {
  EXPECT_TRUE(TwoIndexes({fake_digest('1'), fake_digest('2')}, {fake_digest('1')}).rolls());
  EXPECT_TRUE(TwoIndexes({fake_digest('1')}, {fake_digest('2')}).rolls());
  EXPECT_TRUE(TwoIndexes({}, {}).rolls()) << "images are no indexes";
  TwoIndexes gone({fake_digest('1')}, {fake_digest('1')});
  const image::Reference tag = image::Reference::parse(kImage).value();
  gone.cluster.resolver.refuse(tag.name() + "@" + fake_digest('a').str(), ErrorKind::kNotFound,
                               "not found (404)");
  EXPECT_TRUE(gone.rolls());
}

TEST(Sweep, AStaleAnswerRollsNothing) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.answer(kImage, [](const registry::Query&, Deadline, const std::stop_token&) {
    return registry::Resolution{.digest = fake_digest('b'),
                                .media_type = "",
                                .credential_source = "",
                                .freshness = registry::Resolution::Freshness::kStale};
  });
  const auto report = cluster.sweep();
  EXPECT_EQ(report->plans.at(0).slots.at(0).verdict, Verdict::kUnresolved);
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(Sweep, OneOddWorkloadDoesNotEndThePass) {
  Cluster cluster;
  cluster.put({.name = "good"});
  cluster.put({.name = "unreadable-image", .containers = {{.image = "No Image", .stamp = ""}}});
  json odd = object_of({.name = "odd"});
  odd["spec"]["template"]["spec"]["containers"] = "none";
  cluster.api.put(path_of({.name = "odd"}), odd.dump());
  cluster.resolver.serve(kImage, fake_digest('b'));
  const auto report = cluster.sweep();
  ASSERT_TRUE(report);
  EXPECT_EQ(cluster.stamp({.name = "good"}), stamp_text(kImage, 'b'));
  ASSERT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(report->problems[0].what, "Deployment/odd");
  EXPECT_EQ(report->problems[0].ns, "team-a");
  EXPECT_TRUE(report->read_everything);
  EXPECT_TRUE(report->moved_or_failed());
}

TEST(Sweep, AKindThatCannotBeListedDoesNotEndThePass) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.api.before([](const Call& call) -> std::optional<Error> {
    if (call.verb != "list" || !call.path.ends_with("/statefulsets")) return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "no"};
  });
  const auto report = cluster.sweep();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->read_everything);
  EXPECT_EQ(cluster.stamp({}), stamp_text(kImage, 'b'));
}

TEST(Sweep, NothingIsRolledWhileABuiltInKindFails) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  bool fails = true;
  cluster.api.before([&fails](const Call& call) -> std::optional<Error> {
    if (!fails || call.verb != "list" || !call.path.ends_with("/statefulsets")) return std::nullopt;
    return Error{.kind = ErrorKind::kUnavailable, .message = "no"};
  });
  const auto report = cluster.sweep();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->plans.size(), 1U);
  EXPECT_EQ(report->plans[0].slots[0].verdict, Verdict::kPaced);
  EXPECT_EQ(report->plans[0].slots[0].reason,
            "statefulsets cannot be read: what is under way is unknown");
  EXPECT_TRUE(cluster.api.calls("patch").empty());
  fails = false;
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(cluster.stamp({}), stamp_text(kImage, 'b'));
}

TEST(Sweep, WithoutTheNamespacesSettingsNothingIsRolled) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.api.before([](const Call& call) -> std::optional<Error> {
    if (call.path != "/api/v1/namespaces") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "no"};
  });
  EXPECT_FALSE(cluster.sweep());
  EXPECT_TRUE(cluster.api.calls("patch").empty());
}

TEST(Sweep, LooksOnlyAtTheNamespacesThatAreNamed) {
  Cluster cluster;
  cluster.add_namespace("team-b");
  cluster.put({});
  cluster.put({.ns = "team-b"});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.options.selection.namespaces = {"team-b"};
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(cluster.stamp({}), stamp_text(kImage, 'a'));
  EXPECT_EQ(cluster.stamp({.ns = "team-b"}), stamp_text(kImage, 'b'));
}

TEST(Sweep, AsksForWhatIsSelected) {
  Cluster cluster;
  cluster.options.selection = {.excluded = {"team-b", "team-c"},
                               .label_selector = "app=web",
                               .field_selector = "metadata.name=web"};
  EXPECT_TRUE(cluster.sweep());
  for (const Call& call : cluster.api.calls("list")) {
    const bool namespaces = call.path == "/api/v1/namespaces";
    EXPECT_EQ(call.label_selector, namespaces ? "" : "app=web");
    EXPECT_EQ(call.field_selector,
              namespaces
                  ? ""
                  : "metadata.name=web,metadata.namespace!=team-b,metadata.namespace!=team-c");
  }
}

TEST(Sweep, ASelectorThatIsRefusedIsOneProblem) {
  Cluster cluster;
  cluster.add_namespace("team-b");
  cluster.options.selection = {.namespaces = {"team-a", "team-b"}, .field_selector = "spec.a=b"};
  cluster.api.before([](const Call& call) -> std::optional<Error> {
    if (call.verb != "list" || call.path.ends_with("/cronjobs")) return std::nullopt;
    return Error{.kind = ErrorKind::kInvalid, .message = "no such field", .http_status = 400};
  });
  const auto report = cluster.sweep();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->read_everything);
  ASSERT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(report->problems[0].what, "deployments, statefulsets, daemonsets");
}

TEST(Sweep, SkipsOwnedAndDeletedObjects) {
  Cluster cluster;
  json owned = object_of({.name = "owned"});
  owned["metadata"]["ownerReferences"] = {{{"apiVersion", "example.com/v1"},
                                           {"kind", "App"},
                                           {"name", "x"},
                                           {"uid", "u"},
                                           {"controller", true}}};
  cluster.api.put(path_of({.name = "owned"}), owned.dump());
  json deleted = object_of({.name = "deleted"});
  deleted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  cluster.api.put(path_of({.name = "deleted"}), deleted.dump());
  EXPECT_TRUE(cluster.sweep()->plans.empty());
}

// Credentials.

std::string docker_config(const std::string& user) {
  return json{{"auths", {{"registry.test", {{"username", user}, {"password", "secret"}}}}}}.dump();
}

void put_secret(Cluster& cluster, const std::string& ns, const std::string& name,
                const std::string& user) {
  cluster.api.put("/api/v1/namespaces/" + ns + "/secrets/" + name,
                  json{{"type", "kubernetes.io/dockerconfigjson"},
                       {"data", {{".dockerconfigjson", base64_encode(docker_config(user))}}}}
                      .dump());
}

TEST(Credentials, OfTheServiceAccountWhereTheTemplateNamesNone) {
  Cluster cluster;
  put_secret(cluster, "team-a", "pull", "alice");
  cluster.api.put("/api/v1/namespaces/team-a/serviceaccounts/builder",
                  json{{"imagePullSecrets", {{{"name", "pull"}}}}}.dump());
  cluster.put({.pod_spec = {{"serviceAccountName", "builder"}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  const auto report = cluster.sweep();
  ASSERT_EQ(cluster.resolver.calls().size(), 1U);
  ASSERT_EQ(cluster.resolver.calls()[0].credentials.size(), 1U);
  EXPECT_EQ(cluster.resolver.calls()[0].credentials[0].username, "alice");
  EXPECT_EQ(cluster.stamp({}), stamp_text(kImage, 'b'));
}

TEST(Credentials, AreSharedByEqualityAndKeptApartOtherwise) {
  Cluster cluster;
  cluster.add_namespace("team-b");
  put_secret(cluster, "team-a", "pull", "alice");
  put_secret(cluster, "team-a", "same", "alice");
  put_secret(cluster, "team-b", "pull", "bob");
  const auto with_secret = [](const std::string& ns, const std::string& secret) {
    return Spec{.ns = ns,
                .name = "with-" + secret,
                .pod_spec = {{"imagePullSecrets", {{{"name", secret}}}}}};
  };
  cluster.put(with_secret("team-a", "pull"));
  cluster.put(with_secret("team-a", "same"));
  cluster.put(with_secret("team-b", "pull"));
  // Only alice may see the new image.
  cluster.resolver.answer(kImage,
                          [](const registry::Query& query, Deadline,
                             const std::stop_token&) -> Result<registry::Resolution> {
                            if (query.credentials.at(0).username != "alice")
                              return fail(ErrorKind::kForbidden, "no");
                            return registry::Resolution{.digest = fake_digest('b'),
                                                        .media_type = "",
                                                        .credential_source = ""};
                          });
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(cluster.resolver.calls().size(), 2U);
  EXPECT_EQ(cluster.stamp(with_secret("team-a", "pull")), stamp_text(kImage, 'b'));
  EXPECT_EQ(cluster.stamp(with_secret("team-a", "same")), stamp_text(kImage, 'b'));
  EXPECT_EQ(cluster.stamp(with_secret("team-b", "pull")), stamp_text(kImage, 'a'));
}

TEST(Credentials, AMissingSecretIsToldWhereTheRegistryRefuses) {
  Cluster cluster;
  cluster.put({.pod_spec = {{"imagePullSecrets", {{{"name", "gone"}}}}}});
  cluster.resolver.refuse(kImage, ErrorKind::kUnauthorized, "401");
  const auto report = cluster.sweep();
  const std::string reason = report->plans.at(0).slots.at(0).reason;
  EXPECT_NE(reason.find("401"), std::string::npos);
  EXPECT_NE(reason.find("secret team-a/gone"), std::string::npos);
}

TEST(Credentials, SecretsOfWorkloadsThatAreOffAreNotRead) {
  Cluster cluster;
  cluster.put({.annotations = {{"tidemark.dev/sweep", "off"}},
               .pod_spec = {{"imagePullSecrets", {{{"name", "pull"}}}}}});
  (void)cluster.sweep();
  EXPECT_TRUE(cluster.api.calls("get").empty());
  EXPECT_TRUE(cluster.resolver.calls().empty());
}

// Conflicts, errors, kills.

TEST(Apply, ReadsAndPlansAgainAfterAConflict) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  std::atomic<int> patches = 0;
  cluster.api.before([&](const Call& call) -> std::optional<Error> {
    if (call.verb != "patch" || patches++ > 0) return std::nullopt;
    json edited = cluster.api.object(path_of(spec));
    edited["metadata"]["annotations"]["kubernetes.io/change-cause"] = "the user's own";
    cluster.api.put(path_of(spec), edited.dump());
    return std::nullopt;
  });
  const auto report = cluster.sweep();
  EXPECT_EQ(report->rolls.at(0).kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(patches, 2);
  EXPECT_EQ(cluster.annotation(spec, workload::kChangeCauseKey), "the user's own");
  EXPECT_EQ(history_of(cluster, spec).size(), 1U);
}

TEST(Apply, AnEditMeanwhileIsNeverOverwritten) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.api.before([&](const Call& call) -> std::optional<Error> {
    if (call.verb != "patch") return std::nullopt;
    Spec edited = spec;
    edited.containers[0].image = "registry.test/app:2";
    edited.containers[0].stamp = stamp_text("registry.test/app:2", 'c');
    cluster.put(edited);
    return std::nullopt;
  });
  const auto report = cluster.sweep();
  EXPECT_EQ(report->rolls.at(0).kind, RollOutcome::Kind::kNotNeeded);
  EXPECT_EQ(cluster.stamp(spec), stamp_text("registry.test/app:2", 'c'));
}

TEST(Apply, GivesUpAConflictThatDoesNotEnd) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.api.before([](const Call& call) -> std::optional<Error> {
    if (call.verb != "patch") return std::nullopt;
    return Error{.kind = ErrorKind::kConflict, .message = "again"};
  });
  const auto report = cluster.sweep();
  EXPECT_EQ(report->rolls.at(0).kind, RollOutcome::Kind::kFailed);
  EXPECT_EQ(cluster.api.calls("patch").size(),
            static_cast<std::size_t>(cluster.options.apply.max_tries));
}

TEST(Apply, APermanentErrorIsReportedAtOnceAndTheNextRollGoesOn) {
  for (const ErrorKind kind :
       {ErrorKind::kInvalid, ErrorKind::kForbidden, ErrorKind::kUnauthorized}) {
    Cluster cluster;
    cluster.put({.name = "first"});
    cluster.put({.name = "second"});
    cluster.resolver.serve(kImage, fake_digest('b'));
    cluster.api.before([kind](const Call& call) -> std::optional<Error> {
      if (call.verb != "patch" || !call.path.ends_with("/first")) return std::nullopt;
      return Error{.kind = kind, .message = "denied by policy"};
    });
    const auto report = cluster.sweep();
    ASSERT_EQ(report->rolls.size(), 2U);
    EXPECT_EQ(report->rolls[0].kind, RollOutcome::Kind::kFailed);
    EXPECT_EQ(report->rolls[0].error->message, "denied by policy");
    EXPECT_EQ(report->rolls[1].kind, RollOutcome::Kind::kRolled);
    EXPECT_EQ(cluster.api.calls("patch").size(), 2U);
  }
}

TEST(Apply, ALostAnswerCountsAsTheRollThatItWas) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  std::atomic<int> patches = 0;
  cluster.api.after([&](const Call& call) -> std::optional<Error> {
    if (call.verb != "patch" || patches++ > 0) return std::nullopt;
    return Error{.kind = ErrorKind::kUnavailable, .message = "connection lost"};
  });
  const auto report = cluster.sweep();
  EXPECT_EQ(report->rolls.at(0).kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(cluster.api.calls("patch").size(), 1U);
  EXPECT_EQ(history_of(cluster, spec).size(), 1U);
}

TEST(Apply, AdmissionThatPutsTheOldStampBackIsAFailure) {
  Cluster cluster;
  const Spec spec;
  cluster.put(spec);
  cluster.resolver.serve(kImage, fake_digest('b'));
  // A webhook that does not know the sweeper: the write succeeds, the stamp is the old one.
  class Contrary final : public kube::Api {
   public:
    Contrary(tidemark::testing::FakeKubeApi& inner, std::string stored)
        : inner_(inner), stored_(std::move(stored)) {}
    Result<std::string> get(std::string_view p, Deadline d, std::stop_token s) override {
      return inner_.get(p, d, s);
    }
    Result<kube::ListResult> list(std::string_view p, const kube::ListOptions& o, const ItemSink& i,
                                  Deadline d, std::stop_token s) override {
      return inner_.list(p, o, i, d, s);
    }
    Result<std::string> watch(std::string_view p, const kube::WatchOptions& o, const EventSink& e,
                              std::stop_token s) override {
      return inner_.watch(p, o, e, s);
    }
    Result<std::string> create(std::string_view p, std::string_view b, Deadline d,
                               std::stop_token s) override {
      return inner_.create(p, b, d, s);
    }
    Result<std::string> update(std::string_view p, std::string_view b, Deadline d,
                               std::stop_token s) override {
      return inner_.update(p, b, d, s);
    }
    Result<std::string> patch(std::string_view, std::string_view, const kube::PatchOptions&,
                              Deadline, std::stop_token) override {
      return stored_;
    }
    std::optional<WallTime> server_time() const override { return inner_.server_time(); }
    Status remove(std::string_view p, Deadline d, std::stop_token s) override {
      return inner_.remove(p, d, s);
    }

   private:
    tidemark::testing::FakeKubeApi& inner_;
    std::string stored_;
  };
  Contrary api(cluster.api, object_of(spec).dump());
  SweepContext context{.api = api,
                       .resolver = cluster.resolver,
                       .clock = cluster.clock,
                       .metrics = cluster.sweep_metrics,
                       .log = Logger::none()};
  const auto report = sweep(context, cluster.options);
  EXPECT_EQ(report->rolls.at(0).kind, RollOutcome::Kind::kFailed);
  EXPECT_EQ(report->rolls.at(0).error->kind, ErrorKind::kForbidden);
}

// An object whose image the sweeper owns in managedFields, beside the owner's own entry.
json owned_object(const Spec& spec, bool owned_by_others = true) {
  const json image{{"f:containers", {{"k:{\"name\":\"app\"}", {{"f:image", json::object()}}}}}};
  const json fields{{"f:spec", {{"f:template", {{"f:spec", image}}}}}};
  json managed = json::array();
  if (owned_by_others) {
    managed.push_back({{"manager", "owner"}, {"operation", "Apply"}, {"fieldsV1", fields}});
  }
  managed.push_back({{"manager", std::string(workload::kStampWriter)},
                     {"operation", "Update"},
                     {"fieldsV1", fields}});
  json object = object_of(spec);
  object["metadata"]["managedFields"] = managed;
  return object;
}

std::vector<std::string> managers(const Cluster& cluster, const Spec& spec) {
  std::vector<std::string> out;
  const json object = cluster.api.object(path_of(spec));
  for (const json& entry : object["metadata"]["managedFields"]) {
    out.push_back(entry["manager"]);
  }
  return out;
}

TEST(Release, TheImageThatARollWroteIsGivenUpAtOnce) {
  Cluster cluster;
  const Spec spec;
  cluster.api.put(path_of(spec), owned_object(spec).dump());
  cluster.resolver.serve(kImage, fake_digest('b'));
  EXPECT_EQ(cluster.sweep()->rolls.at(0).kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(cluster.stamp(spec), stamp_text(kImage, 'b'));
  EXPECT_EQ(managers(cluster, spec), std::vector<std::string>{"owner"});
  EXPECT_EQ(cluster.api.calls("patch").size(), 2U);
}

TEST(Release, WhatAKilledSweeperLeftOwnedIsGivenUpByTheNextSweep) {
  Cluster cluster;
  const Spec spec;
  cluster.api.put(path_of(spec), owned_object(spec).dump());
  cluster.resolver.serve(kImage, fake_digest('a'));
  EXPECT_TRUE(cluster.sweep()->rolls.empty());
  EXPECT_EQ(managers(cluster, spec), std::vector<std::string>{"owner"});
  EXPECT_TRUE(cluster.sweep()->rolls.empty());
  EXPECT_EQ(cluster.api.calls("patch").size(), 1U) << "nothing is left to give up";
}

TEST(Release, ADryRunAndALonelyEntryWriteNothing) {
  for (const bool dry_run : {true, false}) {
    Cluster cluster;
    const Spec spec;
    cluster.options.dry_run = dry_run;
    cluster.api.put(path_of(spec), owned_object(spec, /*owned_by_others=*/dry_run).dump());
    cluster.resolver.serve(kImage, fake_digest('a'));
    ASSERT_TRUE(cluster.sweep());
    EXPECT_TRUE(cluster.api.calls("patch").empty());
  }
}

TEST(Release, AListThatChangedMeanwhileIsLeftAlone) {
  Cluster cluster;
  const Spec spec;
  cluster.api.put(path_of(spec), owned_object(spec).dump());
  cluster.resolver.serve(kImage, fake_digest('a'));
  cluster.api.before([&](const Call& call) -> std::optional<Error> {
    if (call.verb != "patch") return std::nullopt;
    json object = cluster.api.object(path_of(spec));
    std::swap(object["metadata"]["managedFields"][0], object["metadata"]["managedFields"][1]);
    cluster.api.put(path_of(spec), object.dump());
    return std::nullopt;
  });
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(managers(cluster, spec), (std::vector<std::string>{"tidemark-sweeper", "owner"}));
}

// A sweeper that is killed after its n-th request (done, but its answer never seen) or before it:
// nothing of it is left but what the API server stored. The next one finds the same cluster.
class Kill : public ::testing::TestWithParam<bool> {};

TEST_P(Kill, AtAnyRequestRepeatsAndLosesNothing) {
  const bool request_arrives = GetParam();
  const std::vector<Spec> specs = {{.name = "one"}, {.kind = "DaemonSet", .name = "two"}};
  std::set<std::size_t> patches_before_the_kill;
  for (int survive = 0; survive < 30; ++survive) {
    Cluster cluster;
    for (const Spec& spec : specs) cluster.put(spec);
    cluster.resolver.serve(kImage, fake_digest('b'));
    std::stop_source killed;
    std::atomic<int> requests = 0;
    const auto kill = [&](const Call&) -> std::optional<Error> {
      if (requests++ < survive) return std::nullopt;
      killed.request_stop();
      return Error{.kind = ErrorKind::kCanceled, .message = "killed"};
    };
    if (request_arrives) {
      cluster.api.after(kill);
    } else {
      cluster.api.before(kill);
    }
    (void)cluster.sweep(killed.get_token());
    cluster.api.before({});
    cluster.api.after({});
    patches_before_the_kill.insert(cluster.api.calls("patch").size());
    const auto report = cluster.sweep();
    ASSERT_TRUE(report);
    for (const Spec& spec : specs) {
      EXPECT_EQ(cluster.stamp(spec), stamp_text(kImage, 'b')) << survive;
      EXPECT_EQ(history_of(cluster, spec).size(), 1U) << survive;
    }
    EXPECT_TRUE(cluster.sweep()->rolls.empty());
  }
  // The kills did hit before, between and after the two patches.
  EXPECT_EQ(patches_before_the_kill, (std::set<std::size_t>{0, 1, 2}));
}

INSTANTIATE_TEST_SUITE_P(Apply, Kill, ::testing::Bool(), [](const auto& test) {
  return test.param ? "AfterTheRequest" : "BeforeTheRequest";
});

TEST(Events, TellTheRollOfTheWorkload) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  ASSERT_TRUE(cluster.sweep());
  const auto notes = cluster.events.notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].reason, "Rolled");
  EXPECT_FALSE(notes[0].warning);
  EXPECT_EQ(notes[0].note, "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
  EXPECT_EQ(notes[0].regarding.api_version, "apps/v1");
  EXPECT_EQ(notes[0].regarding.kind, "Deployment");
  EXPECT_EQ(notes[0].regarding.uid, "uid-of-web");
  // Nothing has moved any more.
  ASSERT_TRUE(cluster.sweep());
  EXPECT_EQ(cluster.events.notes().size(), 1U);
}

TEST(Events, TellWhyAMoveIsNotRolledAsOneDecisionHoweverManySweepsSeeIt) {
  Cluster cluster;
  cluster.put({.annotations = {{"tidemark.dev/hold", "true"}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  ASSERT_TRUE(cluster.sweep());
  ASSERT_TRUE(cluster.sweep());
  cluster.resolver.serve(kImage, fake_digest('c'));
  ASSERT_TRUE(cluster.sweep());
  const auto notes = cluster.events.notes();
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_EQ(notes[0].reason, "Moved");
  EXPECT_EQ(notes[0].note,
            "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb, not rolled: held: tidemark.dev/hold is set");
  EXPECT_FALSE(notes[0].decision.empty());
  EXPECT_EQ(notes[0].decision, notes[1].decision);
  EXPECT_NE(notes[0].decision, notes[2].decision);
}

TEST(Events, TellARollThatFailed) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.api.before([](const auto& call) -> std::optional<Error> {
    if (call.verb != "patch") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "may not patch"};
  });
  ASSERT_TRUE(cluster.sweep());
  const auto notes = cluster.events.notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].reason, "RollFailed");
  EXPECT_TRUE(notes[0].warning);
  EXPECT_EQ(notes[0].note, "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb, not rolled: may not patch");
}

TEST(Events, ADryRunTellsNothing) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  cluster.options.dry_run = true;
  ASSERT_TRUE(cluster.sweep());
  EXPECT_TRUE(cluster.events.notes().empty());
  EXPECT_TRUE(cluster.audience.sweeps().empty());
}

TEST(Notifications, AreWhatTheEventsAreWithTheSlots) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  ASSERT_TRUE(cluster.sweep());
  ASSERT_EQ(cluster.audience.sweeps().size(), 1U);
  ASSERT_EQ(cluster.audience.sweeps()[0].size(), 1U);
  const notify::Notification& rolled = cluster.audience.sweeps()[0][0];
  EXPECT_EQ(rolled.reason, "Rolled");
  EXPECT_FALSE(rolled.warning);
  EXPECT_EQ(rolled.time, cluster.clock.wall_now());
  EXPECT_EQ(rolled.text, "app moved aaaaaaaaaaaa -> bbbbbbbbbbbb");
  EXPECT_EQ(rolled.api_version, "apps/v1");
  EXPECT_EQ(rolled.kind, "Deployment");
  EXPECT_EQ(rolled.ns, "team-a");
  EXPECT_EQ(rolled.workload, "web");
  EXPECT_EQ(rolled.uid, "uid-of-web");
  EXPECT_EQ(rolled.standing, "");
  ASSERT_EQ(rolled.moves.size(), 1U);
  EXPECT_EQ(rolled.moves[0].slot, "app");
  EXPECT_EQ(rolled.moves[0].from, fake_digest('a').str());
  EXPECT_EQ(rolled.moves[0].to, fake_digest('b').str());
  EXPECT_FALSE(rolled.moves[0].image.empty());
  // Every sweep tells what it found, and this one found nothing.
  ASSERT_TRUE(cluster.sweep());
  ASSERT_EQ(cluster.audience.sweeps().size(), 2U);
  EXPECT_TRUE(cluster.audience.sweeps()[1].empty());
}

TEST(Notifications, WhatStandsIsTheSameStateHoweverManySweepsSeeIt) {
  Cluster cluster;
  cluster.put({.annotations = {{"tidemark.dev/hold", "true"}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  ASSERT_TRUE(cluster.sweep());
  ASSERT_TRUE(cluster.sweep());
  const auto& sweeps = cluster.audience.sweeps();
  ASSERT_EQ(sweeps.size(), 2U);
  EXPECT_EQ(sweeps[0].at(0).reason, "Moved");
  EXPECT_EQ(sweeps[0].at(0).standing, cluster.events.notes()[0].decision);
  EXPECT_EQ(id_of(sweeps[0].at(0)), id_of(sweeps[1].at(0)));
  EXPECT_EQ(sweeps[0].at(0).moves.at(0).to, fake_digest('b').str());
}

TEST(Notifications, ARollThatFailsAtEverySweepStandsThoughItsEventsAreASeries) {
  Cluster cluster;
  cluster.put({});
  cluster.resolver.serve(kImage, fake_digest('b'));
  int calls = 0;
  cluster.api.before([&](const auto& call) -> std::optional<Error> {
    if (call.verb != "patch") return std::nullopt;
    return Error{.kind = ErrorKind::kForbidden, .message = "no " + std::to_string(++calls)};
  });
  ASSERT_TRUE(cluster.sweep());
  ASSERT_TRUE(cluster.sweep());
  const auto& sweeps = cluster.audience.sweeps();
  EXPECT_EQ(sweeps[0].at(0).reason, "RollFailed");
  EXPECT_TRUE(sweeps[0].at(0).warning);
  EXPECT_NE(sweeps[0].at(0).text, sweeps[1].at(0).text);
  EXPECT_EQ(sweeps[0].at(0).standing, sweeps[1].at(0).standing);
  EXPECT_FALSE(sweeps[0].at(0).standing.empty());
  EXPECT_TRUE(cluster.events.notes()[0].decision.empty());
}

TEST(Notifications, EveryReasonThatIsToldCanBeConfigured) {
  Cluster cluster;
  cluster.put({});
  cluster.put({.name = "held", .annotations = {{"tidemark.dev/hold", "true"}}});
  cluster.resolver.serve(kImage, fake_digest('b'));
  ASSERT_TRUE(cluster.sweep());
  ASSERT_EQ(cluster.audience.sweeps()[0].size(), 2U);
  for (const auto& told : cluster.audience.sweeps()[0]) {
    EXPECT_TRUE(notify::parse_reason(told.reason)) << told.reason;
  }
}

// A Deployment whose last roll, by us, went past its deadline.
class OnFailure : public ::testing::Test {
 protected:
  explicit OnFailure() {
    spec_.annotations["tidemark.dev/on-failure"] = "undo";
    cluster_.put(spec_);
    cluster_.resolver.serve(kImage, fake_digest('b'));
    EXPECT_EQ(cluster_.sweep()->rolls.size(), 1U);
    set_failed(spec_);
    cluster_.api.forget_calls();
  }
  void set_failed(const Spec& spec) {
    json object = cluster_.api.object(path_of(spec));
    object["status"]["conditions"] = {
        {{"type", "Progressing"}, {"reason", "ProgressDeadlineExceeded"}}};
    cluster_.api.put(path_of(spec), object.dump());
  }
  std::string image() const {
    const json object = cluster_.api.object(path_of(spec_));
    return object["spec"]["template"]["spec"]["containers"][0]["image"].get<std::string>();
  }

  Cluster cluster_;
  Spec spec_;
};

TEST_F(OnFailure, IsTakenBackAndPinnedUntilTheTagMovesOn) {
  const auto report = cluster_.sweep();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->plans[0].slots[0].verdict, Verdict::kUndo);
  ASSERT_EQ(report->rolls.size(), 1U);
  EXPECT_EQ(report->rolls[0].kind, RollOutcome::Kind::kRolled);
  EXPECT_EQ(cluster_.stamp(spec_), stamp_text(kImage, 'a'));
  EXPECT_EQ(image(), std::string(kImage) + "@" + fake_digest('a').str());
  EXPECT_EQ(history_of(cluster_, spec_).front().why, "rolled-back");
  EXPECT_EQ(cluster_.annotation(spec_, "kubernetes.io/change-cause"),
            "tidemark: app rolled back bbbbbbbbbbbb -> aaaaaaaaaaaa");
  const auto held = workload::parse_held(cluster_.annotation(spec_, workload::kHeldKey));
  ASSERT_EQ(held.at("app").size(), 1U);
  EXPECT_EQ(held.at("app")[0].digest, fake_digest('b'));
  EXPECT_EQ(cluster_.events.notes().back().reason, "RolledBack");
  EXPECT_TRUE(cluster_.events.notes().back().warning);
  const notify::Notification& told = cluster_.audience.sweeps().back().at(0);
  EXPECT_EQ(told.reason, "RolledBack");
  EXPECT_TRUE(told.standing.empty());
  EXPECT_EQ(told.moves.at(0).to, fake_digest('a').str());

  set_failed(spec_);  // the condition is slow to go
  for (int i = 0; i < 2; ++i) {
    const auto later = cluster_.sweep();
    EXPECT_TRUE(later->rolls.empty());
    EXPECT_EQ(later->plans[0].slots[0].reason, "its rollout to this digest failed");
  }
  cluster_.resolver.serve(kImage, fake_digest('c'));
  EXPECT_EQ(cluster_.sweep()->rolls.size(), 1U);
  EXPECT_EQ(cluster_.stamp(spec_), stamp_text(kImage, 'c'));
  EXPECT_EQ(image(), kImage) << "the pin is taken back";
  EXPECT_EQ(cluster_.annotation(spec_, workload::kHeldKey), "");
}

TEST_F(OnFailure, NeedsNoRegistry) {
  cluster_.resolver.refuse(kImage, ErrorKind::kUnavailable, "down");
  EXPECT_EQ(cluster_.sweep()->rolls.size(), 1U);
  EXPECT_EQ(cluster_.stamp(spec_), stamp_text(kImage, 'a'));
}

TEST_F(OnFailure, LeavesAloneWhatIsHeldPausedOrOnlyReported) {
  const std::map<std::string, std::string> settings = {{"tidemark.dev/hold", "true"},
                                                       {"tidemark.dev/sweep", "report"},
                                                       {"tidemark.dev/on-failure", "hold"}};
  for (const auto& [key, value] : settings) {
    json object = cluster_.api.object(path_of(spec_));
    const json before = object;
    object["metadata"]["annotations"][key] = value;
    cluster_.api.put(path_of(spec_), object.dump());
    EXPECT_TRUE(cluster_.sweep()->rolls.empty()) << key;
    cluster_.api.put(path_of(spec_), before.dump());
  }
  json object = cluster_.api.object(path_of(spec_));
  object["spec"]["paused"] = true;
  cluster_.api.put(path_of(spec_), object.dump());
  EXPECT_TRUE(cluster_.sweep()->rolls.empty());
}

TEST_F(OnFailure, AnEditSinceIsItsOwnersAndNotUndone) {
  json object = cluster_.api.object(path_of(spec_));
  const std::string key(workload::kHistoryKey);
  const auto history = workload::push_history({{.time = "2026-01-02T00:00:00Z",
                                                .slot = "app",
                                                .from = stamp_text(kImage, 'b'),
                                                .to = stamp_text(kImage, 'c'),
                                                .why = "edited",
                                                .by = "alice"}},
                                              history_of(cluster_, spec_));
  object["metadata"]["annotations"][key] = workload::dump_history(history);
  object["spec"]["template"]["metadata"]["annotations"]["digest.tidemark.dev/app"] =
      stamp_text(kImage, 'c');
  cluster_.api.put(path_of(spec_), object.dump());
  cluster_.resolver.serve(kImage, fake_digest('c'));
  EXPECT_TRUE(cluster_.sweep()->rolls.empty());
}

TEST(Sweep, ACachedImageIsPinnedOrRolledWhereAskedFor) {
  for (const auto& [policy, asked, image] :
       {std::tuple{"IfNotPresent", "pin", std::string(kImage) + "@" + fake_digest('b').str()},
        std::tuple{"IfNotPresent", "roll", std::string(kImage)},
        std::tuple{"IfNotPresent", "report", std::string()},
        std::tuple{"Never", "pin", std::string()}, std::tuple{"Never", "roll", std::string()}}) {
    Cluster cluster;
    Spec spec{.containers = {{.policy = policy}}};
    spec.annotations["tidemark.dev/on-cached-policy"] = asked;
    cluster.put(spec);
    cluster.resolver.serve(kImage, fake_digest('b'));
    const auto report = cluster.sweep();
    EXPECT_EQ(report->rolls.size(), image.empty() ? 0U : 1U) << policy << asked;
    const json object = cluster.api.object(path_of(spec));
    EXPECT_EQ(object["spec"]["template"]["spec"]["containers"][0]["image"],
              image.empty() ? kImage : image);
    EXPECT_TRUE(cluster.sweep()->rolls.empty()) << "once";
  }
}

}  // namespace
}  // namespace tidemark::sweeper
