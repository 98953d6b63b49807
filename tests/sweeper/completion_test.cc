#include "sweeper/completion.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "sweeper/cluster.h"
#include "sweeper/commands.h"
#include "sweeper/options.h"

namespace tidemark::sweeper {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the tests' own words

struct Answer {
  std::variant<Options, Exit> result;
  std::string out;
};

Answer answer(std::vector<const char*> words) {
  words.insert(words.begin(), {"tidemark-sweeper", "__complete"});
  std::ostringstream out;
  std::ostringstream err;
  auto result = parse_options(
      static_cast<int>(words.size()), words.data(), [](const std::string&) { return std::nullopt; },
      out, err);
  EXPECT_EQ(err.str(), "");
  return {std::move(result), out.str()};
}

std::string offered(const std::vector<const char*>& words) { return answer(words).out; }

TEST(Completion, Offers) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"h"}, "history\nhold\n:4\n"},
      {{"mig"}, "migrate\n:4\n"},
      {{"zzz"}, ":4\n"},
      {{"migrate", "--un"}, "--unpin\n:4\n"},
      {{"migrate", "--log"}, "--log-level\n:4\n"},
      {{"status", "-o", ""}, "table\njson\nyaml\n:4\n"},
      {{"status", "--output", "y"}, "yaml\n:4\n"},
      {{"status", "--output=j"}, "--output=json\n:4\n"},
      {{"status", "--output", "=", "j"}, "json\n:4\n"},
      {{"migrate", "--from", "figwasp,k"},
       "figwasp,kube-autorollout\nfigwasp,k8s-digester\nfigwasp,keel\n:4\n"},
      {{"migrate", "--apply", "--log-level", "w"}, "warn\n:4\n"},
      {{"--kubeconfig", ""}, ":0\n"},
      {{"--kubeconfig", "/k", "res"}, "resume\n:4\n"},
      {{"completion", ""}, "bash\nzsh\nfish\n:4\n"},
      {{"explain", "d"}, "deployment/\ndaemonset/\n:6\n"},
      {{"hold", "n"}, "namespace/\n:6\n"},
      {{"explain", "n"}, ":6\n"},
      {{"explain", "deployment/web", ""}, ":4\n"},
      {{"explain", "gizmo/w"}, ":4\n"},
      {{"once", "-A", "x"}, ":4\n"},
      {{"status", "-A", "de"}, "deployment/\n:6\n"},
      {{"status", "deployment/web", "de"}, "deployment/\n:6\n"},
      {{"status", "--from", "s"}, "sweeper\n:4\n"},
  };
  for (const auto& [words, expected] : cases) EXPECT_EQ(offered(words), expected) << words.back();
  EXPECT_NE(offered({""}).find("migrate\n"), std::string::npos);
  EXPECT_NE(offered({"once", "-"}).find("-x\n"), std::string::npos);
  EXPECT_EQ(offered({}), offered({""}));
}

TEST(Completion, EveryCommandOffersTheFlagsOfItsHelp) {
  std::istringstream commands(offered({""}));
  for (std::string command; std::getline(commands, command);) {
    if (command.starts_with(':')) continue;
    const std::vector<const char*> help{"tidemark-sweeper", command.c_str(), "--help"};
    std::ostringstream printed;
    (void)parse_options(
        3, help.data(), [](const std::string&) { return std::nullopt; }, printed, printed);
    const std::string flags = "\n" + offered({command.c_str(), "--"});
    static const std::regex flag("--[a-z]+(-[a-z]+)*");
    const std::string help_text = printed.str();
    const std::sregex_iterator end;
    for (std::sregex_iterator at(help_text.begin(), help_text.end(), flag); at != end; ++at) {
      EXPECT_NE(flags.find("\n" + at->str() + "\n"), std::string::npos) << command << at->str();
    }
  }
}

