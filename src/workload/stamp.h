// Stamp: "docker.io/library/nginx:1.27@sha256:<64 hex>", the value of a stamp annotation.
//
// Purpose: its only reader and writer. Same input gives the same bytes: no times, no host names.
// Thread-safety: a value. Errors: kInvalid.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/digest.h"
#include "image/reference.h"
#include "workload/object.h"

namespace tidemark::workload {

class Stamp {
 public:
  // `tagged` must have a tag; a digest in it is ignored.
  static Stamp make(const image::Reference& tagged, image::Digest digest);
  // Only the canonical form is a stamp: normalised reference with tag and digest.
  static Result<Stamp> parse(std::string_view text);

  const std::string& str() const { return text_; }  // the annotation's value
  std::string reference() const;                    // "docker.io/library/nginx:1.27"
  const image::Digest& digest() const { return digest_; }
  // True where this stamp speaks of the same normalised repository and tag as `reference`.
  bool is_for(const image::Reference& reference) const;
  // True where both are of the same repository, whatever the tags.
  bool is_of_repository(const image::Reference& reference) const;

  friend bool operator==(const Stamp&, const Stamp&) = default;

 private:
  Stamp(std::string text, image::Digest digest)
      : text_(std::move(text)), digest_(std::move(digest)) {}
  std::string_view tagged() const;
  std::string text_;  // the reference, '@' and the digest
  image::Digest digest_;
};

// The well-formed stamps among a template's annotations, by stamp key. A malformed value is as if
// it were not there.
std::map<std::string, Stamp> read_stamps(const StringMap& template_annotations);

// Pin mode and rollback: the image as Tidemark writes it, "<image as written>@<digest>". The
// written text keeps its form (nginx:1.27@sha256:..., never docker.io/library/nginx:...), but a
// missing tag is written out (nginx becomes nginx:latest@sha256:...), so that the pin can be told
// from a digest of the owner's. A digest in `written` is replaced.
std::string pinned_image(std::string_view written, const image::Digest& digest);
// The image as its owner wrote it, if `image` is a pin that Tidemark made: its value normalised
// equals `old_stamp`. Otherwise nullopt: the digest is the owner's own. Where the owner wrote no
// tag this gives "nginx:latest", which means the same; compare such images as references.
std::optional<std::string> unpinned_image(std::string_view image, const Stamp& old_stamp);

}  // namespace tidemark::workload
