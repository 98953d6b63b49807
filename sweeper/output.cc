#include "sweeper/output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "sweeper/status_json.h"

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

// A value that may be a whole document.
std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return text;
  return cut(text, kShown) + "...";
}

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  return widths;
}

// As kubectl has it.
constexpr std::size_t kBetweenColumns = 3;

// Narrow terminals: leaves columns out, in this order, until all but the last, which is cut, fit.
void leave_out(std::vector<Row>& rows, const std::vector<std::string>& order, std::size_t width) {
  constexpr std::size_t kLastColumn = 16;
  for (const std::string& name : order) {
    const std::vector<std::size_t> widths = widths_of(rows);
    std::size_t needed = kLastColumn;
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) needed += widths[i] + kBetweenColumns;
    if (needed <= width) return;
    const auto column = std::ranges::find(rows.front(), name) - rows.front().begin();
    for (Row& row : rows) row.erase(row.begin() + column);
  }
}

// `shown`: for each row whether it is; all of them count for the widths.
std::string table(std::vector<Row> rows, std::size_t max_width = 0,
                  const std::vector<bool>* shown = nullptr) {
  for (Row& row : rows) {
    for (std::string& cell : row) cell = printable(std::move(cell));
  }
  const std::vector<std::size_t> widths = widths_of(rows);
  std::string out;
  for (std::size_t number = 0; number < rows.size(); ++number) {
    if (shown != nullptr && !(*shown)[number]) continue;
    const Row& row = rows[number];
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + kBetweenColumns, ' ');
    }
    if (max_width > 0) line = cut(line, max_width);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
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

// "sha256:...", with another tag "1.4.1@sha256:...".
std::string destination_text(const SlotPlan& slot) {
  if (slot.to_reference.empty()) return slot.to->str();
  return slot.to_reference.substr(slot.to_reference.rfind(':') + 1) + "@" + slot.to->str();
}

std::string state_of(const SlotPlan& slot, const RollOutcome* outcome) {
  if (slot.verdict == Verdict::kUpToDate) return "ok";
  if (slot.verdict == Verdict::kRoll) {
    if (outcome == nullptr) return "has to be updated to " + destination_text(slot);
    switch (outcome->kind) {
      case RollOutcome::Kind::kRolled:
        return "updated to " + destination_text(slot);
      case RollOutcome::Kind::kNotNeeded:
        return "changed meanwhile, not updated";
      case RollOutcome::Kind::kFailed:
        return "update failed: " + outcome->error->message;
    }
  }
  std::string text(to_string(slot.verdict));
  if (is_moved(slot.verdict)) text += ", not updated to " + destination_text(slot);
  if (!slot.reason.empty()) text += ": " + slot.reason;
  return text;
}

// A policy's lines as one: "numerical: asc; filter: ^main-".
std::string one_line(std::string_view policy) {
  std::string out;
  while (!policy.empty()) {
    const std::size_t end = std::min(policy.find('\n'), policy.size());
    if (const auto line = trimmed(policy.substr(0, end)); !line.empty()) {
      append_part(out, "; ", line);
    }
    policy.remove_prefix(std::min(end + 1, policy.size()));
  }
  return printable(std::move(out));
}

// "semver: ^1.2: 1.4.1, from 12 of 340 tags"
std::string policy_text(const FollowedPolicy& followed) {
  std::string out = one_line(followed.policy);
  if (followed.chosen.empty()) return out;
  return out + ": " + followed.chosen + ", from " + std::to_string(followed.fitting) + " of " +
         std::to_string(followed.tags) + " tags";
}

Json to_json(const SlotPlan& slot) {
  Json out{{"slot", slot.slot()}, {"image", slot.image()}, {"verdict", to_string(slot.verdict)}};
  if (!slot.reason.empty()) out["reason"] = slot.reason;
  if (slot.from()) out["stamp"] = slot.from()->str();
  if (slot.to) out["digest"] = slot.to->str();
  if (!slot.to_image.empty()) out["newImage"] = slot.to_image;
  if (slot.followed) {
    out["policy"] = slot.followed->policy;
    if (!slot.followed->chosen.empty()) out["chosenTag"] = slot.followed->chosen;
  }
  return out;
}

Json to_json(const WorkloadPlan& plan) {
  Json out{{"namespace", plan.ns()}, {"kind", plan.kind().kind}, {"name", plan.name()}};
  if (!plan.problems.empty()) out["problems"] = plan.problems;
  out["slots"] = Json::array();
  for (const SlotPlan& slot : plan.slots) out["slots"].push_back(to_json(slot));
  return out;
}