TEST(Completion, NamesComeFromTheApiServer) {
  Cluster cluster;
  for (const char* name : {"web", "worker", "api"}) cluster.put({.name = name});
  const auto names = [&](const std::vector<const char*>& words) {
    const Answer asked = answer(words);
    std::ostringstream out;
    out << asked.out;
    Options options = std::get<Options>(asked.result);
    EXPECT_EQ(options.command, Command::kComplete);
    if (options.completion.ns.empty()) options.completion.ns = "team-a";
    EXPECT_EQ(complete_names(cluster.api, options, out, {}), kExitOk);
    return out.str();
  };
  EXPECT_EQ(names({"explain", "deploy/w"}), "deploy/web\ndeploy/worker\n:4\n");
  EXPECT_EQ(names({"explain", "-n", "elsewhere", "deploy/w"}), ":4\n");
  EXPECT_EQ(names({"hold", "namespace/te"}), "namespace/team-a\n:4\n");
  EXPECT_EQ(names({"once", "-n", "te"}), "team-a\n:4\n");
  EXPECT_EQ(names({"once", "-n", "x,te"}), "x,team-a\n:4\n");
  cluster.api.before([](const auto&) {
    return std::optional<Error>(Error{.kind = ErrorKind::kUnavailable, .message = "refused"});
  });
  EXPECT_EQ(names({"explain", "deploy/w"}), ":4\n");
  const Options told = std::get<Options>(answer({"explain", "--kubeconfig", "/k", "sts/"}).result);
  EXPECT_EQ(told.kubeconfig.path, "/k");
}

// `shell`: with the flags that keep a person's own settings out.
std::string run_in(const std::string& shell, const std::string& script) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "completion.sh";
  std::ofstream(file) << script;
  const std::string command = shell + " " + file.string() + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a script of our own
  std::string out;
  std::array<char, 4096> buffer{};
  while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
    out += buffer.data();
  }
  EXPECT_EQ(pclose(pipe), 0) << out;
  return out;
}

TEST(Completion, BashTakesTheAnswers) {
  const auto script = completion_script("bash");
  ASSERT_TRUE(script);
  // A program that answers with its own arguments.
  EXPECT_EQ(run_in("bash --noprofile --norc", *script + R"(
tidemark-sweeper() { printf '%s\n' "$@" ":6"; }
COMP_WORDS=(tidemark-sweeper hold 'a b' '') COMP_CWORD=3
_tidemark_sweeper
printf '<%s>' "${COMPREPLY[@]}"
complete -p tidemark-sweeper kubectl-tidemark
)"),
            "<__complete><hold><a b><>"
            "complete -F _tidemark_sweeper tidemark-sweeper\n"
            "complete -F _tidemark_sweeper kubectl-tidemark\n");
}

TEST(Completion, ZshTakesTheAnswers) {
  // What zsh gives to a completion, told by functions of these names.
  EXPECT_EQ(run_in("zsh -f",
                   "compdef() { print \"compdef $*\" }\n" + completion_script("zsh").value() + R"(
compadd() { print "compadd $* <${(j:><:)candidates}>" }
tidemark-sweeper() { print -l -- "$@" ":6" }
words=(tidemark-sweeper hold 'a b' 'c') CURRENT=4
_tidemark_sweeper
tidemark-sweeper() { print ":4" }
_tidemark_sweeper
)"),
            "compdef _tidemark_sweeper tidemark-sweeper kubectl-tidemark\n"
            "compadd -S  -a candidates <__complete><hold><a b><c>\n"
            "compadd -a candidates <>\n");
}

TEST(Completion, FishTakesTheAnswers) {
  EXPECT_EQ(run_in("fish --no-config", R"(
function tidemark-sweeper; printf '%s\n' "answer-to-$argv" :4; end
)" + completion_script("fish").value() + "complete -C 'tidemark-sweeper hold a'\n"),
            "answer-to-__complete hold a\n");
}

TEST(Completion, KnowsThreeShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_NE(completion_script(shell).value().find("__complete"), std::string::npos);
  }
  EXPECT_FALSE(completion_script("tcsh"));
}

}  // namespace
}  // namespace tidemark::sweeper
