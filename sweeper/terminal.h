// Terminal: what a command may assume of where its answer goes.
//
// Purpose: the one place that asks the system whether that is a terminal. Thread-safety: a value.
// Errors: none; what is not known is no terminal.
#pragma once

#include <cstddef>
#include <optional>

#include "config/config.h"

namespace tidemark::sweeper {

struct Terminal {
  bool colours = false;
  std::size_t width = 0;  // columns; 0: as long as a line is
};

// Of stdout. $NO_COLOR (no-color.org) and TERM=dumb mean no colours.
Terminal terminal_of_stdout(const config::Environment& environment);
// Of stderr, for lines that are drawn again in their place; nullopt: it is no terminal, or a dumb
// one, which cannot erase.
std::optional<Terminal> terminal_of_stderr(const config::Environment& environment);

// Whether nobody reads stdout any more: the other end of its pipe is closed.
bool reader_of_stdout_is_gone();

}  // namespace tidemark::sweeper
