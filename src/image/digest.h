// Digest: algorithm and hex, as the OCI image specification writes it ("sha256:<64 hex>").
//
// Thread-safety: a value. Errors: kInvalid, with the text that did not parse (cut to a bound).
// Source: opencontainers/image-spec descriptor.md "Digests" (registered algorithms only).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace tidemark::image {

class Digest {
 public:
  // sha256 with 64 or sha512 with 128 lower-case hex digits; nothing else.
  static Result<Digest> parse(std::string_view text);

  const std::string& str() const { return text_; }
  std::string_view algorithm() const;
  std::string_view hex() const;
  // "3f1c9a7e2b40": the first 12 hex digits, for people.
  std::string_view short_hex() const;

  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace tidemark::image
