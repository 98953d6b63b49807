#include "sweeper/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/version.h"

namespace tidemark::sweeper {
namespace {

struct Parsed {
  std::variant<Options, Exit> result;
  std::string out;
  std::string err;

  const Options& options() const { return std::get<Options>(result); }
  int code() const { return std::get<Exit>(result).code; }
};

Parsed parse(std::vector<const char*> arguments, const config::Environment& environment = {}) {
  arguments.insert(arguments.begin(), "tidemark-sweeper");
  std::ostringstream out;
  std::ostringstream err;
  auto result = parse_options(
      static_cast<int>(arguments.size()), arguments.data(),
      environment ? environment : [](const std::string&) { return std::nullopt; }, out, err);
  return {std::move(result), out.str(), err.str()};
}

constexpr const char* kDigest =
    "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

TEST(Options, WrongFlagsAreNamedAndExitWithTwo) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"run", "--intervall", "5s"}, "--intervall"},
      {{"run", "--interval", "5 parsecs"}, "--interval"},
      {{"run", "--interval", "10ms"}, "--interval"},
      {{"run", "--schedule", "every day"}, "--schedule"},
      {{"run", "--schedule", "* * * * *", "--interval", "5s"}, "--interval"},
      {{"once", "-o", "xml"}, "xml"},
      {{"status", "--from", "etcd"}, "etcd"},
      {{"status", "gizmo/web"}, "gizmo"},
      {{"once", "-A", "-n", "team-a"}, "--all-namespaces"},
      {{"once", "-x", "team-a,metadata.name=web"}, "--exclude-namespace"},
      {{"--log-level", "loud", "run"}, "--log-level"},
      {{"--config", "/nonexistent/tidemark.yaml", "run"}, "/nonexistent/tidemark.yaml"},
      {{"explain"}, "target"},
      {{"explain", "web"}, "KIND/NAME"},
      {{"explain", "gizmo/web"}, "gizmo"},
      {{"hold"}, "KIND/NAME"},
      {{"hold", "-A", "deploy/web"}, "--all-namespaces"},
      {{"hold", "-A", "--slot", "app", "--digest", kDigest}, "--digest"},
      {{"hold", "ns/team-a", "--slot", "app", "--digest", kDigest}, "--digest"},
      {{"hold", "gizmo/web"}, "gizmo"},
      {{"hold", "namespace/"}, "KIND/NAME"},
      {{"hold", "deploy/web", "--until", "Friday"}, "--until"},
      {{"hold", "deploy/web", "--until", "2001-01-01T00:00:00Z"}, "over"},
      {{"hold", "deploy/web", "--for", "long"}, "--for"},
      {{"hold", "deploy/web", "--for", "1h", "--until", "2999-01-01T00:00:00Z"}, "--for"},
      {{"hold", "deploy/web", "--slot", "app", "--digest", "sha256:1"}, "--digest"},
      {{"resume", "deploy/web", "--reason", "x"}, "--reason"},
      {{"migrate", "--from", "flux"}, "flux"},
      {{"migrate", "deploy/web"}, "deploy/web"},
      {{"migrate", "--dry-run"}, "--dry-run"},
      {{"completion"}, "shell"},
      {{"completion", "tcsh"}, "tcsh"},
      {{"sweep"}, "sweep"},
      {{}, "command"},
  };
  for (const auto& [arguments, name] : cases) {
    const Parsed parsed = parse(arguments);
    ASSERT_TRUE(std::holds_alternative<Exit>(parsed.result)) << name;
    EXPECT_EQ(parsed.code(), kExitUsage) << name;
    EXPECT_NE(parsed.err.find(name), std::string::npos) << parsed.err;
  }
}

TEST(Options, HelpAndVersionExitWithZero) {
  EXPECT_EQ(parse({"--help"}).code(), kExitOk);
  EXPECT_EQ(parse({"once", "--help"}).code(), kExitOk);
  const Parsed version = parse({"--version"});
  EXPECT_EQ(version.code(), kExitOk);
  EXPECT_EQ(version.out, version_line("tidemark-sweeper") + "\n");
}

