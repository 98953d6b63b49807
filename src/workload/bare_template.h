// The bare template: what its owner wrote, without anything of Tidemark's.
//
// Purpose: the one comparison on which the stamp contract stands (design section 3): did the owner
// change the template? Tidemark's annotations are left out, Tidemark's own pins are taken back (an
// image that equals the old stamp's value is the reference as written), nulls are ignored, an empty
// annotations map or metadata equals none, the order of object keys does not matter; the order of
// arrays does. Byte-equal templates are told quickly; where bytes differ a canonical comparison
// confirms before anything is called an edit.
// Thread-safety: pure functions. Errors: kInvalid where a text is not JSON (or a key comes twice,
// or a template nests deeper than any real one), kTooLarge as in object.h. A pod's bare template is
// its spec: the metadata there is its own.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "workload/kind.h"
#include "workload/stamp.h"

namespace tidemark::workload {

// `old_stamps`: read_stamps of the OLD object's template; pins on both sides are judged by it.
Result<bool> same_bare_template(std::string_view old_object, std::string_view new_object,
                                const Kind& kind, const std::map<std::string, Stamp>& old_stamps);

}  // namespace tidemark::workload
