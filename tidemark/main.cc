// One binary under three names, for images in which a second copy of the libraries costs most.
//
// tidemark-webhook, tidemark-sweeper and kubectl-tidemark are links to it; by its own name it takes
// the program as first argument: `tidemark webhook serve`, `tidemark sweeper run`.
#include <cstdio>
#include <string_view>

#include "sweeper/program.h"
#include "webhook/program.h"

namespace {

using Program = int (*)(int argc, char** argv);

Program program_named(std::string_view name) {
  if (name == "tidemark-webhook" || name == "webhook") return tidemark::webhook::run;
  if (name == "tidemark-sweeper" || name == "kubectl-tidemark" || name == "sweeper") {
    return tidemark::sweeper::run;
  }
  return nullptr;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

int main(int argc, char** argv) {
  if (argc > 0) {
    if (const Program program = program_named(base_name(argv[0])); program != nullptr) {
      return program(argc, argv);
    }
  }
  if (argc > 1) {
    if (const Program program = program_named(argv[1]); program != nullptr) {
      return program(argc - 1, argv + 1);
    }
    std::fprintf(stderr, "tidemark: unknown program \"%s\"\n", argv[1]);
  }
  std::fputs(
      "usage: tidemark webhook|sweeper ARGUMENTS...\n"
      "(or under the name tidemark-webhook, tidemark-sweeper or kubectl-tidemark)\n",
      stderr);
  return 2;
}
