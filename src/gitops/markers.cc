#include "gitops/markers.h"

#include <yaml.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "gitops/yaml_events.h"
#include "gitops/yaml_scalar.h"

namespace tidemark::gitops {
namespace {

constexpr std::string_view kKey = "$imagepolicy";
constexpr std::size_t kMaxNameBytes = 253;  // of a Kubernetes object

struct Marker {
  std::string policy;
  std::string part;
};

// Nullopt: a comment like any other. `comment` begins with its "#".
std::optional<Result<Marker>> read_marker(std::string_view comment) {
  comment.remove_prefix(std::min(comment.find_first_not_of('#'), comment.size()));
  comment = trimmed(comment);
  if (!comment.starts_with('{')) return std::nullopt;
  const auto object = nlohmann::json::parse(comment, nullptr, false);
  if (!object.is_object() || !object.contains(kKey)) return std::nullopt;
  for (const auto& value : object) {
    if (!value.is_string()) return fail(ErrorKind::kInvalid, "a marker holds strings alone");
  }
  const auto& value = object[std::string(kKey)].get_ref<const std::string&>();
  const std::size_t name = value.find(':') + 1;
  const std::size_t end = std::min(value.find(':', name), value.size());
  if (name <= 1 || end == name) {
    return fail(ErrorKind::kInvalid, "the marker " + brief_quote(value) + " is no namespace:name");
  }
  Marker marker{.policy = value.substr(0, end),
                .part = value.substr(std::min(end + 1, value.size()))};
  if (end < value.size() && marker.part != "tag" && marker.part != "name" &&
      marker.part != "digest") {
    return fail(ErrorKind::kInvalid,
                "the marker " + brief_quote(value) + " ends in none of :tag, :name, :digest");
  }
  return marker;
}

std::string value_of(const PolicyImage& image, std::string_view part) {
  if (part == "tag") return image.tag;
  if (part == "name") return image.name;
  if (part == "digest") return image.digest;
  if (image.name.empty() || image.tag.empty()) return "";
  return image.name + ":" + image.tag + (image.digest.empty() ? "" : "@" + image.digest);
}

struct Replacement {
  std::size_t scalar = 0;  // how many scalars come before
  std::string value;
};

// True where the documents are equal but for the replaced scalars, which have their new values.
bool same_but_for(const std::vector<Replacement>& replaced, std::string_view before,
                  std::string_view after) {
  YamlEvents old_events(before);
  YamlEvents new_events(after);
  auto next = replaced.begin();
  for (std::size_t scalars = 0;;) {
    const auto a = old_events.next();
    const auto b = new_events.next();
    if (!a || !b || a->type != b->type || a->anchor != b->anchor || a->tag != b->tag ||
        a->implicit != b->implicit) {
      return false;
    }
    if (a->type == YAML_STREAM_END_EVENT) return next == replaced.end();
    const bool is_replaced =
        a->type == YAML_SCALAR_EVENT && next != replaced.end() && next->scalar == scalars;
    if (a->type == YAML_SCALAR_EVENT) ++scalars;
    const bool quoted = is_replaced && a->style == YAML_PLAIN_SCALAR_STYLE &&
                        b->style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (b->value != (is_replaced ? next->value : a->value)) return false;
    if (a->style != b->style && !quoted) return false;
    if (is_replaced) ++next;
  }
}

// One pass: what a comment stands behind is the last scalar or alias before it.
class Rewriter {
 public:
  Rewriter(std::string_view text, const PolicyImages& images) : text_(text), images_(images) {}
  Result<Rewritten> run();

 private:
  struct Level {
    bool mapping = false;
    bool key_next = false;
    bool inside_key = false;
    std::string key{};  // that the next value belongs to
  };
  struct Target {
    std::string value{};
    int style = 0;
    std::size_t scalar = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string_view refusal = "no value";  // "": may be replaced
  };

  void open(bool mapping);
  bool in_key() const;
  void node_done();
  void leaf(const YamlEvent& event);
  std::string_view refusal(const YamlEvent& event) const;
  void identify(const YamlEvent& event);
  void document_done();
  void comments_until(std::size_t end);
  void comment(std::string_view comment, std::size_t begin);
  std::string_view refusal_at(std::size_t comment) const;

