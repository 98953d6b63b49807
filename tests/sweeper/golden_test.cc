// What every command prints, in every format: rendered from one fixed cluster at one fixed time,
// beside the files of tests/data/golden. TIDEMARK_UPDATE_GOLDEN=1 writes them anew.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "sweeper/cluster.h"
#include "sweeper/commands.h"
#include "sweeper/completion.h"
#include "sweeper/hold.h"
#include "sweeper/manifest.h"
#include "workload/records.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

const std::filesystem::path kFolder = std::filesystem::path(TIDEMARK_TEST_DATA) / "golden";

bool updates() { return std::getenv("TIDEMARK_UPDATE_GOLDEN") != nullptr; }

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string image_of(const std::string& name) { return "registry.test/" + name + ":1"; }

// One workload for each state that a person may meet.
class Scene {
 public:
  Scene() {
    cluster_.add_namespace("team-b");
    cluster_.add_namespace("tidemark-system");
    options_.config.sweeper.waves = false;
    options_.config.sweeper.max_rollouts_per_namespace = 1;
    options_.system_namespace = "tidemark-system";
    put("quiet", 'b', {{"tidemark.dev/sweep", "roll"}});
    put("moved", 'a', {{"tidemark.dev/sweep", "roll"}, {"tidemark.dev/history", history_text()}});
    put("reported", 'a', json::object());
    put("held", 'a',
        {{"tidemark.dev/sweep", "roll"},
         {"tidemark.dev/hold", "true"},
         {"tidemark.dev/hold-reason", "release freeze"},
         {"tidemark.dev/hold-until", "2026-01-03T06:00:00Z"}});
    put("window", 'a',
        {{"tidemark.dev/sweep", "roll"}, {"tidemark.dev/window", "0 22 * * * 2h Europe/Berlin"}});
    put("odd", 'b', {{"tidemark.dev/sweep", "sometimes"}});
    put_under_way();
    put("paced", 'a', {{"tidemark.dev/sweep", "roll"}}, "team-b");
    put_two_slots();
    put_owned();
    cluster_.resolver.refuse(
        image_of("down"),
        {.kind = ErrorKind::kUnavailable, .message = image_of("down") + ": no route to host"});
    put("down", 'a', json::object());
    put_pull_secret();
    put_pod("quiet", 'b');
    put_pod("moved", 'a');
    put_pod("moved", 'b');
    // Of a kind that may not be read.
    cluster_.api.before([](const auto& call) -> std::optional<Error> {
      if (call.verb != "list" || !call.path.ends_with("/cronjobs")) return std::nullopt;
      return Error{.kind = ErrorKind::kForbidden, .message = "cronjobs.batch is forbidden"};
    });
  }

  Options options(Format format, const std::string& workload = "") const {
    Options out = options_;
    out.format = format;
    out.asked_of = AskedOf::kApi;
    if (!workload.empty()) {
      out.target = {.kind = kinds_.find("apps", "Deployment"), .ns = "team-a", .name = workload};
    }
    return out;
  }

  using Function = int (*)(const SweepContext&, const Options&, Streams, std::stop_token);
  std::string run(Function command, const Options& options) {
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(command(cluster_.context(), options, {out, err}, {}), kExitOk) << err.str();
    EXPECT_EQ(err.str(), "");
    return out.str();
  }

