// list_pages(): the pages of a LIST, one after another, the next one asked for ahead.
//
// Purpose: a page names the next one before its first item, and the API server takes as long to
// make a page as its reader to work through it: side by side they take half the time. Never more
// than one page ahead, and what the server writes of that one waits in the connection until its
// turn. Thread-safety: a free function; `read` runs in threads of its own, at most two at a time,
// `item` in these too, but never twice at once. All have ended when it returns. Ownership: refers
// to what it is given. Errors: those of `read`; one of a page ahead of the one that failed is
// nobody's. Source: Kubernetes API concepts, "Retrieving large results sets in chunks".
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "kube/api.h"
#include "kube/list_stream.h"

namespace tidemark::kube {

struct PageRead {
  Result<PageInfo> info = fail(ErrorKind::kCanceled, "stopped");
  std::string other_continue_token{};  // where an expired list may go on (410), "" for nowhere
};

// Reads the page at a continue token ("": the first one) into `stream`.
using ReadPage = std::function<PageRead(const std::string& continue_token, ListStream& stream,
                                        const std::stop_token& stop)>;

Result<ListResult> list_pages(const ReadPage& read, const Api::ItemSink& item,
                              const std::stop_token& stop);

}  // namespace tidemark::kube