Json policies_json(const SweepReport& report) {
  Json out{{"policies", Json::array()}, {"problems", to_json(report.problems)}};
  for (const WorkloadPlan& plan : report.plans) {
    for (const SlotPlan& slot : plan.slots) {
      if (!slot.followed) continue;
      Json entry{{"namespace", plan.ns()}, {"kind", plan.kind().kind}, {"name", plan.name()}};
      entry.update(to_json(slot));
      entry["tags"] = slot.followed->tags;
      entry["fitting"] = slot.followed->fitting;
      out["policies"].push_back(std::move(entry));
    }
  }
  return out;
}

Json git_json(const GitReport& report) {
  Json out{{"policies", Json::array()}, {"repositories", Json::array()}};
  for (const ChosenImage& each : report.policies) {
    Json entry{
        {"name", each.policy.name}, {"policy", each.policy.policy}, {"image", each.policy.image}};
    if (each.choice) {
      entry["tag"] = each.choice->tag;
      entry["tags"] = each.choice->tags;
      entry["fitting"] = each.choice->fitting;
      if (!each.digest.empty()) entry["digest"] = each.digest;
    } else {
      entry["error"] = each.choice.error().message;
    }
    out["policies"].push_back(std::move(entry));
  }
  for (const GitOutcome& each : report.repositories) {
    Json entry{{"name", each.repository.name}, {"url", each.repository.remote.url}};
    if (!each.outcome) {
      entry["error"] = each.outcome.error().message;
      out["repositories"].push_back(std::move(entry));
      continue;
    }
    entry["branch"] = each.outcome->branch;
    entry["commit"] = each.outcome->commit;
    entry["server"] = each.outcome->said;
    entry["diff"] = each.outcome->diff;
    entry["troubles"] = each.outcome->troubles;
    entry["changes"] = Json::array();
    for (const gitops::FileChange& change : each.outcome->changes) {
      entry["changes"].push_back({{"file", change.file},
                                  {"line", change.change.line},
                                  {"policy", change.change.policy},
                                  {"object", change.change.object},
                                  {"from", change.change.before},
                                  {"to", change.change.after}});
    }
    out["repositories"].push_back(std::move(entry));
  }
  return out;
}

// What happened to one repository, in a line.
std::string git_state(const GitOutcome& of) {
  if (!of.outcome) return "failed: " + of.outcome.error().message;
  const auto changes = std::to_string(of.outcome->changes.size());
  if (!of.outcome->commit.empty()) {
    return "pushed " + of.outcome->commit.substr(0, 12) + " to " + of.outcome->branch + " (" +
           changes + " changes)";
  }
  if (!of.outcome->diff.empty()) {
    return "would push to " + of.outcome->branch + " (" + changes + " changes)";
  }
  return "ok";
}

Json explanation_json(const Explanation& told) {
  Json out = to_json(told.plan);
  if (!told.note.empty()) out["note"] = told.note;
  for (Json& slot : out["slots"]) {
    const std::string id = slot["slot"].get<std::string>();
    if (const auto used = told.credentials.find(id); used != told.credentials.end()) {
      slot["credential"] = used->second;
    }
    const auto of_slot = std::ranges::find(told.running, id, &RunningSlot::slot);
    if (of_slot != told.running.end()) slot["running"] = to_json(*of_slot);
  }
  return out;
}

std::string running_text(const RunningSlot& running) {
  const auto pods = [](std::size_t count) {
    return " (" + std::to_string(count) + (count == 1 ? " pod)" : " pods)");
  };
  std::string text;
  for (const auto& [digest, count] : running.pods) {
    append_part(text, ", ", digest.str() + pods(count));
  }
  if (running.without > 0) append_part(text, ", ", "not started" + pods(running.without));
  return text;
}

using OutcomeByWorkload = std::map<std::pair<std::string, std::string>, const RollOutcome*>;

OutcomeByWorkload by_workload(const std::vector<RollOutcome>& rolls) {
  OutcomeByWorkload out;
  for (const RollOutcome& roll : rolls) out[{roll.plan.ns(), roll.plan.label()}] = &roll;
  return out;
}

const RollOutcome* outcome_of(const OutcomeByWorkload& outcomes, const WorkloadPlan& plan) {
  const auto found = outcomes.find({plan.ns(), plan.label()});
  return found == outcomes.end() ? nullptr : found->second;
}

