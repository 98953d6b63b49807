#include "sweeper/ask_sweeper.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>

#include "kube/lease.h"
#include "net/http.h"
#include "sweeper/live_status.h"
#include "sweeper/status_json.h"

namespace tidemark::sweeper {
namespace {

// "<port>/<key>" as a path of the pod's proxy.
Result<std::string> proxy_path(const std::string& ns, const kube::LeaseHolder& leader) {
  const auto found = leader.annotations.find(kStatusAnnotation);
  if (found == leader.annotations.end()) {
    return fail(ErrorKind::kNotFound, leader.identity + " leads, and does not answer status");
  }
  const std::string& where = found->second;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(where.data(), where.data() + where.size(), port);
  const auto slash = static_cast<std::size_t>(end - where.data());
  if (error != std::errc() || slash >= where.size() || where[slash] != '/') {
    return fail(ErrorKind::kInvalid,
                std::string(kStatusAnnotation) + " of the Lease is no address");
  }
  return kube::resource_path("v1", "pods", ns) + "/http:" + net::percent_encode(leader.identity) +
         ":" + std::to_string(port) + "/proxy" + std::string(kStatusPath) +
         net::percent_encode(where.substr(slash + 1));
}

bool is_narrower(const Selection& part, const Selection& whole) {
  return part.label_selector != whole.label_selector || part.field_selector != whole.field_selector;
}

}  // namespace

Result<SweeperStatus> ask_sweeper(kube::Api& api, const std::string& system_namespace,
                                  const Selection& selection, Deadline deadline,
                                  const std::stop_token& stop) {
  const auto leader =
      kube::read_lease(api, system_namespace, std::string(kLeaseName), deadline, stop);
  if (!leader) return fail(within("who leads is not known", leader.error()));
  auto path = proxy_path(system_namespace, *leader);
  if (!path) return fail(path.error());
  char separator = '?';
  for (const std::string& ns : selection.namespaces) {
    *path += separator + ("namespace=" + net::percent_encode(ns));
    separator = '&';
  }
  const auto text = api.get(*path, deadline, stop);
  if (!text) return fail(within(leader->identity, text.error()));
  auto answer = decode_answer(*text);
  if (!answer) return fail(within(leader->identity, answer.error()));
  if (!covers(answer->selection, selection)) {
    return fail(
        ErrorKind::kConflict,
        leader->identity + ": its namespaces and selectors leave out some of what is asked");
  }
  return answer;
}

Status is_recent(const SweeperStatus& answer) {
  if (answer.age > kRecent) {
    return fail(ErrorKind::kConflict,
                "its last sweep was " + std::to_string(answer.age.count()) + " s ago");
  }
  if (answer.unasked > 0) {
    return fail(ErrorKind::kConflict,
                std::to_string(answer.unasked) + " slots are newer than its last sweep");
  }
  return {};
}

Status narrow(SweeperStatus& answer, kube::Api& api, const workload::KindTable& kinds,
              const Selection& selection, const std::stop_token& stop) {
  std::erase_if(answer.status.rows, [&](const StatusRow& row) {
    return std::ranges::find(selection.excluded, row.ns) != selection.excluded.end();
  });
  if (!is_narrower(selection, answer.selection)) return {};
  std::set<std::pair<std::string, std::string>> selected;
  const auto take = [&](const workload::Object& object) {
    selected.emplace(object.ns, object_label(*object.kind, object.name));
  };
  Collection listed;
  if (auto seen = visit_rollable(api, kinds, selection, take, listed, stop); !seen) return seen;
  std::erase_if(answer.status.rows, [&](const StatusRow& row) {
    return !selected.contains({row.ns, row.workload});
  });
  std::ranges::move(listed.problems, std::back_inserter(answer.status.problems));
  return {};
}

}  // namespace tidemark::sweeper
