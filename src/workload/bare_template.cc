// Two passes. The first finds both templates as spans of text, at the speed of simdjson's scanner;
// equal bytes need no second. The second parses the two spans and walks them together, with `Part`
// saying where in the template the walk is: three places are not compared as they stand (metadata,
// annotations, images), everything else is.

#include "workload/bare_template.h"

#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "workload/object.h"
#include "workload/pointer.h"

namespace tidemark::workload {
namespace {

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;
using dom::element_type;

// The API's own pod template nests to about 15 levels. It bounds the recursion of the walk, too:
// connection threads have small stacks.
constexpr std::size_t kMaxDepth = 64;

struct Malformed {
  std::string_view reason;
};

enum class Part {
  kTemplate,
  kMetadata,
  kAnnotations,
  kLabels,
  kPodSpec,
  kContainers,
  kContainer,
  kVolumes,
  kVolume,
  kVolumeImage,
  kImage,
  kOther
};

Part part_of_field(Part part, std::string_view key) {
  switch (part) {
    case Part::kTemplate:
      if (key == "metadata") return Part::kMetadata;
      return key == "spec" ? Part::kPodSpec : Part::kOther;
    case Part::kMetadata:
      if (key == "annotations") return Part::kAnnotations;
      return key == "labels" ? Part::kLabels : Part::kOther;
    case Part::kPodSpec:
      if (key == "containers" || key == "initContainers") return Part::kContainers;
      return key == "volumes" ? Part::kVolumes : Part::kOther;
    case Part::kContainer:
      return key == "image" ? Part::kImage : Part::kOther;
    case Part::kVolume:
      return key == "image" ? Part::kVolumeImage : Part::kOther;
    case Part::kVolumeImage:
      return key == "reference" ? Part::kImage : Part::kOther;
    default:
      return Part::kOther;
  }
}

Part part_of_element(Part part) {
  if (part == Part::kContainers) return Part::kContainer;
  return part == Part::kVolumes ? Part::kVolume : Part::kOther;
}

using Member = std::pair<std::string_view, dom::element>;

// An object's members that count, sorted by key.
std::vector<Member> members(dom::object object, Part part);

// What is as good as absent: null, and metadata, annotations and labels with nothing in them.
bool is_nothing(dom::element value, Part part) {
  if (value.is_null()) return true;
  const bool map_like =
      part == Part::kMetadata || part == Part::kAnnotations || part == Part::kLabels;
  return map_like && value.is_object() && members(value.get_object(), part).empty();
}

std::vector<Member> members(dom::object object, Part part) {
  std::vector<Member> out;
  for (const auto [key, value] : object) {
    if (part == Part::kAnnotations && is_stamp_key(key)) continue;
    if (!is_nothing(value, part_of_field(part, key))) out.emplace_back(key, value);
  }
  std::ranges::sort(out, {}, &Member::first);
  // Parsers differ in which of two equal keys they believe.
  if (std::ranges::adjacent_find(out, {}, &Member::first) != out.end()) {
    throw Malformed{"a key is given twice"};
  }
  return out;
}

class Comparison {
 public:
  explicit Comparison(const std::map<std::string, Stamp>& old_stamps) : old_stamps_(old_stamps) {}

  bool same(dom::element a, dom::element b, Part part) {
    if (a.type() != b.type()) return false;
    switch (a.type()) {
      case element_type::OBJECT:
        return same_objects(a.get_object(), b.get_object(), part);
      case element_type::ARRAY:
        return same_arrays(a.get_array(), b.get_array(), part_of_element(part));
      case element_type::STRING: {
        const std::string_view left = a.get_string();
        const std::string_view right = b.get_string();
        return left == right || (part == Part::kImage && same_image(left, right));
      }
      case element_type::INT64:
        return a.get_int64().value() == b.get_int64().value();
      case element_type::UINT64:
        return a.get_uint64().value() == b.get_uint64().value();
      case element_type::DOUBLE:
        return a.get_double().value() == b.get_double().value();
      case element_type::BOOL:
        return a.get_bool().value() == b.get_bool().value();
      case element_type::NULL_VALUE:
        return true;
    }
    return false;
  }

 private:
  bool same_objects(dom::object a, dom::object b, Part part) {
    const std::vector<Member> left = members(a, part);
    const std::vector<Member> right = members(b, part);
    if (part == Part::kContainer || part == Part::kVolume) enter_slot(left, part);
    return std::ranges::equal(left, right, [&](const Member& l, const Member& r) {
      return l.first == r.first && same(l.second, r.second, part_of_field(part, l.first));
    });
  }

