// Text as a JSON string: for logs, messages, records and patches alike.
//
// Purpose: the only writer of quoted JSON by hand; whole documents are nlohmann's. Bytes that are
// not UTF-8 become U+FFFD, so that what is written is always valid JSON whatever a peer sent.
// Thread-safety: pure functions. Source: RFC 8259, 7.
#pragma once

#include <string>
#include <string_view>

namespace tidemark {

// With its quotes.
std::string json_quote(std::string_view text);
void append_json_quoted(std::string& out, std::string_view text);

}  // namespace tidemark