  // What other programs had been told of a workload.
  void put_peers() {
    json object = object_of({.name = "keeled", .annotations = json::object()});
    object["metadata"]["labels"] = {{"keel.sh/policy", "force"}, {"figwasp/target", "true"}};
    cluster_.api.put(path_of({.name = "keeled"}), object.dump());
    const std::string pinned = "registry.test/pinned:1@" + fake_digest('a').str();
    const Spec digested{
        .name = "pinned", .containers = {{.image = pinned, .stamp = ""}}, .annotations = {}};
    json labelled = object_of(digested);
    labelled["metadata"]["annotations"]["keel.sh/pollSchedule"] = "@every 10m";
    cluster_.api.put(path_of(digested), labelled.dump());
  }
  // Three Deployments under a tag policy: one follows, one stays, of one there is no list.
  void put_policies() {
    cluster_.resolver.serve_tags("registry.test/versions", {"1.2.0", "1.10.0", "2.0.0", "latest"});
    for (const char* tag : {"1.2.0", "1.10.0", "2.0.0"}) {
      cluster_.resolver.serve("registry.test/versions:" + std::string(tag), fake_digest(tag[0]));
    }
    cluster_.resolver.serve("registry.test/versions:1.10.0", fake_digest('e'));
    cluster_.resolver.refuse_tags("registry.test/hidden",
                                  {ErrorKind::kForbidden, "tags of registry.test/hidden: no"});
    const auto put_following = [this](const std::string& name, const std::string& image,
                                      const std::string& policy, char stamped) {
      cluster_.put(
          {.name = name,
           .containers = {{.image = image, .stamp = stamp_text(image, stamped)}},
           .annotations = {{"tidemark.dev/sweep", "roll"}, {"policy.tidemark.dev/app", policy}}});
    };
    put_following("follows", "registry.test/versions:1.2.0", "semver: ^1.2", '1');
    put_following("stays", "registry.test/versions:2.0.0", "semver: 1.x\nexclude: rc", '2');
    put_following("unlisted", "registry.test/hidden:1", "numerical: asc", '1');
  }
  void allow_all() { cluster_.api.before({}); }
  void fail_patches() {
    cluster_.api.before([](const auto& call) -> std::optional<Error> {
      if (call.verb != "patch") return std::nullopt;
      return Error{.kind = ErrorKind::kForbidden, .message = "may not patch"};
    });
  }

 private:
  static std::string history_text() {
    const std::string by = "system:serviceaccount:team-a:deployer";
    return workload::dump_history({{.time = "2025-12-31T19:00:00Z",
                                    .slot = "app",
                                    .from = stamp_text(image_of("moved"), 'c'),
                                    .to = stamp_text(image_of("moved"), 'a'),
                                    .why = "moved",
                                    .by = "tidemark-sweeper"},
                                   {.time = "2025-11-02T08:15:00Z",
                                    .slot = "app",
                                    .from = "",
                                    .to = stamp_text(image_of("moved"), 'c'),
                                    .why = "created",
                                    .by = by}});
  }
  Spec spec_of(const std::string& name, char stamped, const json& annotations,
               const std::string& ns) {
    if (name != "down") cluster_.resolver.serve(image_of(name), fake_digest('b'));
    return {.ns = ns,
            .name = name,
            .containers = {{.image = image_of(name), .stamp = stamp_text(image_of(name), stamped)}},
            .annotations = annotations,
            .spec = {{"selector", {{"matchLabels", {{"app", name}}}}}}};
  }
  void put(const std::string& name, char stamped, const json& annotations,
           const std::string& ns = "team-a") {
    const Spec spec = spec_of(name, stamped, annotations, ns);
    cluster_.put(spec);
  }
  // A roll of ours whose new pods are not there yet: all that its namespace's budget allows.
  void put_under_way() {
    const Spec spec =
        spec_of("rolling", 'b',
                {{"tidemark.dev/sweep", "roll"},
                 {"tidemark.dev/history",
                  workload::dump_history({{.time = "2025-12-31T23:59:50Z",
                                           .slot = "app",
                                           .from = stamp_text(image_of("rolling"), 'a'),
                                           .to = stamp_text(image_of("rolling"), 'b'),
                                           .why = "moved",
                                           .by = "tidemark-sweeper"}})}},
                "team-b");
    json object = object_of(spec);
    object["spec"]["replicas"] = 2;
    object["status"] = {{"observedGeneration", 1}, {"replicas", 2}, {"updatedReplicas", 1}};
    cluster_.api.put(path_of(spec), object.dump());
  }
  void put_two_slots() {
    cluster_.resolver.serve("registry.test/tools:1", fake_digest('b'));
    const Spec spec{.kind = "StatefulSet",
                    .ns = "team-b",
                    .name = "two",
                    .containers = {{.name = "setup",
                                    .image = "registry.test/tools:1",
                                    .stamp = stamp_text("registry.test/tools:1", 'b'),
                                    .init = true},
                                   {.name = "db",
                                    .image = "registry.test/db@" + fake_digest('d').str(),
                                    .stamp = ""}},
                    .spec = {{"selector", {{"matchLabels", {{"app", "two"}}}}}}};
    cluster_.put(spec);
  }
  // Of all workloads of team-a, by their service account.
  void put_pull_secret() {
    const json config{{"auths", {{"registry.test", {{"username", "u"}, {"password", "p"}}}}}};
    cluster_.api.put("/api/v1/namespaces/team-a/secrets/pull",
                     json{{"type", "kubernetes.io/dockerconfigjson"},
                          {"data", {{".dockerconfigjson", base64_encode(config.dump())}}}}
                         .dump());
    cluster_.api.put("/api/v1/namespaces/team-a/serviceaccounts/default",
                     json{{"imagePullSecrets", {{{"name", "pull"}}}}}.dump());
  }
  void put_owned() {
    const Spec spec{.name = "owned"};
    json object = object_of(spec);
    object["metadata"]["ownerReferences"] = {
        {{"kind", "App"}, {"name", "shop"}, {"uid", "u"}, {"controller", true}}};
    cluster_.api.put(path_of(spec), object.dump());
  }
  void put_pod(const std::string& workload, char digest) {
    cluster_.put_pod(Spec{.name = workload}, workload + "-" + digest,
                     "x@" + fake_digest(digest).str(), "app",
                     {{"digest.tidemark.dev/app", stamp_text(image_of(workload), digest)}});
  }

