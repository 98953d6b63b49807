// page_api: the JSON that the status page reads, made of rows that are known.
//
// Purpose: one function for each path of api/v1 (ui/openapi.json describes them). Every list has a
// bound: registries and reasons are chosen by whoever writes an image's name.
// Thread-safety: pure functions. Errors: kInvalid naming the parameter that is wrong.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sweeper/live_status.h"
#include "sweeper/plan.h"

namespace tidemark::sweeper {

inline constexpr std::size_t kMaxPageRows = 500;
// Past the slots of any cluster; a number of more digits is no offset.
inline constexpr std::size_t kMaxPageOffset = 10'000'000;
inline constexpr std::size_t kMaxSearchBytes = 200;
inline constexpr std::size_t kMaxOverviewEntries = 500;  // of each of its lists

// Which slots are asked for. "" and nullopt: any.
struct SlotsQuery {
  std::size_t offset = 0;
  std::size_t limit = 100;
  std::string ns{};
  std::string workload{};  // exactly: of a link to one slot
  std::string slot{};
  std::optional<Verdict> verdict{};
  std::string search{};  // anywhere in "namespace/workload/slot image", whatever the case
};

struct TimelineQuery {
  std::size_t limit = 100;
};

// `query`: as sent. A parameter that is unknown, given twice or out of its bounds is an error.
Result<SlotsQuery> parse_slots_query(std::string_view query);
Result<TimelineQuery> parse_timeline_query(std::string_view query);
Status parse_no_query(std::string_view query);

std::string overview_json(const KnownRows& known);
std::string slots_json(const KnownRows& known, const SlotsQuery& query);
// The newest changes first.
std::string timeline_json(const KnownRows& known, const TimelineQuery& query);
// One server-sent event and the end: the browser asks again by itself.
std::string events_text(const KnownRows& known);

}  // namespace tidemark::sweeper
