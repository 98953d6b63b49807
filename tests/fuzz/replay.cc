// Runs a target over saved inputs: every file below the folders (or every file) that it is given.
// Needs no libFuzzer, so it runs with the unit tests, also under the sanitizers of g++.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string_view>
#include <vector>

#include "fuzz/target.h"

namespace {

namespace fs = std::filesystem;

void run_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  tidemark::fuzz::require(in.good(), "the file can be read");
  // A vector and no string: its end is the end of the allocation, as AddressSanitizer needs it.
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // the last name is the input that failed
  tidemark::fuzz::run({bytes.data(), bytes.size()});
}

int replay(std::span<char*> names) {
  for (const char* name : names) {
    int files = 0;
    if (fs::is_regular_file(name)) {
      run_file(name);
      ++files;
    } else {
      for (const auto& entry : fs::recursive_directory_iterator(name)) {
        if (!entry.is_regular_file()) continue;
        run_file(entry.path());
        ++files;
      }
    }
    if (files == 0) {
      std::fprintf(stderr, "no input in %s\n", name);
      return 1;
    }
  }
  return names.empty() ? 2 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return replay(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