  bool same_arrays(dom::array a, dom::array b, Part part) {
    auto left = a.begin();
    auto right = b.begin();
    for (; left != a.end() && right != b.end(); ++left, ++right) {
      if (!same(*left, *right, part)) return false;
    }
    return !(left != a.end()) && !(right != b.end());
  }

  // Both sides have the same name where this matters: else they differ anyway.
  void enter_slot(const std::vector<Member>& slot, Part part) {
    const auto name = std::ranges::find(slot, "name", &Member::first);
    slot_stamp_ = nullptr;
    if (name == slot.end() || !name->second.is_string()) return;
    const std::string_view prefix = part == Part::kVolume ? kVolumeStampPrefix : kStampPrefix;
    const auto stamp =
        old_stamps_.find(std::string(prefix).append(std::string_view(name->second.get_string())));
    if (stamp != old_stamps_.end()) slot_stamp_ = &stamp->second;
  }

  // Where one side at least is a pin of ours, both are compared as what their owner wrote; as
  // references, for a pin writes out a tag that the owner may have left out.
  bool same_image(std::string_view a, std::string_view b) const {
    if (slot_stamp_ == nullptr) return false;
    const auto left = unpinned_image(a, *slot_stamp_);
    const auto right = unpinned_image(b, *slot_stamp_);
    if (!left && !right) return false;
    const auto left_reference = image::Reference::parse(left ? *left : a);
    const auto right_reference = image::Reference::parse(right ? *right : b);
    return left_reference && right_reference && *left_reference == *right_reference;
  }

  const std::map<std::string, Stamp>& old_stamps_;
  const Stamp* slot_stamp_ = nullptr;  // of the container or volume that the walk is in
};

// The template of one object: found as text, parsed when asked for. A view into its own copy.
class Template {
 public:
  Template(std::string_view object, const std::vector<std::string>& path) : text_(object) {
    ondemand::parser parser;
    ondemand::document document = parser.iterate(text_);
    find(document.get_object(), path, 0);
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS)
      throw Malformed{"the object is followed by something else"};
  }

  // nullopt where the object has none.
  const std::optional<std::string_view>& text() const { return found_; }

  dom::element parse() {
    if (const auto error = parser_.allocate(found_->size(), kMaxDepth)) {
      throw simdjson::simdjson_error(error);
    }
    // text_ ends in padding, so that every span of it does.
    return parser_.parse(found_->data(), found_->size(), /*realloc_if_needed=*/false);
  }

 private:
  void find(ondemand::object object, const std::vector<std::string>& path, std::size_t depth) {
    bool seen = false;
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      if (key != path[depth]) continue;
      if (std::exchange(seen, true)) throw Malformed{"a key is given twice"};
      ondemand::value value = field.value();
      if (value.type() == ondemand::json_type::null) continue;
      ondemand::object inner = value.get_object();
      if (depth + 1 == path.size()) {
        found_ = std::string_view(inner.raw_json());
      } else {
        find(inner, path, depth + 1);
      }
    }
  }

  simdjson::padded_string text_;
  std::optional<std::string_view> found_;
  dom::parser parser_;
};

}  // namespace

Result<bool> same_bare_template(std::string_view old_object, std::string_view new_object,
                                const Kind& kind, const std::map<std::string, Stamp>& old_stamps) {
  if (old_object.size() > kMaxObjectBytes || new_object.size() > kMaxObjectBytes) {
    return fail(ErrorKind::kTooLarge, kind.kind + ": an object of more than " +
                                          std::to_string(kMaxObjectBytes) + " bytes");
  }
  // Of a pod only the spec counts: its metadata is its own, and a change there replaces nothing.
  const bool is_pod = kind.template_pointer.empty();
  const auto path = split_pointer(is_pod ? "/spec" : kind.template_pointer);
  try {
    Template old_template(old_object, path);
    Template new_template(new_object, path);
    if (!old_template.text() || !new_template.text()) {
      return old_template.text() == new_template.text();
    }
    if (*old_template.text() == *new_template.text()) return true;
    return Comparison(old_stamps)
        .same(old_template.parse(), new_template.parse(),
              is_pod ? Part::kPodSpec : Part::kTemplate);
  } catch (const simdjson::simdjson_error& error) {
    return fail(ErrorKind::kInvalid, kind.kind + ": comparing templates: " + error.what());
  } catch (const Malformed& error) {
    return fail(ErrorKind::kInvalid,
                kind.kind + ": comparing templates: " + std::string(error.reason));
  }
}

}  // namespace tidemark::workload
