#include "sweeper/progress.h"

#include <algorithm>
#include <ostream>

#include "base/text.h"

namespace tidemark::sweeper {
namespace {

constexpr std::chrono::milliseconds kSilence{500};
constexpr std::chrono::milliseconds kBetweenLines{100};
constexpr std::size_t kMaxBar = 40;
constexpr std::size_t kMinBar = 10;  // narrower ones say less than the numbers beside them
constexpr const char* kEraseLine = "\r\x1b[K";

}  // namespace

std::string progress_line(std::size_t done, std::size_t total, std::chrono::seconds elapsed,
                          const Terminal& terminal) {
  const std::size_t columns = terminal.width == 0 ? kMaxBar * 3 : terminal.width - 1;
  const std::string time = ", " + std::to_string(elapsed.count()) + "s";
  if (total == 0) return cut("reading workloads" + time, columns);
  const std::string text =
      std::to_string(done) + "/" + std::to_string(total) + " references" + time;
  constexpr std::size_t kBrackets = 3;  // and a blank
  if (columns < text.size() + kBrackets + kMinBar) return cut(text, columns);
  const std::size_t bar = std::min(columns - text.size() - kBrackets, kMaxBar);
  const std::size_t filled = bar * std::min(done, total) / total;
  const std::string full(filled, '#');
  return "[" + (terminal.colours ? "\x1b[32m" + full + "\x1b[0m" : full) +
         std::string(bar - filled, '.') + "] " + text;
}

Progress::Progress(std::ostream& out, const Terminal& terminal, const Clock& clock)
    : out_(out),
      terminal_(terminal),
      clock_(clock),
      begin_(clock.steady_now()),
      next_(begin_ + kSilence) {}

Progress::~Progress() { erase(); }

void Progress::erase() {
  if (drawn_) out_ << kEraseLine << std::flush;
  drawn_ = false;
}

void Progress::update(std::size_t done, std::size_t total) {
  const std::lock_guard lock(mutex_);
  done_ = std::max(done_, done);
  total_ = total;
  over_ = done_ >= total_;
  if (over_) {
    erase();
  } else {
    draw();
  }
}

void Progress::tick() {
  const std::lock_guard lock(mutex_);
  if (!over_) draw();
}

// With the lock held.
void Progress::draw() {
  const SteadyTime now = clock_.steady_now();
  if (now < next_) return;
  next_ = now + kBetweenLines;
  const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - begin_);
  out_ << kEraseLine << progress_line(done_, total_, elapsed, terminal_) << std::flush;
  drawn_ = true;
}

}  // namespace tidemark::sweeper