  std::string_view text_;
  const PolicyImages& images_;
  Rewritten out_{};
  std::vector<Replacement> replaced_{};
  std::vector<Level> levels_{};
  Target target_{};
  std::size_t scalars_ = 0;
  std::size_t cursor_ = 0;   // comments before it are done
  std::size_t copied_ = 0;   // of text_ into out_.text
  std::size_t counted_ = 0;  // of text_ into line_
  std::size_t line_ = 1;
  std::array<std::string, 3> identity_{};  // of this document: kind, namespace, name
  std::size_t identified_ = 0;             // changes that have their object
};

Result<Rewritten> Rewriter::run() {
  YamlEvents events(text_);
  for (;;) {
    const auto event = events.next();
    if (!event) return fail(event.error());
    switch (event->type) {
      case YAML_SCALAR_EVENT:
      case YAML_ALIAS_EVENT:
        leaf(*event);
        break;
      case YAML_MAPPING_START_EVENT:
      case YAML_SEQUENCE_START_EVENT:
        if (levels_.size() == kMaxYamlNesting) {
          return fail(ErrorKind::kTooLarge, "line " + std::to_string(event->line) +
                                                ": nested deeper than " +
                                                std::to_string(kMaxYamlNesting) + " levels");
        }
        open(event->type == YAML_MAPPING_START_EVENT);
        break;
      case YAML_MAPPING_END_EVENT:
      case YAML_SEQUENCE_END_EVENT:
        levels_.pop_back();
        node_done();
        break;
      case YAML_DOCUMENT_END_EVENT:
        comments_until(event->begin);
        document_done();
        break;
      case YAML_STREAM_END_EVENT:
        comments_until(text_.size());
        out_.text += text_.substr(copied_);
        if (!replaced_.empty() && !same_but_for(replaced_, text_, out_.text)) {
          return fail(ErrorKind::kInvalid, "the values cannot be replaced without changing others");
        }
        return std::move(out_);
      default:
        break;
    }
  }
}

void Rewriter::open(bool mapping) {
  const bool inside_key = in_key();
  levels_.push_back({.mapping = mapping, .key_next = mapping, .inside_key = inside_key});
}

bool Rewriter::in_key() const {
  return !levels_.empty() && (levels_.back().key_next || levels_.back().inside_key);
}

void Rewriter::node_done() {
  if (levels_.empty() || !levels_.back().mapping) return;
  Level& level = levels_.back();
  if (!level.key_next) level.key.clear();
  level.key_next = !level.key_next;
}

void Rewriter::leaf(const YamlEvent& event) {
  comments_until(event.begin);
  target_ = {.style = event.style, .scalar = scalars_, .begin = event.begin, .end = event.end};
  target_.refusal = refusal(event);
  if (target_.refusal.empty()) target_.value = event.value;
  if (event.style == YAML_LITERAL_SCALAR_STYLE || event.style == YAML_FOLDED_SCALAR_STYLE) {
    // A comment may stand behind its "|-"; what looks like one further on is its text.
    target_.end = std::min(text_.find_first_not_of("|>+-0123456789", event.begin), event.end);
    comments_until(yaml_line_end(text_, event.begin));
  }
  cursor_ = std::max(cursor_, event.end);
  if (event.type == YAML_SCALAR_EVENT) {
    ++scalars_;
    identify(event);
  }
  node_done();
}

std::string_view Rewriter::refusal(const YamlEvent& event) const {
  if (event.type == YAML_ALIAS_EVENT) return "an alias";
  if (in_key()) return "a key";
  if (event.begin == event.end) return "an empty value";
  if (event.style == YAML_LITERAL_SCALAR_STYLE || event.style == YAML_FOLDED_SCALAR_STYLE) {
    return "a block of text";
  }
  if (yaml_line_end(text_.substr(0, event.end), event.begin) != event.end) {
    return "a value of several lines";
  }
  // libyaml reads "&b:c" as an anchor and ":c"; no other value could follow it there.
  if (!event.anchor.empty() && text_.substr(0, event.begin).ends_with(event.anchor)) {
    return "a value that begins at its anchor's end";
  }
  if (event.tag.starts_with("tag:yaml.org,2002:") && event.tag != YAML_STR_TAG) {
    return "a value whose tag says that it is no string";
  }
  return "";
}

// Remembers kind, metadata.namespace and metadata.name.
void Rewriter::identify(const YamlEvent& event) {
  if (levels_.empty() || levels_.size() > 2 || !levels_.back().mapping) return;
  Level& level = levels_.back();
  if (level.key_next) {
    level.key = cut(event.value, kMaxNameBytes);
    return;
  }
  std::string* part = nullptr;
  if (levels_.size() == 1) {
    if (level.key == "kind") part = &identity_[0];
  } else if (levels_.front().mapping && levels_.front().key == "metadata") {
    if (level.key == "namespace") part = &identity_[1];
    if (level.key == "name") part = &identity_[2];
  }
  if (part != nullptr) *part = cut(event.value, kMaxNameBytes);
}

void Rewriter::document_done() {
  std::string object;
  for (const std::string& part : identity_) {
    if (!part.empty()) append_part(object, "/", part);
  }
  for (; identified_ < out_.changes.size(); ++identified_) {
    out_.changes[identified_].object = object;
  }
  identity_ = {};
}

// Outside of scalars a "#" always begins a comment: libyaml reads no other there.
void Rewriter::comments_until(std::size_t end) {
  while (cursor_ < end) {
    const std::size_t hash = text_.substr(0, end).find('#', cursor_);
    cursor_ = std::min(hash, end);
    if (cursor_ == end) return;
    const std::size_t begin = cursor_;
    cursor_ = yaml_line_end(text_, begin);
    comment(text_.substr(begin, cursor_ - begin), begin);
  }
}

void Rewriter::comment(std::string_view comment, std::size_t begin) {
  auto marker = read_marker(comment);
  if (!marker) return;
  line_ +=
      static_cast<std::size_t>(std::ranges::count(text_.substr(counted_, begin - counted_), '\n'));
  counted_ = begin;
  const auto trouble = [&](std::string message) {
    out_.troubles.push_back({.line = line_, .message = std::move(message)});
  };
  if (!*marker) return trouble(marker->error().message);
  auto& [policy, part] = **marker;
  const auto image = images_.find(policy);
  if (image == images_.end()) {
    out_.unknown.push_back({.line = line_, .policy = std::move(policy)});
    return;
  }
  if (const auto why = refusal_at(begin); !why.empty()) {
    return trouble("the marker of " + brief_quote(policy) + " stands beside " + std::string(why));
  }
  std::string value = value_of(image->second, part);
  if (value.empty()) {
    return trouble("the policy " + brief_quote(policy) + " gives no " +
                   (part.empty() ? "image" : part));
  }
  if (!needs_no_escapes(value)) {
    return trouble("the policy " + brief_quote(policy) + " gives " + brief_quote(value) +
                   ", which is no image");
  }
  if (value == target_.value) return;
  out_.text += text_.substr(copied_, target_.begin - copied_);
  out_.text += yaml_scalar(value, target_.style);
  copied_ = target_.end;
  replaced_.push_back({.scalar = target_.scalar, .value = value});
  out_.changes.push_back({.line = line_,
                          .policy = std::move(policy),
                          .part = std::move(part),
                          .before = target_.value,
                          .after = std::move(value)});
}

// Why the comment at this place marks nothing that can be replaced; "": it marks target_.
std::string_view Rewriter::refusal_at(std::size_t comment) const {
  const std::string_view between = text_.substr(target_.end, comment - target_.end);
  if (between.find_first_not_of(" \t,") == std::string_view::npos) return target_.refusal;
  if (between.find_first_not_of(" \t,]}") == std::string_view::npos) return "a closing bracket";
  return "no value";
}

}  // namespace

bool may_have_markers(std::string_view text) { return text.find(kKey) != std::string_view::npos; }

Result<Rewritten> rewrite_markers(std::string_view text, const PolicyImages& images) {
  if (text.size() > kMaxMarkedFileBytes) {
    return fail(ErrorKind::kTooLarge,
                "larger than " + std::to_string(kMaxMarkedFileBytes) + " bytes");
  }
  return Rewriter(text, images).run();
}

}  // namespace tidemark::gitops
