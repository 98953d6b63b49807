// Tags of a repository: what "Listing Tags" answers, page by page.
//
// Purpose: the one reader of a page and of the Link that leads to the next. What is no tag by the
// grammar is left out: it could not be pulled.
// Thread-safety: values and pure functions. Errors: kInvalid where an answer is no page of tags.
// Source: OCI distribution-spec v1.1 "Content Discovery: Listing Tags", RFC 8288 (Link).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace tidemark::registry {

// A repository with more tags is refused as a whole: a choice from a part of them would be a guess.
inline constexpr std::size_t kMaxTags = 100'000;
inline constexpr std::size_t kTagsOfAPage = 1000;  // asked for; a registry may give fewer, or all
inline constexpr std::size_t kMaxTagPages = 1000;
// Twice what kMaxTags of 20 bytes take, should a registry know no pages.
inline constexpr std::size_t kMaxTagPageBytes = std::size_t{4} * 1024 * 1024;

struct TagList {
  std::vector<std::string> tags;    // in the registry's order, which is no order of age
  std::string credential_source{};  // which credential answered, "" for none
};

Result<std::vector<std::string>> parse_tag_page(std::string_view body);

// Path and query of the next page, of the same registry whatever host the Link names; nullopt: this
// was the last one.
std::optional<std::string> next_tag_page(const net::Url& asked, const net::Headers& headers);

}  // namespace tidemark::registry
