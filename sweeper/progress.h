// Progress: how far a long sweep is, on a terminal's stderr.
//
// Purpose: one line, drawn again in its place while workloads are read and registries asked, and
// erased at the end: "[######....] 1200/2000 references, 3s". Nothing is drawn in the first half
// second, so that a short sweep leaves nothing to see. Whether there is a terminal is the caller's
// to know (terminal.h). Thread-safety: update() and tick() from many threads. Ownership: refers to
// stream and clock. Errors: none; a stream that fails draws nothing. Source: ECMA-48 EL ("\x1b[K").
#pragma once

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "sweeper/terminal.h"

namespace tidemark::sweeper {

// At most `width` - 1 columns, so that no terminal wraps it; 0: of any width. `total` 0: it is not
// known yet.
std::string progress_line(std::size_t done, std::size_t total, std::chrono::seconds elapsed,
                          const Terminal& terminal);

class Progress {
 public:
  Progress(std::ostream& out, const Terminal& terminal, const Clock& clock);
  ~Progress();  // erases what is drawn
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Erases the line where all is done: what comes next may write to the terminal itself.
  void update(std::size_t done, std::size_t total);
  // Time has passed: an answer may be long in coming.
  void tick();

 private:
  void draw();
  void erase();

  std::ostream& out_;
  const Terminal terminal_;
  const Clock& clock_;
  const SteadyTime begin_;

  std::mutex mutex_;  // guards all below, and out_
  SteadyTime next_;
  std::size_t done_ = 0;  // the most that was told: threads tell out of order
  std::size_t total_ = 0;
  bool drawn_ = false;
  bool over_ = false;
};

}  // namespace tidemark::sweeper