  Cluster cluster_;
  const workload::KindTable kinds_;
  Options options_;
};

// The files that exist are the files that are looked at, which the last test holds them to.
std::set<std::string>& looked_at() {
  static std::set<std::string> names;
  return names;
}

void expect_golden(const std::string& name, const std::string& printed) {
  looked_at().insert(name);
  const auto path = kFolder / name;
  if (updates()) {
    std::filesystem::create_directories(kFolder);
    std::ofstream(path, std::ios::binary) << printed;
    return;
  }
  EXPECT_TRUE(std::filesystem::exists(path)) << path;
  // Its difference is told line by line.
  EXPECT_EQ(read(path), printed) << name << ": if that is wanted, TIDEMARK_UPDATE_GOLDEN=1 "
                                 << "build/tests/sweeper/unit_sweeper --gtest_filter='Golden.*'";
}

void expect_all_formats(const std::string& name, const std::function<std::string(Format)>& print) {
  expect_golden(name + ".txt", print(Format::kTable));
  expect_golden(name + ".json", print(Format::kJson));
  expect_golden(name + ".yaml", print(Format::kYaml));
}

TEST(Golden, Once) {
  for (const bool dry_run : {true, false}) {
    expect_all_formats(dry_run ? "once-dry-run" : "once", [&](Format format) {
      Scene scene;
      Options options = scene.options(format);
      options.dry_run = dry_run;
      return scene.run(once, options);
    });
  }
  expect_all_formats("once-failed", [&](Format format) {
    Scene scene;
    scene.fail_patches();
    return scene.run(once, scene.options(format));
  });
}

TEST(Golden, Policy) {
  expect_all_formats("policy", [&](Format format) {
    Scene scene;
    scene.put_policies();
    return scene.run(policies, scene.options(format));
  });
  expect_all_formats("explain-policy", [&](Format format) {
    Scene scene;
    scene.put_policies();
    return scene.run(explain, scene.options(format, "follows"));
  });
}

TEST(Golden, Status) {
  Scene scene;
  expect_all_formats("status",
                     [&](Format format) { return scene.run(status, scene.options(format)); });
  for (const auto& [name, terminal] : std::vector<std::pair<std::string, Terminal>>{
           {"status-60-columns.txt", {.colours = false, .width = 60}},
           {"status-200-columns.txt", {.colours = true, .width = 200}}}) {
    Options options = scene.options(Format::kTable);
    options.terminal = terminal;
    expect_golden(name, scene.run(status, options));
  }
}

