#include "sweeper/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace tidemark::sweeper {

Terminal terminal_of_stdout(const config::Environment& environment) {
  if (isatty(STDOUT_FILENO) == 0) return {};
  Terminal terminal;
  const bool no_colour = !environment("NO_COLOR").value_or("").empty();
  terminal.colours = !no_colour && environment("TERM").value_or("dumb") != "dumb";
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) terminal.width = size.ws_col;
  return terminal;
}

}  // namespace tidemark::sweeper
