#include "sweeper/status_json.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace tidemark::sweeper {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxAge = 1'000'000'000;  // seconds: thirty years

// What comes from another process may be anything: a key that is missing or of another type makes
// the whole answer invalid, which ends in one place.
struct Malformed {
  std::string what;
};

const Json& member(const Json& object, const char* key) {
  if (object.is_object()) {
    if (const auto found = object.find(key); found != object.end()) return *found;
  }
  throw Malformed{std::string("no \"") + key + "\""};
}

const Json& list(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_array()) throw Malformed{std::string("\"") + key + "\" is no list"};
  return value;
}

std::string text(const Json& value) {
  if (!value.is_string()) throw Malformed{"a value is no text"};
  return value.get<std::string>();
}

std::string text_or_none(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? text(object[key]) : std::string();
}

std::size_t number(const Json& object, const char* key) {
  const Json& value = member(object, key);
  if (!value.is_number_unsigned()) throw Malformed{std::string("\"") + key + "\" is no number"};
  return value.get<std::size_t>();
}

std::vector<std::string> texts(const Json& object, const char* key) {
  std::vector<std::string> out;
  for (const Json& value : list(object, key)) out.push_back(text(value));
  return out;
}

std::optional<image::Digest> digest_or_none(const Json& object, const char* key) {
  const std::string written = text_or_none(object, key);
  if (written.empty()) return std::nullopt;
  auto digest = image::Digest::parse(written);
  if (!digest) throw Malformed{digest.error().message};
  return std::move(*digest);
}

StatusRow row_of(const Json& entry) {
  StatusRow row;
  row.ns = text(member(entry, "namespace"));
  row.workload = text(member(entry, "workload"));
  row.slot = text(member(entry, "slot"));
  row.image = text(member(entry, "image"));
  const auto verdict = parse_verdict(text(member(entry, "state")));
  if (!verdict) throw Malformed{"an unknown state"};
  row.verdict = *verdict;
  row.reason = text_or_none(entry, "reason");
  row.stamped = digest_or_none(entry, "stamp");
  row.registry = digest_or_none(entry, "digest");
  row.running.slot = row.slot;
  for (const Json& running : list(entry, "running")) {
    const std::size_t pods = number(running, "pods");
    if (const auto digest = digest_or_none(running, "digest"); digest) {
      row.running.pods[*digest] = pods;
    } else {
      row.running.without = pods;
    }
  }
  row.since = text_or_none(entry, "since");
  return row;
}

SweeperStatus answer_of(const Json& document) {
  if (const std::size_t version = number(document, "version"); version != kStatusVersion) {
    throw Malformed{"version " + std::to_string(version)};
  }
  SweeperStatus out;
  const std::size_t age = number(document, "ageSeconds");
  if (age > kMaxAge) throw Malformed{"an age beyond all sweepers"};
  out.age = std::chrono::seconds(age);
  out.unasked = number(document, "unasked");
  const Json& selection = member(document, "selection");
  out.selection = {.namespaces = texts(selection, "namespaces"),
                   .excluded = texts(selection, "excludedNamespaces"),
                   .label_selector = text(member(selection, "labelSelector")),
                   .field_selector = text(member(selection, "fieldSelector"))};
  for (const Json& entry : list(document, "slots")) out.status.rows.push_back(row_of(entry));
  for (const Json& entry : list(document, "problems")) {
    out.status.problems.push_back(
        {.ns = text(member(entry, "namespace")),
         .what = text(member(entry, "what")),
         .error = {ErrorKind::kUnavailable, text(member(entry, "error"))}});
  }
  return out;
}

}  // namespace

std::string dumped(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const RunningSlot& running) {
  Json out = Json::array();
  for (const auto& [digest, pods] : running.pods) {
    out.push_back({{"digest", digest.str()}, {"pods", pods}});
  }
  if (running.without > 0) out.push_back({{"pods", running.without}});
  return out;
}

Json to_json(const StatusRow& row) {
  Json out{{"namespace", row.ns},
           {"workload", row.workload},
           {"slot", row.slot},
           {"image", row.image},
           {"state", to_string(row.verdict)}};
  if (!row.reason.empty()) out["reason"] = row.reason;
  if (row.stamped) out["stamp"] = row.stamped->str();
  if (row.registry) out["digest"] = row.registry->str();
  out["running"] = to_json(row.running);
  if (!row.since.empty()) out["since"] = row.since;
  return out;
}

Json to_json(const std::vector<CollectProblem>& problems) {
  Json out = Json::array();
  for (const CollectProblem& problem : problems) {
    out.push_back(
        {{"namespace", problem.ns}, {"what", problem.what}, {"error", problem.error.message}});
  }
  return out;
}

// As text, row by row: a document of ten thousand would take ten times the memory of its text.
Result<std::string> encode_answer(const SweeperStatus& answer) {
  const Json selection{{"namespaces", answer.selection.namespaces},
                       {"excludedNamespaces", answer.selection.excluded},
                       {"labelSelector", answer.selection.label_selector},
                       {"fieldSelector", answer.selection.field_selector}};
  std::string out = "{\"version\":" + std::to_string(kStatusVersion) +
                    ",\"ageSeconds\":" + std::to_string(answer.age.count()) +
                    ",\"unasked\":" + std::to_string(answer.unasked) +
                    ",\"selection\":" + dumped(selection) + ",\"slots\":[";
  for (std::size_t i = 0; i < answer.status.rows.size(); ++i) {
    if (i > 0) out += ",";
    out += dumped(to_json(answer.status.rows[i]));
    if (out.size() > kMaxStatusBytes) break;
  }
  out += "],\"problems\":" + dumped(to_json(answer.status.problems)) + "}\n";
  if (out.size() <= kMaxStatusBytes) return out;
  return fail(ErrorKind::kTooLarge,
              "more than " + std::to_string(kMaxStatusBytes) + " bytes: ask for some namespaces");
}

Result<SweeperStatus> decode_answer(std::string_view text) {
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    return answer_of(document);
  } catch (const Malformed& malformed) {
    return fail(ErrorKind::kInvalid,
                "not an answer that this version understands: " + malformed.what);
  }
}

}  // namespace tidemark::sweeper
