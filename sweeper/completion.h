// completion: what a shell offers for a half-written command line.
//
// Purpose: `completion SHELL` prints a script that asks the program itself, `__complete WORD...`
// answers: what it offers is read off the CLI11 app, so that the two cannot drift. kubectl asks in
// the same way, through an executable named kubectl_complete-tidemark.
// Thread-safety: pure functions. Errors: kInvalid for an unknown shell.
// Source: https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/ and k8s.io/kubectl
// pkg/cmd/plugin/plugin_completion.go; github.com/spf13/cobra completions.go (candidates one a
// line, then ":" and the sum of ShellCompDirectives: 2 no blank after it, 4 no files).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workload/kind.h"

namespace CLI {
class App;
}

namespace tidemark::sweeper {

struct Completion {
  std::vector<std::string> candidates{};
  bool files = false;     // the shell's own names of files too
  bool no_space = false;  // a candidate is only the beginning of a word
  // Names of these objects too, as the API server knows them; nullptr: of none.
  const workload::Kind* kind = nullptr;
  std::string ns{};           // where; "" for the kubeconfig's
  std::string before_name{};  // what stands before each, "deployment/"
  std::string name_prefix{};  // how each begins
};

// `words`: those before the one that is completed, `last`.
Completion complete_word(const CLI::App& app, const std::vector<std::string>& words,
                         std::string_view last, const workload::KindTable& kinds);

// ":4\n", what ends the answer.
std::string directive_line(const Completion& completion);

// "bash", "zsh" or "fish".
Result<std::string> completion_script(std::string_view shell);

}  // namespace tidemark::sweeper
