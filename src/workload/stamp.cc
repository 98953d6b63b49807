#include "workload/stamp.h"

#include <cstddef>
#include <utility>

#include "base/json_text.h"

namespace tidemark::workload {
namespace {

// Enough to recognise a stamp in a message; what did not parse may be of any length.
constexpr std::size_t kMaxQuotedBytes = 160;

std::string_view without_digest(std::string_view image) { return image.substr(0, image.find('@')); }

// By the grammar a ':' after the last '/' begins the tag; one before it belongs to a port.
bool has_tag(std::string_view image) {
  const std::size_t slash = image.rfind('/');
  return image.find(':', slash == std::string_view::npos ? 0 : slash) != std::string_view::npos;
}

}  // namespace

Stamp Stamp::make(const image::Reference& tagged, image::Digest digest) {
  std::string text;
  text.reserve(tagged.tagged().size() + 1 + digest.str().size());
  text.append(tagged.tagged()).append("@").append(digest.str());
  return {std::move(text), std::move(digest)};
}

Result<Stamp> Stamp::parse(std::string_view text) {
  const auto reference = image::Reference::parse(text);
  if (!reference) return fail(within("not a stamp", reference.error()));
  if (!reference->tag() || !reference->digest() || reference->str() != text) {
    return fail(ErrorKind::kInvalid, "not a stamp (registry/repository:tag@digest): " +
                                         json_quote(text.substr(0, kMaxQuotedBytes)));
  }
  return make(*reference, *reference->digest());
}

std::string Stamp::reference() const { return std::string(tagged()); }

std::string_view Stamp::tagged() const {
  return std::string_view(text_).substr(0, text_.size() - 1 - digest_.str().size());
}

bool Stamp::is_for(const image::Reference& reference) const {
  return reference.tagged() == tagged();
}

bool Stamp::is_of_repository(const image::Reference& reference) const {
  return tagged().starts_with(reference.name() + ":");  // no tag has a colon
}

std::map<std::string, Stamp> read_stamps(const StringMap& template_annotations) {
  std::map<std::string, Stamp> stamps;
  for (const auto& [key, value] : template_annotations) {
    if (!is_stamp_key(key)) continue;
    if (auto stamp = Stamp::parse(value)) stamps.emplace(key, std::move(*stamp));
  }
  return stamps;
}

std::string pinned_image(std::string_view written, const image::Digest& digest) {
  const std::string_view name = without_digest(written);
  std::string pin(name);
  if (!has_tag(name)) pin.append(":latest");
  return pin.append("@").append(digest.str());
}

std::optional<std::string> unpinned_image(std::string_view image, const Stamp& old_stamp) {
  const auto reference = image::Reference::parse(image);
  if (!reference || !reference->tag() || reference->str() != old_stamp.str()) return std::nullopt;
  return std::string(without_digest(image));
}

}  // namespace tidemark::workload
