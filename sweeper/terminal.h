// Terminal: what a command may assume of where its answer goes.
//
// Purpose: the one place that asks the system whether that is a terminal. Thread-safety: a value.
// Errors: none; what is not known is no terminal.
#pragma once

#include <cstddef>

#include "config/config.h"

namespace tidemark::sweeper {

struct Terminal {
  bool colours = false;
  std::size_t width = 0;  // columns; 0: as long as a line is
};

// Of stdout. $NO_COLOR (no-color.org) and TERM=dumb mean no colours.
Terminal terminal_of_stdout(const config::Environment& environment);

}  // namespace tidemark::sweeper
