#include "sweeper/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tidemark::sweeper {
namespace {

bool is_dumb(const config::Environment& environment) {
  return environment("TERM").value_or("dumb") == "dumb";
}

Terminal terminal_of(int file, const config::Environment& environment) {
  Terminal terminal;
  const bool no_colour = !environment("NO_COLOR").value_or("").empty();
  terminal.colours = !no_colour && !is_dumb(environment);
  winsize size{};
  if (ioctl(file, TIOCGWINSZ, &size) == 0) terminal.width = size.ws_col;
  return terminal;
}

}  // namespace

Terminal terminal_of_stdout(const config::Environment& environment) {
  return isatty(STDOUT_FILENO) == 0 ? Terminal{} : terminal_of(STDOUT_FILENO, environment);
}

std::optional<Terminal> terminal_of_stderr(const config::Environment& environment) {
  if (isatty(STDERR_FILENO) == 0 || is_dumb(environment)) return std::nullopt;
  return terminal_of(STDERR_FILENO, environment);
}

bool reader_of_stdout_is_gone() {
  pollfd out{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
  return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace tidemark::sweeper
