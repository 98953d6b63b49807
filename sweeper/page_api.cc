#include "sweeper/page_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/version.h"
#include "image/reference.h"
#include "registry/resolver.h"
#include "sweeper/status_json.h"
#include "workload/settings.h"

namespace tidemark::sweeper {
namespace {

using Json = nlohmann::ordered_json;

// Longer names than Kubernetes has: "customkind.group.of.someone/name".
constexpr std::size_t kMaxNameBytes = 600;

// As URLSearchParams writes it; nullopt where a '%' has no two hex digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    const auto [end, error] = std::from_chars(digits, digits + 2, byte, 16);
    if (error != std::errc{} || end != digits + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

using Take = std::function<Status(std::string value)>;
using Parameters = std::map<std::string_view, Take>;

Status read_parameters(std::string_view query, const Parameters& known) {
  std::set<std::string_view> seen;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    const std::string_view name = part.substr(0, part.find('='));
    const auto parameter = known.find(name);
    if (parameter == known.end()) {
      return fail(ErrorKind::kInvalid, "no such parameter: " + std::string(name.substr(0, 40)));
    }
    const std::string named(parameter->first);
    if (!seen.insert(name).second) return fail(ErrorKind::kInvalid, named + ": given twice");
    auto value = percent_decoded(part.substr(std::min(name.size() + 1, part.size())));
    if (!value) return fail(ErrorKind::kInvalid, named + ": not percent-encoded");
    if (auto taken = parameter->second(std::move(*value)); !taken) {
      return fail(within(named, taken.error()));
    }
  }
  return {};
}

Take number(std::size_t& out, std::size_t least, std::size_t most) {
  return [&out, least, most](const std::string& value) -> Status {
    const char* const last = value.data() + value.size();
    const auto [end, error] = std::from_chars(value.data(), last, out);
    if (error == std::errc{} && end == last && out >= least && out <= most) return {};
    return fail(ErrorKind::kInvalid,
                "a number from " + std::to_string(least) + " to " + std::to_string(most));
  };
}

Take text(std::string& out, std::size_t max_bytes) {
  return [&out, max_bytes](std::string value) -> Status {
    if (value.size() > max_bytes) {
      return fail(ErrorKind::kInvalid, "at most " + std::to_string(max_bytes) + " bytes");
    }
    out = std::move(value);
    return {};
  };
}

Take namespace_name(std::string& out) {
  return [&out](std::string value) -> Status {
    if (!value.empty() && !workload::is_dns_label(value)) {
      return fail(ErrorKind::kInvalid, "no name of a namespace");
    }
    out = std::move(value);
    return {};
  };
}

Take verdict(std::optional<Verdict>& out) {
  return [&out](const std::string& value) -> Status {
    out = parse_verdict(value);
    if (out || value.empty()) return {};
    return fail(ErrorKind::kInvalid, "no such state");
  };
}

// `search` in lower case.
bool matches(const StatusRow& row, const SlotsQuery& query, const std::string& search) {
  if (!query.ns.empty() && row.ns != query.ns) return false;
  if (!query.workload.empty() && row.workload != query.workload) return false;
  if (!query.slot.empty() && row.slot != query.slot) return false;
  if (query.verdict && row.verdict != *query.verdict) return false;
  if (search.empty()) return true;
  const std::string all =
      ascii_lower(row.ns + "/" + row.workload + "/" + row.slot + " " + row.image);
  return all.find(search) != std::string::npos;
}

// What is said of one registry, or of one namespace.
struct Tally {
  std::string name;
  std::size_t slots = 0;
  std::size_t unresolved = 0;
  std::string reason;  // of the last of these
  std::optional<registry::QuotaLeft> quota;
};

void count(Tally& tally, const StatusRow& row) {
  ++tally.slots;
  if (row.verdict != Verdict::kUnresolved) return;
  ++tally.unresolved;
  if (!row.reason.empty()) tally.reason = row.reason;
}

std::vector<Tally> values(std::map<std::string, Tally>&& tallies) {
  std::vector<Tally> out;
  for (auto& [name, tally] : tallies) {
    tally.name = name;
    out.push_back(std::move(tally));
  }
  return out;
}

Json to_json(const registry::QuotaLeft& quota) {
  Json out{{"left", quota.left}, {"seconds", quota.to_come.count()}};
  if (quota.limit > 0) out["limit"] = quota.limit;
  return out;
}

// Those first that have most to tell.
Json to_json(std::vector<Tally> tallies, bool& truncated) {
  std::ranges::stable_sort(tallies, [](const Tally& a, const Tally& b) {
    return std::pair(a.unresolved, a.slots) > std::pair(b.unresolved, b.slots);
  });
  truncated = truncated || tallies.size() > kMaxOverviewEntries;
  Json out = Json::array();
  for (const Tally& tally : tallies) {
    if (out.size() == kMaxOverviewEntries) break;
    Json entry{{"name", tally.name}, {"slots", tally.slots}, {"unresolved", tally.unresolved}};
    if (!tally.reason.empty()) entry["reason"] = tally.reason;
    if (tally.quota) entry["quota"] = to_json(*tally.quota);
    out.push_back(std::move(entry));
  }
  return out;
}

Json problems_of(const KnownRows& known, bool& truncated) {
  std::vector<CollectProblem> problems = known.status.problems;
  problems.insert(problems.end(), known.pods.begin(), known.pods.end());
  if (problems.size() > kMaxOverviewEntries) {
    truncated = true;
    problems.erase(problems.begin() + kMaxOverviewEntries, problems.end());
  }
  return to_json(problems);
}

// `rows` is a list of texts: a document of a page's rows would take ten times their memory.
std::string with_rows(const KnownRows& known, std::size_t total, const std::string& rows) {
  return "{\"generation\":\"" + known.generation + "\",\"total\":" + std::to_string(total) +
         ",\"rows\":[" + rows + "]}\n";
}

void append_row(std::string& rows, const Json& row) {
  if (!rows.empty()) rows += ',';
  rows += dumped(row);
}

}  // namespace

Result<SlotsQuery> parse_slots_query(std::string_view query) {
  SlotsQuery out;
  auto read = read_parameters(query, {{"offset", number(out.offset, 0, kMaxPageOffset)},
                                      {"limit", number(out.limit, 1, kMaxPageRows)},
                                      {"namespace", namespace_name(out.ns)},
                                      {"workload", text(out.workload, kMaxNameBytes)},
                                      {"slot", text(out.slot, kMaxNameBytes)},
                                      {"verdict", verdict(out.verdict)},
                                      {"q", text(out.search, kMaxSearchBytes)}});
  if (!read) return fail(read.error());
  return out;
}

Result<TimelineQuery> parse_timeline_query(std::string_view query) {
  TimelineQuery out;
  auto read = read_parameters(query, {{"limit", number(out.limit, 1, kMaxPageRows)}});
  if (!read) return fail(read.error());
  return out;
}

Status parse_no_query(std::string_view query) { return read_parameters(query, {}); }

std::string overview_json(const KnownRows& known) {
  std::map<std::string, std::size_t> verdicts;
  std::map<std::string, Tally> namespaces;
  std::map<std::string, Tally> registries;
  std::size_t workloads = 0;
  const StatusRow* before = nullptr;  // the rows of a workload stand together
  for (const StatusRow& row : known.status.rows) {
    ++verdicts[std::string(to_string(row.verdict))];
    count(namespaces[row.ns], row);
    if (before == nullptr || before->ns != row.ns || before->workload != row.workload) ++workloads;
    before = &row;
    if (const auto image = image::Reference::parse(row.image); image) {
      count(registries[image->registry()], row);
    }
  }
  for (const registry::QuotaLeft& quota : known.quotas) {
    // A mirror's name stands in no image, and so it is told of nowhere here.
    const auto found = registries.find(quota.registry);
    if (found != registries.end()) found->second.quota = quota;
  }
  bool truncated = false;
  Json out{{"version", build_version()},
           {"leading", true},
           {"generation", known.generation},
           {"ageSeconds", known.age.count()},
           {"workloads", workloads},
           {"slots", known.status.rows.size()},
           {"verdicts", verdicts}};
  out["namespaces"] = to_json(values(std::move(namespaces)), truncated);
  out["registries"] = to_json(values(std::move(registries)), truncated);
  out["problems"] = problems_of(known, truncated);
  out["truncated"] = truncated;
  return dumped(out) + "\n";
}

std::string slots_json(const KnownRows& known, const SlotsQuery& query) {
  const std::string search = ascii_lower(query.search);
  std::size_t total = 0;
  std::string rows;
  for (const StatusRow& row : known.status.rows) {
    if (!matches(row, query, search)) continue;
    if (total >= query.offset && total - query.offset < query.limit) {
      append_row(rows, to_json(row));
    }
    ++total;
  }
  return with_rows(known, total, rows);
}

std::string timeline_json(const KnownRows& known, const TimelineQuery& query) {
  std::vector<const StatusRow*> changed;
  for (const StatusRow& row : known.status.rows) {
    if (!row.since.empty()) changed.push_back(&row);
  }
  const std::size_t total = changed.size();
  // RFC 3339 times in UTC of one precision compare as text.
  std::ranges::stable_sort(changed, std::ranges::greater{},
                           [](const StatusRow* row) -> const std::string& { return row->since; });
  changed.resize(std::min(total, query.limit));
  std::string rows;
  for (const StatusRow* row : changed) {
    Json entry = to_json(*row);
    if (!row->rolled_from.empty()) entry["rolledFrom"] = row->rolled_from;
    append_row(rows, entry);
  }
  return with_rows(known, total, rows);
}

std::string events_text(const KnownRows& known) {
  return "retry: 2000\nid: " + known.generation + "\ndata: {\"generation\":\"" + known.generation +
         "\",\"ageSeconds\":" + std::to_string(known.age.count()) + "}\n\n";
}

}  // namespace tidemark::sweeper
