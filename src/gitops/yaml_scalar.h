// How the text of an image stands in a YAML file.
//
// Purpose: the same string for every reader. A plain scalar such as 1.10, 1e3, 2024-01-02, no or
// 12:30:45 is none to some of them. Quotes where none are needed do no harm, so in doubt there are.
// Thread-safety: pure functions. Source: YAML 1.1 "Language-Independent Types", YAML 1.2 chapter
// 10, go-yaml 2 (resolve.go), which Kubernetes reads with.
#pragma once

#include <string>
#include <string_view>

namespace tidemark::gitops {

// True for what names, tags and digests of images are made of: no quotes, blanks or controls, and
// nothing that any style would have to escape. Not for "".
bool needs_no_escapes(std::string_view text);

// `text`, which needs no escapes, in libyaml's style of that number; a plain one in double quotes
// where it would not be a string.
std::string yaml_scalar(std::string_view text, int style);

}  // namespace tidemark::gitops
