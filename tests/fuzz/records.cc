// The records on a workload, which users may edit: what was read is written and read to the same.
#include "workload/records.h"

#include "fuzz/target.h"

namespace tidemark::fuzz {
namespace {

template <typename Record>
void check(std::string_view input, Record (*parse)(std::string_view),
           std::string (*dump)(const Record&)) {
  const Record record = parse(input);
  const std::string text = dump(record);
  require(text.empty() == record.empty(), "an empty record is no annotation");
  const Record again = parse(text);
  require(again == record, "a record is read as it was written");
  require(dump(again) == text, "a record has one spelling");
}

}  // namespace

void run(std::string_view input) {
  check(input, &workload::parse_history, &workload::dump_history);
  check(input, &workload::parse_held, &workload::dump_held);
  check(input, &workload::parse_unstamped, &workload::dump_unstamped);
  check(input, &workload::parse_baseline, &workload::dump_baseline);

  const auto history = workload::parse_history(input);
  require(history.size() <= workload::kMaxHistoryEntries, "a history has a bound");
  const auto pushed = workload::push_history(history, history);
  require(pushed.size() <= workload::kMaxHistoryEntries, "a longer history has it too");
  for (const auto& entry : history) {
    if (const auto stamp = workload::Stamp::parse(entry.to)) {
      require(workload::history_lists(history, entry.slot, stamp->digest()),
              "a history lists what its entries say");
    }
  }
  for (const auto& [slot, holds] : workload::parse_held(input)) {
    for (const auto& hold : holds) {
      require(workload::is_held(workload::parse_held(input), slot, hold.digest), "a hold holds");
    }
  }
}

}  // namespace tidemark::fuzz
