// Reference: an image name, parsed and normalised.
//
// Purpose: the one place that knows the distribution reference grammar. "nginx" becomes
// docker.io/library/nginx:latest, as the kubelet and containerd read it. Stricter than they are in
// one point: a first element that looks like a host but is none ("foo_bar.com/app") is refused,
// where they go on with an empty registry.
// Thread-safety: a value. Errors: kInvalid with the reason.
// Source: distribution/reference (grammar and normalisation), OCI distribution-spec "Pulling
// manifests" (repository at most 255 characters, tag at most 128).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/digest.h"

namespace tidemark::image {

// At most 128 letters, digits, '_', '.' and '-', of which the last two do not come first.
bool is_tag(std::string_view text);
// An image name as its owner wrote it, with another tag in the place of what it had; its digest
// goes with the old tag. `written` parses, `tag` is_tag().
std::string with_tag(std::string_view written, std::string_view tag);

class Reference {
 public:
  // The whole grammar: domain with port, IPv6 in brackets, path components, tag, digest. Without a
  // tag and a digest the tag is "latest". index.docker.io is docker.io.
  static Result<Reference> parse(std::string_view text);

  // The same of a repository's name alone: kInvalid where it has a tag or a digest.
  static Result<Reference> parse_name(std::string_view text);

  const std::string& registry() const { return registry_; }  // "docker.io", "host:5000"
  std::string_view repository() const;                       // "library/nginx"
  std::optional<std::string_view> tag() const;
  const std::optional<Digest>& digest() const { return digest_; }

  // "docker.io/library/nginx".
  std::string name() const { return text_.substr(0, name_bytes_); }
  // "docker.io/library/nginx:1.27" (with "@sha256:..." where there is a digest).
  std::string str() const;
  void append_to(std::string& out) const;
  // The same without the digest: what a stamp is made of. Empty where there is no tag.
  const std::string& tagged() const;
  // Tag, else digest: the last path element of /v2/<repository>/manifests/<...>. Where both are
  // given the kubelet and containerd pull by the digest and ignore the tag, so such a slot needs no
  // resolving; who asks a registry with both wants to know where the tag points now.
  std::string manifest_name() const;
  // The same repository with this tag, which is_tag(), and no digest.
  Reference with_tag(std::string_view tag) const;

  friend bool operator==(const Reference&, const Reference&) = default;

 private:
  Reference() = default;
  std::string registry_;
  std::string text_;            // name and tag, as str() writes them
  std::size_t name_bytes_ = 0;  // of text_
  std::optional<Digest> digest_;
};

}  // namespace tidemark::image
