// g++ 12 at -O2 sees null pointers in CLI11's vectors of strings that cannot be there.
#pragma GCC diagnostic ignored "-Wnull-dereference"

#include "sweeper/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/text.h"
#include "sweeper/hold.h"
#include "sweeper/tracked.h"

namespace tidemark::sweeper {
namespace {

constexpr int kNoSpace = 2;
constexpr int kNoFiles = 4;

// The formatter takes a script for code.
// clang-format off
constexpr const char* kBash = R"script(# bash completion: source <(tidemark-sweeper completion bash)
_tidemark_sweeper() {
  local line directive=4
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) directive=${line#:} ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if ((directive & 2)); then compopt -o nospace 2>/dev/null; fi
  if ! ((directive & 4)); then compopt -o default 2>/dev/null; fi
}
complete -F _tidemark_sweeper tidemark-sweeper kubectl-tidemark
)script";

constexpr const char* kZsh = R"script(#compdef tidemark-sweeper kubectl-tidemark
# zsh completion: source <(tidemark-sweeper completion zsh)
_tidemark_sweeper() {
  local line directive=4
  local -a candidates
  for line in ${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    case $line in
      :*) directive=${line#:} ;;
      *) candidates+=("$line") ;;
    esac
  done
  if ((directive & 2)); then compadd -S '' -a candidates; else compadd -a candidates; fi
  if ! ((directive & 4)); then _files; fi
}
if [ "$funcstack[1]" = "_tidemark_sweeper" ]; then
  _tidemark_sweeper
else
  compdef _tidemark_sweeper tidemark-sweeper kubectl-tidemark
fi
)script";

constexpr const char* kFish = R"script(# fish completion: tidemark-sweeper completion fish | source
function __tidemark_sweeper_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
    string match -q ':*' -- $line; or echo $line
  end
end
complete -c tidemark-sweeper -f -a '(__tidemark_sweeper_complete)'
complete -c kubectl-tidemark -f -a '(__tidemark_sweeper_complete)'
)script";
// clang-format on

bool is_named(const CLI::Option& option, std::string_view word) {
  word = word.substr(0, word.find('='));
  const auto is = [&](std::string_view dashes) {
    return [&, dashes](const std::string& name) {
      return word.starts_with(dashes) && word.substr(dashes.size()) == name;
    };
  };
  return std::ranges::any_of(option.get_lnames(), is("--")) ||
         std::ranges::any_of(option.get_snames(), is("-"));
}

// A command's own options, then those of the program.
std::vector<const CLI::Option*> options_of(const CLI::App& app, const CLI::App& command) {
  std::vector<const CLI::Option*> options = command.get_options();
  if (&command != &app) {
    const auto shared = app.get_options();
    options.insert(options.end(), shared.begin(), shared.end());
  }
  return options;
}

// Where the words lead.
struct Place {
  const CLI::App* command = nullptr;
  const CLI::Option* option = nullptr;  // whose value is next
  std::size_t positionals = 0;
};

