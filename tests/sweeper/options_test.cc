#include "sweeper/options.h"

#include <gtest/gtest.h>

#include <sstream>
#include <vector>

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

TEST(Options, WrongFlagsAreNamedAndExitWithTwo) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"run", "--intervall", "5s"}, "--intervall"},
      {{"run", "--interval", "5 parsecs"}, "--interval"},
      {{"run", "--interval", "10ms"}, "--interval"},
      {{"once", "-o", "xml"}, "xml"},
      {{"once", "-A", "-n", "team-a"}, "--all-namespaces"},
      {{"--log-level", "loud", "run"}, "--log-level"},
      {{"--config", "/nonexistent/tidemark.yaml", "run"}, "/nonexistent/tidemark.yaml"},
      {{"explain"}, "target"},
      {{"explain", "web"}, "KIND/NAME"},
      {{"explain", "gizmo/web"}, "gizmo"},
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
  EXPECT_NE(version.out.find("tidemark-sweeper"), std::string::npos);
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
  EXPECT_TRUE(options.exit_code);
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

TEST(Options, ReadsATarget) {
  const Parsed parsed = parse({"explain", "sts/db", "-n", "team-a"});
  EXPECT_EQ(parsed.options().target.kind->kind, "StatefulSet");
  EXPECT_EQ(parsed.options().target.name, "db");
  EXPECT_EQ(parsed.options().target.ns, "team-a");
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
