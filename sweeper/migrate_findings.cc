#include "sweeper/migrate_findings.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "workload/annotations.h"

namespace tidemark::sweeper {
namespace {

std::optional<std::string_view> said(const workload::Metadata& metadata, std::string_view key) {
  for (const workload::StringMap* map : {&metadata.annotations, &metadata.labels}) {
    if (const auto found = map->find(key); found != map->end()) return found->second;
  }
  return std::nullopt;
}

std::string setting(std::string_view key, std::string_view value) {
  return std::string(key) + ": " + brief_quote(value);
}

}  // namespace

void Findings::tell(Migration finding, std::string_view note) {
  finding.note = note;
  found_.push_back(std::move(finding));
}

void Findings::write(Migration finding, std::string_view key, std::string_view value) {
  const workload::Metadata own{.annotations = object_.annotations, .labels = object_.labels};
  const auto of_object = said(own, key);
  if (const auto user = of_object ? of_object : said(ns_, key); user) {
    if (*user == value) return;
    return tell(std::move(finding), setting(key, *user) + " is set" +
                                        (of_object ? "" : " on the namespace") + ", and stands");
  }
  const auto same = std::ranges::find_if(found_, [&](const Migration& other) {
    return other.action == Migration::Action::kWrite && other.target == key;
  });
  if (same != found_.end()) {
    if (same->value == value) return;
    return tell(std::move(finding), setting(key, same->value) + " follows from " +
                                        std::string(to_string(same->from)) + "'s");
  }
  finding.action = Migration::Action::kWrite;
  finding.target = key;
  finding.value = value;
  found_.push_back(std::move(finding));
}

void Findings::remove(Migration finding) {
  if (!request_.remove) return;
  finding.action = Migration::Action::kRemove;
  finding.note.clear();
  found_.push_back(std::move(finding));
}

bool Findings::has_pins_of(Peer peer) const {
  return std::ranges::any_of(found_, [&](const Migration& finding) {
    return finding.from == peer && finding.place == "image" &&
           finding.action != Migration::Action::kUnpin;
  });
}

bool is_digester_on(const workload::Metadata& ns) {
  return workload::value_of(ns.labels, kDigesterLabel) == "enabled";
}

}  // namespace tidemark::sweeper