std::string unreadable_lines(const std::vector<CollectProblem>& problems) {
  std::string out;
  for (const CollectProblem& problem : problems) {
    out += "cannot be read: " + (problem.ns.empty() ? "" : problem.ns + " ") + problem.what + ": " +
           printable(problem.error.message) + "\n";
  }
  return out;
}

std::string report_table(const SweepReport& report) {
  const OutcomeByWorkload outcomes = by_workload(report.rolls);
  std::vector<Row> rows{{"NAMESPACE", "WORKLOAD", "SLOT", "IMAGE", "STATE"}};
  for (const WorkloadPlan& plan : report.plans) {
    const RollOutcome* outcome = outcome_of(outcomes, plan);
    for (const SlotPlan& slot : plan.slots) {
      rows.push_back({plan.ns(), plan.label(), slot.slot(), slot.image(), state_of(slot, outcome)});
    }
    for (const std::string& problem : plan.problems) {
      rows.push_back({plan.ns(), plan.label(), "-", "-", problem});
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
  out["problems"] = to_json(report.problems);
  out["referencesAsked"] = report.references_asked;
  out["referencesFailed"] = report.references_failed;
  out["milliseconds"] = report.took.count();
  return out;
}

std::string short_or_dash(const std::optional<image::Digest>& digest) {
  return digest ? std::string(digest->short_hex()) : "-";
}

// "3f1c9a7e2b40", or "3f1c9a7e2b40:2,9b2e01c4d5f6:1" where its pods differ.
std::string running_cell(const RunningSlot& running) {
  if (running.pods.empty()) return "-";
  if (running.pods.size() == 1) return std::string(running.pods.begin()->first.short_hex());
  std::string text;
  for (const auto& [digest, pods] : running.pods) {
    append_part(text, ",", std::string(digest.short_hex()) + ":" + std::to_string(pods));
  }
  return text;
}

// As kubectl writes an AGE: "45s", "12m", "5h", "3d".
std::string age_of(const std::string& since, WallTime now) {
  const auto time = parse_rfc3339(since);
  if (!time) return "-";
  using namespace std::chrono_literals;
  const auto age = std::max(now - *time, WallTime::duration::zero());
  const auto in = [age](auto unit, const char* name) { return std::to_string(age / unit) + name; };
  if (age < 2min) return in(1s, "s");
  if (age < 2h) return in(1min, "m");
  return age < 48h ? in(1h, "h") : in(24h, "d");
}

Json status_json(const ClusterStatus& status, const std::vector<bool>* shown) {
  Json out{{"slots", Json::array()}, {"problems", Json::array()}};
  for (std::size_t i = 0; i < status.rows.size(); ++i) {
    if (shown != nullptr && !(*shown)[i]) continue;
    out["slots"].push_back(to_json(status.rows[i]));
  }
  out["problems"] = to_json(status.problems);
  return out;
}

// Green: nothing to do; red: somebody has to look; yellow: moved, and not rolled for now.
const char* colour_of(const StatusRow& row) {
  switch (row.verdict) {
    case Verdict::kUpToDate:
      return row.reason.empty() ? "\x1b[32m" : "\x1b[31m";
    case Verdict::kUndo:
    case Verdict::kUnresolved:
    case Verdict::kUnreadable:
      return "\x1b[31m";
    default:
      return is_moved(row.verdict) ? "\x1b[33m" : "";
  }
}

// Whole lines: what a cell needs of width stays what it is.
std::string coloured(std::string_view text, const ClusterStatus& status,
                     const std::vector<bool>& printed) {
  std::string out;
  for (std::size_t line = 0; line < printed.size(); ++line) {
    if (!printed[line]) continue;
    const std::size_t end = text.find('\n');
    const char* colour = line == 0 ? "" : colour_of(status.rows[line - 1]);
    out += colour;
    out += text.substr(0, end);
    if (*colour != '\0') out += "\x1b[0m";
    out += "\n";
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string found_text(const Migration& change) {
  if (change.place == "image") return change.key + ": " + change.found;
  return std::string(change.place) + " " + change.key + ": " + shortened(change.found);
}

std::string change_text(const Migration& change) {
  switch (change.action) {
    case Migration::Action::kNone:
      return "-";
    case Migration::Action::kWrite:
      return change.target + ": " + change.value;
    case Migration::Action::kRemove:
      return "remove " + std::string(change.place) + " " + change.key;
    case Migration::Action::kByHand:
      return "manifest: " + change.value;
    case Migration::Action::kUnpin:
      return "image: " + change.value;
  }
  return "-";
}

// Of one finding: what is (to be) done about it.
std::string_view progress_of(const MigrationPlan& plan, const Migration& change) {
  if (change.action == Migration::Action::kByHand) return "by hand";
  if (!change.writes()) return "-";
  if (plan.error) return "failed";
  return plan.written ? "written" : "to write";
}

std::string counted(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

std::string migration_summary(const MigrationReport& report) {
  const std::size_t left = report.left();
  const std::size_t pins = report.pins();
  std::string out;
  if (left > 0) out += counted(left, "change") + " to write: --apply writes what is named so\n";
  if (pins > 0) out += counted(pins, "pinned image") + ": change their manifests\n";
  return out.empty() ? "nothing is left to do\n" : out;
}

std::string migration_table(const MigrationReport& report) {
  std::vector<Row> rows{{"NAMESPACE", "WORKLOAD", "FROM", "FOUND", "CHANGE", "STATE", "NOTE"}};
  for (const MigrationPlan& plan : report.plans) {
    for (const Migration& change : plan.changes) {
      const bool failed = change.writes() && plan.error;
      rows.push_back({plan.ns, plan.label, std::string(to_string(change.from)), found_text(change),
                      change_text(change), std::string(progress_of(plan, change)),
                      failed ? plan.error->message : change.note});
    }
  }
  for (const CollectProblem& problem : report.problems) {
    rows.push_back({problem.ns.empty() ? "-" : problem.ns, problem.what, "-", "-", "-", "-",
                    "cannot be read: " + problem.error.message});
  }
  return (rows.size() == 1 ? "" : table(std::move(rows))) + migration_summary(report);
}

Json to_json(const MigrationPlan& plan, const Migration& change) {
  Json out{{"namespace", plan.ns},
           {"workload", plan.label},
           {"from", to_string(change.from)},
           {"place", change.place},
           {"key", change.key},
           {"found", change.found},
           {"action", to_string(change.action)}};
  if (!change.target.empty()) out["annotation"] = change.target;
  if (!change.value.empty()) out["value"] = change.value;
  out["state"] = progress_of(plan, change);
  if (!change.note.empty()) out["note"] = change.note;
  if (change.writes() && plan.error) out["error"] = plan.error->message;
  return out;
}

Json migration_json(const MigrationReport& report) {
  Json out{{"changes", Json::array()}, {"problems", Json::array()}};
  for (const MigrationPlan& plan : report.plans) {
    for (const Migration& change : plan.changes) out["changes"].push_back(to_json(plan, change));
  }
  out["problems"] = to_json(report.problems);
  out["left"] = report.left();
  out["pins"] = report.pins();
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

std::string print_policies(const SweepReport& report, Format format) {
  if (format != Format::kTable) return serialise(policies_json(report), format);
  std::vector<Row> rows{
      {"NAMESPACE", "WORKLOAD", "SLOT", "POLICY", "IMAGE", "TAG", "FITTING", "STATE", "REASON"}};
  for (const WorkloadPlan& plan : report.plans) {
    for (const SlotPlan& slot : plan.slots) {
      if (!slot.followed) continue;
      const FollowedPolicy& followed = *slot.followed;
      const bool listed = !followed.chosen.empty();
      rows.push_back(
          {plan.ns(), plan.label(), slot.slot(), one_line(followed.policy), slot.image(),
           listed ? followed.chosen : "-",
           listed ? std::to_string(followed.fitting) + " of " + std::to_string(followed.tags) : "-",
           slot.verdict == Verdict::kUpToDate ? "ok" : std::string(to_string(slot.verdict)),
           slot.reason});
    }
  }
  return table(std::move(rows)) + unreadable_lines(report.problems);
}

std::string print_git(const GitReport& report, Format format) {
  if (format != Format::kTable) return serialise(git_json(report), format);
  std::vector<Row> policies{{"NAME", "POLICY", "IMAGE", "TAG", "FITTING", "REASON"}};
  for (const ChosenImage& each : report.policies) {
    const bool chosen = each.choice.has_value();
    policies.push_back(
        {each.policy.name, one_line(each.policy.policy), each.policy.image,
         chosen ? each.choice->tag : "-",
         chosen ? std::to_string(each.choice->fitting) + " of " + std::to_string(each.choice->tags)
                : "-",
         chosen ? "" : each.choice.error().message});
  }
  std::vector<Row> repositories{{"REPOSITORY", "URL", "STATE"}};
  std::string more;
  for (const GitOutcome& each : report.repositories) {
    repositories.push_back({each.repository.name, each.repository.remote.url, git_state(each)});
    if (!each.outcome) continue;
    for (const std::string& trouble : each.outcome->troubles) {
      more += each.repository.name + ": " + printable(trouble) + "\n";
    }
    for (std::string_view said = each.outcome->said; !said.empty();) {
      const std::size_t end = std::min(said.find('\n'), said.size());
      const std::string_view line = trimmed(said.substr(0, end));
      if (!line.empty())
        more += each.repository.name + ": remote: " + printable(std::string(line)) + "\n";
      said.remove_prefix(std::min(end + 1, said.size()));
    }
    more += each.outcome->diff;
  }
  return table(std::move(policies)) + table(std::move(repositories)) + more;
}

std::string print_explanation(const Explanation& told, Format format) {
  const WorkloadPlan& plan = told.plan;
  if (format != Format::kTable) return serialise(explanation_json(told), format);
  if (!told.note.empty())
    return plan.ns() + " " + plan.label() + ": " + printable(told.note) + "\n";
  std::string out = plan.ns() + " " + plan.label() + "\n";
  for (const std::string& problem : plan.problems)
    out += "  problem:    " + printable(problem) + "\n";
  for (const SlotPlan& slot : plan.slots) {
    out += "  " + slot.slot() + ": " + printable(slot.image()) + "\n";
    if (slot.followed) out += "    policy:     " + policy_text(*slot.followed) + "\n";
    out += "    stamp:      " + (slot.from() ? slot.from()->digest().str() : "none") + "\n";
    out += "    registry:   " + (slot.to ? slot.to->str() : "not known") + "\n";
    if (const auto used = told.credentials.find(slot.slot()); used != told.credentials.end()) {
      out += "    credential: " + (used->second.empty() ? "none" : printable(used->second)) + "\n";
    }
    const auto of_slot = std::ranges::find(told.running, slot.slot(), &RunningSlot::slot);
    if (of_slot != told.running.end()) out += "    running:    " + running_text(*of_slot) + "\n";
    out += "    verdict:    " + std::string(to_string(slot.verdict)) +
           (slot.reason.empty() ? "" : " (" + printable(slot.reason) + ")") + "\n";
    if (!slot.to_image.empty()) out += "    image:      would become " + slot.to_image + "\n";
  }
  return out;
}

std::string print_order(const OrderOutcome& outcome, Format format) {
  if (format != Format::kTable) {
    return serialise(Json{{"target", outcome.target},
                          {"change", outcome.change},
                          {"dryRun", outcome.dry_run},
                          {"stillHeld", outcome.still_held}},
                     format);
  }
  std::string out = outcome.target + " " + outcome.change +
                    (outcome.dry_run && outcome.change != "unchanged" ? " (dry run)" : "") + "\n";
  for (const std::string& order : outcome.still_held) {
    out += "still held: " + printable(order) + "\n";
  }
  return out;
}

std::string print_status(const ClusterStatus& status, Format format, WallTime now,
                         const Terminal& terminal, const std::vector<bool>* shown) {
  if (format != Format::kTable) return serialise(status_json(status, shown), format);
  std::vector<Row> rows;
  std::vector<bool> printed{shown == nullptr};
  rows.push_back({"NAMESPACE", "WORKLOAD", "SLOT", "IMAGE", "STAMPED", "REGISTRY", "RUNNING",
                  "STATE", "SINCE", "REASON"});
  for (const StatusRow& row : status.rows) {
    printed.push_back(shown == nullptr || (*shown)[printed.size() - 1]);
    rows.push_back({row.ns, row.workload, row.slot, row.image, short_or_dash(row.stamped),
                    short_or_dash(row.registry), running_cell(row.running),
                    row.verdict == Verdict::kUpToDate ? "ok" : std::string(to_string(row.verdict)),
                    age_of(row.since, now), row.reason});
  }
  if (terminal.width > 0) {
    leave_out(rows, {"RUNNING", "STAMPED", "REGISTRY", "IMAGE", "SINCE"}, terminal.width);
  }
  std::string out = table(std::move(rows), terminal.width, &printed);
  if (terminal.colours) out = coloured(out, status, printed);
  if (shown != nullptr) return out;
  return out + unreadable_lines(status.problems);
}

std::string print_migration(const MigrationReport& report, Format format) {
  return format == Format::kTable ? migration_table(report)
                                  : serialise(migration_json(report), format);
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
