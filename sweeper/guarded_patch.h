// Patches of objects that others write too: what is changed is tested first.
//
// Purpose: the one place that knows how the API server compares a `test`. A concurrent edit makes
// such a patch fail (422 without causes), it is never overwritten. Thread-safety: pure functions,
// but for annotate() and patch_guarded(), which work over a thread-safe Api. Errors: those of the
// API. Source: RFC 6902; `replace` of a missing key answers 200 at the API server: hence a `test`
// before every change (of a missing key: for null).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/api.h"
#include "workload/json_patch.h"
#include "workload/object.h"
#include "workload/records.h"

namespace tidemark::sweeper {

// Of one write. Longer than the API server waits for one admission webhook (timeoutSeconds: at most
// 30).
inline constexpr std::chrono::seconds kWriteDeadline{35};

// `text` as the API server itself writes it in JSON. Its patch library compares the two strings of
// a `test` as bytes, before it decodes them, and Go's encoding/json escapes what others do not: a
// value with ">" would never equal itself (gopkg.in/evanphx/json-patch.v4, lazyNode.equal).
std::string stored_string(std::string_view text);

// A patch of `object`, and of no other that bears its name later.
workload::JsonPatch patch_of(const workload::Object& object);

// Brings the object's own annotations or labels, or its template's annotations, to `wanted`, with a
// `test` for every key that differs.
void change_annotations(workload::JsonPatch& patch, const workload::Object& object,
                        const workload::StringMap& wanted);
void change_labels(workload::JsonPatch& patch, const workload::Object& object,
                   const workload::StringMap& wanted);
void change_template_annotations(workload::JsonPatch& patch, const workload::Object& object,
                                 const workload::StringMap& wanted);

// Writes `history` into `annotations`, as much of it as their bound leaves room for: the oldest
// entries give way (stamp contract, rule 8). False: there is no room even without any.
bool put_history(workload::StringMap& annotations, std::vector<workload::HistoryEntry> history);

// By Slot::id(); nullptr where there is none.
const workload::Slot* slot_of(const workload::PodTemplate& pod_template, std::string_view id);
// Tests that the slot at its place is still this one, with this image; `image`: what is written in
// its place, "" for nothing.
void change_image(workload::JsonPatch& patch, const workload::Kind& kind,
                  const workload::Slot& slot, std::string_view image);

// What is to change on an object, as it was just read; nullopt: nothing.
using PatchMaker =
    std::function<Result<std::optional<workload::JsonPatch>>(const workload::Object&)>;

struct Patched {
  workload::Object object;  // as it is stored now
  bool changed = false;     // or, in a dry run, would be
};

// Reads the object at `path` and sends what `make` makes of it; anew where somebody else wrote it
// meanwhile. Errors: those of the API and of `make`.
Result<Patched> patch_guarded(kube::Api& api, const std::string& path, const workload::Kind& kind,
                              const PatchMaker& make, const kube::PatchOptions& options,
                              const std::stop_token& stop);

// The annotations that an object is to have.
using AnnotationChange = std::function<Result<workload::StringMap>(const workload::Object&)>;

// patch_guarded() of the object's own annotations, as the sweeper.
Result<Patched> annotate(kube::Api& api, const std::string& path, const workload::Kind& kind,
                         const AnnotationChange& change, bool dry_run, const std::stop_token& stop);

}  // namespace tidemark::sweeper
