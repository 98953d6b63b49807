// What a fuzz target is, and how it says what must hold.
//
// Each target is one .cc file that defines run(). libfuzzer.cc calls it with what libFuzzer makes
// up, replay.cc with the files of the corpus.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string_view>

namespace tidemark::fuzz {

// Reads one input. Ends the program by abort() where a property does not hold.
void run(std::string_view input);

// `holds` must be true for every input.
inline void require(bool holds, const char* property,
                    std::source_location where = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: does not hold: %s\n", where.file_name(), where.line(), property);
  std::abort();
}

}  // namespace tidemark::fuzz
