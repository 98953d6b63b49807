// read_object: an object out of a JSON text that is being read already.
//
// Purpose: the objects of an AdmissionReview are most of its bytes; they are read where they stand,
// in one pass over the whole. For .cc files alone, because it shares a type of simdjson's.
// Thread-safety, ownership and errors: those of parse_object(). After an error the text cannot be
// read on.
#pragma once

#include <simdjson.h>

#include "workload/object.h"

namespace tidemark::workload {

// `out`: a new object; of no use after an error.
Status read_object(simdjson::ondemand::object json, const Kind& kind, ManagedFields managed,
                   Object& out);

}  // namespace tidemark::workload
