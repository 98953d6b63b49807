// The JSON of `status`: what -o json prints, and what a running sweeper answers.
//
// Purpose: the one writer and the one reader of a StatusRow's keys. Included by .cc files alone,
// for it shares the library's type. Thread-safety: pure functions. Errors: kInvalid of
// decode_answer where the text is no answer of this version.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sweeper/collect.h"
#include "sweeper/status.h"

namespace tidemark::sweeper {

// A sweeper of another version than the command's may mean something else by the same keys.
inline constexpr int kStatusVersion = 1;

// The API client reads no answer that is longer (an object's bound): some 20,000 slots.
inline constexpr std::size_t kMaxStatusBytes = std::size_t{8} * 1024 * 1024;

// One line; bytes that are no UTF-8 are replaced.
std::string dumped(const nlohmann::ordered_json& value);

nlohmann::ordered_json to_json(const RunningSlot& running);
nlohmann::ordered_json to_json(const StatusRow& row);
nlohmann::ordered_json to_json(const std::vector<CollectProblem>& problems);

// kTooLarge past kMaxStatusBytes.
Result<std::string> encode_answer(const SweeperStatus& answer);
Result<SweeperStatus> decode_answer(std::string_view text);

}  // namespace tidemark::sweeper