const CLI::App* subcommand_of(const CLI::App& app, std::string_view name) {
  const auto found =
      app.get_subcommands([&](const CLI::App* candidate) { return candidate->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

void take_flag(const CLI::App& app, const std::string& word, Place& place) {
  if (word.contains('=')) return;
  for (const CLI::Option* option : options_of(app, *place.command)) {
    if (!is_named(*option, word)) continue;
    if (option->get_items_expected_max() > 0) place.option = option;
    return;
  }
}

Place follow(const CLI::App& app, const std::vector<std::string>& words) {
  Place place{.command = &app};
  for (const std::string& word : words) {
    if (place.option != nullptr) {
      // bash takes "--output=json" apart into three words.
      if (word != "=") place.option = nullptr;
    } else if (word.starts_with('-')) {
      take_flag(app, word, place);
    } else if (const CLI::App* command = place.command == &app ? subcommand_of(app, word) : nullptr;
               command != nullptr) {
      place.command = command;
    } else {
      ++place.positionals;
    }
  }
  return place;
}

void offer(Completion& out, std::string_view last, std::string candidate) {
  if (candidate.starts_with(last)) out.candidates.push_back(std::move(candidate));
}

// "table|json|yaml", as the help shows it.
void offer_choices(Completion& out, std::string_view choices, std::string_view before,
                   std::string_view last) {
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    offer(out, last, std::string(before).append(choices.substr(0, bar)));
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
}

// `before`: what stands in the same word before the value.
Completion values_of(const CLI::Option& option, std::string before, std::string_view last) {
  Completion out;
  if (option.get_delimiter() != '\0') {
    const std::size_t end = last.rfind(option.get_delimiter());
    if (end != std::string_view::npos) before = last.substr(0, end + 1);
  }
  const std::string choices = option.get_type_name();
  if (choices.contains('|')) {
    offer_choices(out, choices, before, last);
  } else if (option.get_name().ends_with("namespace")) {
    out.kind = &namespace_kind();
    out.name_prefix = last.substr(before.size());
    out.before_name = std::move(before);
  } else {
    out.files = option.get_name().ends_with("config");
  }
  return out;
}

Completion flags_of(const CLI::App& app, const CLI::App& command, std::string_view last) {
  Completion out;
  const std::size_t equals = last.find('=');
  for (const CLI::Option* option : options_of(app, command)) {
    if (equals != std::string_view::npos) {
      if (!is_named(*option, last) || option->get_items_expected_max() == 0) continue;
      return values_of(*option, std::string(last.substr(0, equals + 1)), last);
    }
    for (const std::string& name : option->get_lnames()) offer(out, last, "--" + name);
    if (last != "-") continue;
    for (const std::string& name : option->get_snames()) offer(out, last, "-" + name);
  }
  return out;
}

bool takes_namespaces(const CLI::Option& target) {
  return target.get_description().contains("namespace/");
}

Completion target_of(const CLI::Option& target, std::string_view last,
                     const workload::KindTable& kinds) {
  Completion out;
  const std::size_t slash = last.find('/');
  if (slash == std::string_view::npos) {
    out.no_space = true;
    for (const workload::Kind& kind : kinds.all()) {
      if (kind.rollable) offer(out, last, object_label(kind, ""));
    }
    if (takes_namespaces(target)) offer(out, last, object_label(namespace_kind(), ""));
    return out;
  }
  const std::string_view kind = last.substr(0, slash);
  const bool is_namespace = kind == "namespace" || kind == "namespaces" || kind == "ns";
  out.kind =
      is_namespace && takes_namespaces(target) ? &namespace_kind() : kinds.find_by_name(kind);
  out.before_name = last.substr(0, slash + 1);
  out.name_prefix = last.substr(slash + 1);
  return out;
}

// `given`: how many there are already.
Completion positional_of(const CLI::App& command, std::size_t given, std::string_view last,
                         const workload::KindTable& kinds) {
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    if (given >= static_cast<std::size_t>(option->get_items_expected_max())) return {};
    if (!option->get_type_name().contains('|')) return target_of(*option, last, kinds);
    return values_of(*option, "", last);
  }
  return {};
}

}  // namespace

Completion complete_word(const CLI::App& app, const std::vector<std::string>& words,
                         std::string_view last, const workload::KindTable& kinds) {
  const Place place = follow(app, words);
  if (place.option != nullptr) return values_of(*place.option, "", last == "=" ? "" : last);
  if (last.starts_with('-')) return flags_of(app, *place.command, last);
  if (place.command != &app) return positional_of(*place.command, place.positionals, last, kinds);
  if (place.positionals > 0) return {};
  Completion out;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    offer(out, last, command->get_name());
  }
  return out;
}

std::string directive_line(const Completion& completion) {
  return ":" +
         std::to_string((completion.no_space ? kNoSpace : 0) + (completion.files ? 0 : kNoFiles)) +
         "\n";
}

Result<std::string> completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return fail(ErrorKind::kInvalid, "unknown shell " + brief_quote(shell) + " (bash, zsh, fish)");
}

}  // namespace tidemark::sweeper
