#include "sweeper/output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace tidemark::sweeper {
namespace {

// Keys in the order in which they were written: people read this too.
using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

// Names and messages come from users and registries: no control byte reaches a terminal.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string table(std::vector<Row> rows) {
  for (Row& row : rows) {
    for (std::string& cell : row) cell = printable(std::move(cell));
  }
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      // As kubectl does it: three spaces between columns, none at the end.
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 3, ' ');
    }
    out += '\n';
  }
  return out;
}

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, item);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const Json& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    // Quoted always: "on" and "1.20" stay what they are.
    out << YAML::DoubleQuoted << value.get<std::string>();
  } else {
    out << value.dump();
  }
}

std::string serialise(const Json& value, Format format) {
  if (format == Format::kJson) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  YAML::Emitter out;
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

std::string state_of(const SlotPlan& slot, const RollOutcome* outcome) {
  if (slot.verdict == Verdict::kUpToDate) return "ok";
  if (slot.verdict == Verdict::kRoll) {
    if (outcome == nullptr) return "has to be updated to " + slot.to->str();
    switch (outcome->kind) {
      case RollOutcome::Kind::kRolled:
        return "updated to " + slot.to->str();
      case RollOutcome::Kind::kNotNeeded:
        return "changed meanwhile, not updated";
      case RollOutcome::Kind::kFailed:
        return "update failed: " + outcome->error->message;
    }
  }
  std::string text(to_string(slot.verdict));
  if (is_moved(slot.verdict)) text += ", not updated to " + slot.to->str();
  if (!slot.reason.empty()) text += ": " + slot.reason;
  return text;
}

Json to_json(const SlotPlan& slot) {
  Json out{{"slot", slot.slot}, {"image", slot.image}, {"verdict", to_string(slot.verdict)}};
  if (!slot.reason.empty()) out["reason"] = slot.reason;
  if (slot.from) out["stamp"] = slot.from->str();
  if (slot.to) out["digest"] = slot.to->str();
  if (!slot.to_image.empty()) out["newImage"] = slot.to_image;
  return out;
}

Json to_json(const WorkloadPlan& plan) {
  Json out{{"namespace", plan.ns}, {"kind", plan.kind->kind}, {"name", plan.name}};
  if (!plan.problems.empty()) out["problems"] = plan.problems;
  out["slots"] = Json::array();
  for (const SlotPlan& slot : plan.slots) out["slots"].push_back(to_json(slot));
  return out;
}

using OutcomeByWorkload = std::map<std::pair<std::string, std::string>, const RollOutcome*>;

OutcomeByWorkload by_workload(const std::vector<RollOutcome>& rolls) {
  OutcomeByWorkload out;
  for (const RollOutcome& roll : rolls) out[{roll.plan.ns, roll.plan.label}] = &roll;
  return out;
}

const RollOutcome* outcome_of(const OutcomeByWorkload& outcomes, const WorkloadPlan& plan) {
  const auto found = outcomes.find({plan.ns, plan.label});
  return found == outcomes.end() ? nullptr : found->second;
}

std::string report_table(const SweepReport& report) {
  const OutcomeByWorkload outcomes = by_workload(report.rolls);
  std::vector<Row> rows{{"NAMESPACE", "WORKLOAD", "SLOT", "IMAGE", "STATE"}};
  for (const WorkloadPlan& plan : report.plans) {
    const RollOutcome* outcome = outcome_of(outcomes, plan);
    for (const SlotPlan& slot : plan.slots) {
      rows.push_back({plan.ns, plan.label, slot.slot, slot.image, state_of(slot, outcome)});
    }
    for (const std::string& problem : plan.problems) {
      rows.push_back({plan.ns, plan.label, "-", "-", problem});
    }
  }
  for (const CollectProblem& problem : report.problems) {
    rows.push_back({problem.ns.empty() ? "-" : problem.ns, problem.what, "-", "-",
                    "cannot be read: " + problem.error.message});
  }
  return table(std::move(rows));
}

Json report_json(const SweepReport& report) {
  const OutcomeByWorkload outcomes = by_workload(report.rolls);
  Json out{{"workloads", Json::array()}, {"problems", Json::array()}};
  for (const WorkloadPlan& plan : report.plans) {
    Json entry = to_json(plan);
    if (const RollOutcome* outcome = outcome_of(outcomes, plan); outcome != nullptr) {
      entry["outcome"] = to_string(outcome->kind);
      if (outcome->error) entry["error"] = outcome->error->message;
    }
    out["workloads"].push_back(std::move(entry));
  }
  for (const CollectProblem& problem : report.problems) {
    out["problems"].push_back(
        {{"namespace", problem.ns}, {"what", problem.what}, {"error", problem.error.message}});
  }
  out["referencesAsked"] = report.references_asked;
  out["referencesFailed"] = report.references_failed;
  out["milliseconds"] = report.took.count();
  return out;
}

}  // namespace

Result<Format> parse_format(std::string_view name) {
  if (name == "table") return Format::kTable;
  if (name == "json") return Format::kJson;
  if (name == "yaml") return Format::kYaml;
  return fail(ErrorKind::kInvalid,
              "unknown output format \"" + std::string(name) + "\" (table, json, yaml)");
}

std::string print_report(const SweepReport& report, Format format) {
  return format == Format::kTable ? report_table(report) : serialise(report_json(report), format);
}

std::string print_explanation(const WorkloadPlan& plan, Format format) {
  if (format != Format::kTable) return serialise(to_json(plan), format);
  std::string out = plan.ns + " " + plan.label + "\n";
  for (const std::string& problem : plan.problems)
    out += "  problem:  " + printable(problem) + "\n";
  for (const SlotPlan& slot : plan.slots) {
    out += "  " + slot.slot + ": " + printable(slot.image) + "\n";
    out += "    stamp:    " + (slot.from ? slot.from->digest().str() : "none") + "\n";
    out += "    registry: " + (slot.to ? slot.to->str() : "not known") + "\n";
    out += "    verdict:  " + std::string(to_string(slot.verdict)) +
           (slot.reason.empty() ? "" : " (" + printable(slot.reason) + ")") + "\n";
    if (!slot.to_image.empty()) out += "    image:    would become " + slot.to_image + "\n";
  }
  return out;
}

std::string print_history(const std::vector<workload::HistoryEntry>& entries, Format format) {
  if (format == Format::kTable) {
    std::vector<Row> rows{{"TIME", "SLOT", "WHY", "FROM", "TO", "BY"}};
    for (const workload::HistoryEntry& entry : entries) {
      rows.push_back({entry.time, entry.slot, entry.why, entry.from.empty() ? "-" : entry.from,
                      entry.to, entry.by});
    }
    return table(std::move(rows));
  }
  Json out = Json::array();
  for (const workload::HistoryEntry& entry : entries) {
    out.push_back({{"time", entry.time},
                   {"slot", entry.slot},
                   {"from", entry.from},
                   {"to", entry.to},
                   {"why", entry.why},
                   {"by", entry.by}});
  }
  return serialise(out, format);
}

}  // namespace tidemark::sweeper
