#include "sweeper/guarded_patch.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/json_text.h"
#include "workload/annotations.h"

namespace tidemark::sweeper {
namespace {

using workload::StringMap;

constexpr const char* kMetadata = "/metadata";
// It meets a controller's write only by chance; five times in a row is no chance.
constexpr int kMaxTries = 5;

// A string map of the metadata at `metadata`.
struct MapPlace {
  std::string metadata;
  bool metadata_exists = true;
  std::string_view map;  // "annotations", "labels"
  bool map_exists = true;
};

void change_guarded(workload::JsonPatch& patch, const MapPlace& place, const StringMap& current,
                    const StringMap& wanted) {
  const std::string pointer = (place.metadata + "/").append(place.map);
  if (!place.metadata_exists) {
    patch.test(place.metadata, "null");
  } else if (!place.map_exists) {
    patch.test(pointer, "null");
  } else {
    const auto pin = [&](const std::string& key) {
      const auto old = current.find(key);
      const auto next = wanted.find(key);
      const bool had = old != current.end();
      if (had && next != wanted.end() && old->second == next->second) return;
      patch.test(pointer + "/" + workload::escape_pointer_token(key),
                 had ? stored_string(old->second) : "null");
    };
    for (const auto& [key, value] : current) pin(key);
    for (const auto& [key, value] : wanted) {
      if (!current.contains(key)) pin(key);
    }
  }
  patch.change_map(pointer, place.metadata_exists, place.map_exists, current, wanted);
}

}  // namespace

std::string stored_string(std::string_view text) {
  static constexpr std::string_view kLineSeparator = "\xe2\x80\xa8";       // U+2028
  static constexpr std::string_view kParagraphSeparator = "\xe2\x80\xa9";  // U+2029
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    const auto c = static_cast<unsigned char>(text[i]);
    if (rest.starts_with(kLineSeparator) || rest.starts_with(kParagraphSeparator)) {
      out += rest.starts_with(kLineSeparator) ? "\\u2028" : "\\u2029";
      i += kLineSeparator.size() - 1;
    } else if (c == '"' || c == '\\') {
      (out += '\\') += text[i];
    } else if (const auto known = std::string_view("\b\f\n\r\t").find(text[i]);
               known != std::string_view::npos) {
      (out += '\\') += std::string_view("bfnrt")[known];
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      ((out += "\\u00") += kHex[c >> 4U]) += kHex[c & 0xfU];
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

workload::JsonPatch patch_of(const workload::Object& object) {
  workload::JsonPatch patch;
  patch.test("/metadata/uid", stored_string(object.uid));
  return patch;
}

void change_annotations(workload::JsonPatch& patch, const workload::Object& object,
                        const workload::StringMap& wanted) {
  change_guarded(
      patch, {.metadata = kMetadata, .map = "annotations", .map_exists = object.has_annotations},
      object.annotations, wanted);
}

void change_labels(workload::JsonPatch& patch, const workload::Object& object,
                   const workload::StringMap& wanted) {
  change_guarded(patch,
                 {.metadata = kMetadata, .map = "labels", .map_exists = !object.labels.empty()},
                 object.labels, wanted);
}

void change_template_annotations(workload::JsonPatch& patch, const workload::Object& object,
                                 const workload::StringMap& wanted) {
  const workload::PodTemplate& pod_template = object.pod_template;
  change_guarded(patch,
                 {.metadata = object.kind->template_pointer + kMetadata,
                  .metadata_exists = pod_template.has_metadata,
                  .map = "annotations",
                  .map_exists = pod_template.has_annotations},
                 pod_template.annotations, wanted);
}

bool put_history(workload::StringMap& annotations, std::vector<workload::HistoryEntry> history) {
  while (true) {
    workload::set_or_erase(annotations, workload::kHistoryKey,
                           history.empty() ? "" : workload::dump_history(history));
    if (workload::annotations_bytes(annotations) <= workload::kMaxAnnotationsBytes) return true;
    if (history.empty()) return false;
    history.pop_back();
  }
}

const workload::Slot* slot_of(const workload::PodTemplate& pod_template, std::string_view id) {
  const auto found = std::ranges::find(pod_template.slots, id, &workload::Slot::id);
  return found == pod_template.slots.end() ? nullptr : &*found;
}

void change_image(workload::JsonPatch& patch, const workload::Kind& kind,
                  const workload::Slot& slot, std::string_view image) {
  const std::string pointer = slot.image_pointer(kind);
  patch.test(slot.pointer(kind) + "/name", stored_string(slot.name));
  patch.test(pointer, stored_string(slot.image));
  if (!image.empty() && image != slot.image) patch.replace(pointer, json_quote(image));
}

Result<Patched> patch_guarded(kube::Api& api, const std::string& path, const workload::Kind& kind,
                              const PatchMaker& make, const kube::PatchOptions& options,
                              const std::stop_token& stop) {
  Error last;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const auto text = api.get(path, Deadline::after(kWriteDeadline), stop);
    if (!text) return fail(text.error());
    auto object = workload::parse_object(*text, kind);
    if (!object) return fail(object.error());
    const auto patch = make(*object);
    if (!patch) return fail(patch.error());
    if (!*patch || options.dry_run) return Patched{std::move(*object), patch->has_value()};
    const auto stored =
        api.patch(path, (*patch)->str(), options, Deadline::after(kWriteDeadline), stop);
    if (stored) {
      object = workload::parse_object(*stored, kind);
      if (!object) return fail(object.error());
      return Patched{std::move(*object), /*changed=*/true};
    }
    last = stored.error();
    if (last.kind != ErrorKind::kConflict) return fail(last);
  }
  return fail(last);
}

Result<Patched> annotate(kube::Api& api, const std::string& path, const workload::Kind& kind,
                         const AnnotationChange& change, bool dry_run,
                         const std::stop_token& stop) {
  const auto make =
      [&](const workload::Object& object) -> Result<std::optional<workload::JsonPatch>> {
    const auto wanted = change(object);
    if (!wanted) return fail(wanted.error());
    if (*wanted == object.annotations) return std::nullopt;
    workload::JsonPatch patch = patch_of(object);
    change_annotations(patch, object, *wanted);
    return patch;
  };
  // As the sweeper's: admission gives Tidemark's records back to all other writers.
  return patch_guarded(api, path, kind, make,
                       {.field_manager = std::string(workload::kStampWriter), .dry_run = dry_run},
                       stop);
}

}  // namespace tidemark::sweeper