TEST(Golden, Explain) {
  Scene scene;
  expect_all_formats("explain-unpaced", [&](Format format) {
    return scene.run(explain, scene.options(format, "moved"));
  });
  scene.allow_all();
  for (const char* name : {"moved", "held", "window", "odd", "down"}) {
    expect_all_formats("explain-" + std::string(name), [&](Format format) {
      return scene.run(explain, scene.options(format, name));
    });
  }
  expect_all_formats("explain-paced", [&](Format format) {
    Options options = scene.options(format, "paced");
    options.target.ns = "team-b";
    return scene.run(explain, options);
  });
  expect_all_formats("explain-owned", [&](Format format) {
    return scene.run(explain, scene.options(format, "owned"));
  });
}

TEST(Golden, History) {
  Scene scene;
  expect_all_formats(
      "history", [&](Format format) { return scene.run(history, scene.options(format, "moved")); });
  expect_all_formats("history-none", [&](Format format) {
    return scene.run(history, scene.options(format, "quiet"));
  });
}

TEST(Golden, HoldAndResume) {
  const auto in_new_scene = [](Scene::Function command, const std::string& workload, bool dry_run) {
    return [=](Format format) {
      Scene scene;
      Options options = scene.options(format, workload);
      options.dry_run = dry_run;
      options.hold = {.reason = "release freeze",
                      .until = parse_rfc3339("2026-01-03T06:00:00Z").value()};
      return scene.run(command, options);
    };
  };
  expect_all_formats("hold", in_new_scene(hold, "moved", false));
  expect_all_formats("hold-dry-run", in_new_scene(hold, "moved", true));
  expect_all_formats("hold-unchanged", in_new_scene(hold, "held", false));
  expect_all_formats("resume", in_new_scene(resume, "held", false));
  const Target ns{.kind = &namespace_kind(), .ns = "", .name = "team-a"};
  const Target cluster{
      .kind = &namespace_kind(), .ns = "", .name = "tidemark-system", .is_cluster = true};
  for (const auto& [name, target] : {std::pair("namespace", ns), std::pair("cluster", cluster)}) {
    expect_all_formats("hold-" + std::string(name), [&](Format format) {
      Scene scene;
      Options options = scene.options(format);
      options.target = target;
      return scene.run(hold, options);
    });
  }
  expect_all_formats("resume-still-held", [&](Format format) {
    Scene scene;
    Options options = scene.options(Format::kTable);
    options.target = ns;
    options.hold.reason = "freeze";
    (void)scene.run(hold, options);
    return scene.run(resume, scene.options(format, "held"));
  });
}

TEST(Golden, Migrate) {
  for (const bool apply : {false, true}) {
    expect_all_formats(apply ? "migrate-apply" : "migrate", [&](Format format) {
      Scene scene;
      scene.put_peers();
      scene.allow_all();
      Options options = scene.options(format);
      options.selection.namespaces = {"team-a"};
      options.migrate.apply = apply;
      return scene.run(migrate, options);
    });
  }
}

TEST(Golden, Completion) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    expect_golden("completion." + shell, completion_script(shell).value());
  }
}

TEST(Golden, Manifest) {
  const auto rollout =
      workload::make_custom_kind("argoproj.io/v1alpha1/Rollout", "", "/spec/template");
  const auto kinds = workload::KindTable::with({rollout.value()});
  ASSERT_TRUE(kinds);
  expect_golden("manifest.yaml", kinds_role(*kinds));
}

// Runs last of its suite.
TEST(Golden, NoFileIsLeftOver) {
  if (::testing::GTEST_FLAG(filter) != "*" && ::testing::GTEST_FLAG(filter) != "Golden.*") {
    GTEST_SKIP() << "only where all of them ran";
  }
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    EXPECT_TRUE(looked_at().contains(entry.path().filename().string())) << entry.path();
  }
}

}  // namespace
}  // namespace tidemark::sweeper
