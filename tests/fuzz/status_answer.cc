// A running sweeper's answer to `status`: what is read is written and read again as the same.
#include <string>
#include <string_view>

#include "fuzz/target.h"
#include "sweeper/output.h"
#include "sweeper/status_json.h"

namespace tidemark::fuzz {

void run(std::string_view input) {
  const auto answer = sweeper::decode_answer(input);
  if (!answer) {
    require(answer.error().kind == ErrorKind::kInvalid, "an error is the answer's");
    require(answer.error().message.find('\n') == std::string::npos, "a message is one line");
    return;
  }
  require(answer->age.count() >= 0, "an age is no future");
  const auto written = sweeper::encode_answer(*answer);
  if (!written) {
    require(written.error().kind == ErrorKind::kTooLarge, "what was read can be written");
    return;
  }
  const auto again = sweeper::decode_answer(*written);
  require(again && again->status.rows == answer->status.rows, "rows are read again as the same");
  require(again->age == answer->age && again->unasked == answer->unasked,
          "numbers are read again as the same");
  require(again->status.problems.size() == answer->status.problems.size(), "no problem is lost");
  const std::string table = sweeper::print_status(answer->status, sweeper::Format::kTable, {});
  require(table.find('\x1b') == std::string::npos, "no control byte reaches a terminal");
}

}  // namespace tidemark::fuzz