TEST(Options, OnceTakesWhatKubectlTakes) {
  const Parsed parsed =
      parse({"once", "-n", "a,b", "-l", "app=web", "--field-selector", "metadata.name=web",
             "--dry-run", "--kubeconfig", "/k", "--context", "kind", "-o", "json", "--exit-code"});
  const Options& options = parsed.options();
  EXPECT_EQ(options.command, Command::kOnce);
  EXPECT_EQ(options.selection.namespaces, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(options.selection.label_selector, "app=web");
  EXPECT_EQ(options.selection.field_selector, "metadata.name=web");
  EXPECT_TRUE(options.dry_run);
  EXPECT_EQ(options.exit_code, ExitCode::kMovedOrFailed);
  EXPECT_EQ(options.kubeconfig.path, "/k");
  EXPECT_EQ(options.kubeconfig.context, "kind");
  EXPECT_EQ(options.format, Format::kJson);
  EXPECT_FALSE(options.own_namespace_only);
}

TEST(Options, OnceLooksAtOneNamespaceUnlessToldAndRunAtAll) {
  EXPECT_TRUE(parse({"once"}).options().own_namespace_only);
  EXPECT_FALSE(parse({"once", "-A"}).options().own_namespace_only);
  EXPECT_FALSE(parse({"run"}).options().own_namespace_only);
}

TEST(Options, OnceTakesTheFlagsOfKubernetesImageSyncAsTheyAre) {
  const Options all = parse({"once", "-all-namespaces", "-dry-run", "-field-selector",
                             "metadata.name=web", "-l", "app=web", "-kubeconfig=/k"})
                          .options();
  EXPECT_TRUE(all.selection.namespaces.empty());
  EXPECT_FALSE(all.own_namespace_only);
  EXPECT_TRUE(all.dry_run);
  EXPECT_EQ(all.selection.field_selector, "metadata.name=web");
  EXPECT_EQ(all.selection.label_selector, "app=web");
  EXPECT_EQ(all.kubeconfig.path, "/k");
  EXPECT_EQ(parse({"once", "-n", "team-a"}).options().selection.namespaces,
            std::vector<std::string>{"team-a"});
  EXPECT_EQ(parse({"once", "-all-namespaces", "-n", "team-a"}).code(), kExitUsage);
  // imago: may be repeated, and means all others.
  const Options others = parse({"once", "-x", "a", "-x", "b"}).options();
  EXPECT_EQ(others.selection.excluded, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(others.own_namespace_only);
}

TEST(Options, SelectionIsTheConfigurationsWhereNoFlagSaysOtherwise) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "selection.yaml";
  std::ofstream(file) << "sweeper:\n  namespaces: [a, b]\n  excludeNamespaces: [b, c]\n"
                         "  labelSelector: app=web\n  fieldSelector: metadata.name=web\n";
  const std::string path = file.string();
  const Selection kept = parse({"run", "--config", path.c_str()}).options().selection;
  EXPECT_EQ(kept.namespaces, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(kept.excluded, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(kept.label_selector, "app=web");
  EXPECT_EQ(kept.field_selector, "metadata.name=web");
  const Selection flags = parse({"run", "--config", path.c_str(), "-A", "--exclude-namespace", "d",
                                 "-l", "app=api", "--field-selector", "metadata.name=api"})
                              .options()
                              .selection;
  EXPECT_TRUE(flags.namespaces.empty());
  EXPECT_EQ(flags.excluded, std::vector<std::string>{"d"});
  EXPECT_EQ(flags.label_selector, "app=api");
  EXPECT_EQ(flags.field_selector, "metadata.name=api");
  EXPECT_EQ(parse({"once", "--config", path.c_str(), "-A"}).options().selection.excluded,
            (std::vector<std::string>{"b", "c"}));
}

TEST(Options, ReadsWhatTheExitCodeIsToTell) {
  EXPECT_EQ(parse({"once"}).options().exit_code, ExitCode::kNone);
  EXPECT_EQ(parse({"once", "--exit-code"}).options().exit_code, ExitCode::kMovedOrFailed);
  EXPECT_EQ(parse({"once", "--exit-code=failed", "-A"}).options().exit_code, ExitCode::kFailed);
  EXPECT_EQ(parse({"once", "--exit-code=moved"}).code(), kExitUsage);
}

TEST(Options, ReadsATarget) {
  const Parsed parsed = parse({"explain", "sts/db", "-n", "team-a"});
  EXPECT_EQ(parsed.options().target.kind->kind, "StatefulSet");
  EXPECT_EQ(parsed.options().target.name, "db");
  EXPECT_EQ(parsed.options().target.ns, "team-a");
}

TEST(Options, ReadsAnOrder) {
  const Parsed parsed = parse({"hold", "deploy/web", "-n", "team-a", "--slot", "app", "--digest",
                               kDigest, "--reason", "crashes"});
  EXPECT_EQ(parsed.options().command, Command::kHold);
  EXPECT_EQ(parsed.options().target.ns, "team-a");
  EXPECT_EQ(parsed.options().hold.slots, std::set<std::string>{"app"});
  EXPECT_EQ(parsed.options().hold.digest->str(), kDigest);
  EXPECT_EQ(parsed.options().hold.reason, "crashes");
  const auto lonely = parse({"hold", "deploy/web", "--digest", kDigest});
  EXPECT_EQ(lonely.code(), kExitUsage) << "of which container?";

  const Parsed resume = parse({"resume", "ns/team-a", "--slot", "a,b"});
  EXPECT_EQ(resume.options().command, Command::kResume);
  EXPECT_EQ(resume.options().target.kind, &namespace_kind());
  EXPECT_EQ(resume.options().target.name, "team-a");
  EXPECT_EQ(resume.options().hold.slots, (std::set<std::string>{"a", "b"}));
  EXPECT_FALSE(resume.options().hold.until);
}

TEST(Options, MigrateWritesNothingUnlessTold) {
  const Options told = parse({"migrate", "--from", "keel,figwasp", "-l", "app=web"}).options();
  EXPECT_EQ(told.command, Command::kMigrate);
  EXPECT_EQ(told.migrate.from, (std::set<Peer>{Peer::kFigwasp, Peer::kKeel}));
  EXPECT_EQ(told.selection.label_selector, "app=web");
  EXPECT_TRUE(told.own_namespace_only);
  EXPECT_FALSE(told.migrate.apply || told.migrate.remove || told.migrate.unpin);
  const MigrateRequest all =
      parse({"migrate", "-A", "--apply", "--remove", "--unpin"}).options().migrate;
  EXPECT_TRUE(all.from.empty());
  EXPECT_TRUE(all.apply && all.remove && all.unpin);
}

TEST(Options, TheHelpOfUnpinSaysThatItRolls) {
  EXPECT_NE(parse({"migrate", "--help"}).out.find("ROLLS"), std::string::npos);
}

TEST(Options, CompletionPrintsAScript) {
  const Parsed parsed = parse({"completion", "bash"});
  EXPECT_EQ(parsed.code(), kExitOk);
  EXPECT_NE(parsed.out.find("complete -F"), std::string::npos);
}

TEST(Options, ChecksAConfigurationAndReadsItAnewWithTheFlags) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("sweeper-check-" + std::to_string(::getpid()));
  std::ofstream(file) << "sweeper: {interval: 5s}\n";
  const Parsed good = parse({"check-config", file.c_str()});
  EXPECT_EQ(good.code(), kExitOk);
  EXPECT_EQ(good.out, file.string() + ": ok\nsweeper.interval: 5s\n");
  const Parsed run = parse({"run", "--config", file.c_str(), "--interval", "7s"});
  ASSERT_TRUE(run.options().reload);
  EXPECT_EQ(run.options().reload()->sweeper.interval, std::chrono::seconds{7});
  std::ofstream(file) << "sweeper: {intervall: 5s}\n";
  EXPECT_FALSE(run.options().reload());
  const Parsed bad = parse({"check-config", file.c_str()});
  EXPECT_EQ(bad.code(), kExitUsage);
  EXPECT_NE(bad.err.find(":1: unknown key \"intervall\" in sweeper"), std::string::npos) << bad.err;
  std::filesystem::remove(file);
}

TEST(Options, AnOrderAboutTheWholeClusterGoesToTheSystemNamespace) {
  const config::Environment pod = [](const std::string& name) -> std::optional<std::string> {
    return name == "POD_NAMESPACE" ? std::optional<std::string>("platform") : std::nullopt;
  };
  const Parsed hold = parse({"hold", "-A", "--reason", "freeze"});
  EXPECT_TRUE(hold.options().target.is_cluster);
  EXPECT_EQ(hold.options().target.kind, &namespace_kind());
  EXPECT_EQ(hold.options().target.name, "tidemark-system");
  EXPECT_EQ(parse({"resume", "-A"}, pod).options().target.name, "platform");
  EXPECT_EQ(parse({"--system-namespace", "tools", "resume", "-A"}, pod).options().target.name,
            "tools");
}

TEST(Options, ElectsALeaderInAPodUnlessTold) {
  const config::Environment pod = [](const std::string& name) -> std::optional<std::string> {
    if (name == "POD_NAMESPACE") return "tidemark-system";
    if (name == "POD_NAME") return "sweeper-0";
    return std::nullopt;
  };
  EXPECT_FALSE(parse({"run"}).options().leader_elect);
  EXPECT_TRUE(parse({"run"}, pod).options().leader_elect);
  EXPECT_EQ(parse({"run"}, pod).options().identity, "sweeper-0");
  EXPECT_FALSE(parse({"run", "--no-leader-elect"}, pod).options().leader_elect);
  EXPECT_TRUE(parse({"run", "--leader-elect"}).options().leader_elect);
}

}  // namespace
}  // namespace tidemark::sweeper
