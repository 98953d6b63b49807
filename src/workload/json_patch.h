// JsonPatch: RFC 6902 operations, written in order.
//
// Purpose: the only writer of patches, for admission answers and for the sweeper's rolls.
// Thread-safety: a value. Errors: none; values are JSON text that the caller made (json_quote for
// strings).
#pragma once

#include <string>
#include <string_view>

#include "workload/annotations.h"
#include "workload/pointer.h"

namespace tidemark::workload {

class JsonPatch {
 public:
  void add(std::string_view pointer, std::string_view json_value);
  void replace(std::string_view pointer, std::string_view json_value);
  void remove(std::string_view pointer);
  void test(std::string_view pointer, std::string_view json_value);

  // Brings the string map at `pointer` (annotations) from `current` to `wanted` with the fewest
  // operations. `map_exists`: the map is there (an empty one counts); `parent_exists`: so is the
  // object that holds it.
  void change_map(std::string_view pointer, bool parent_exists, bool map_exists,
                  const StringMap& current, const StringMap& wanted);

  bool empty() const { return text_ == "[]"; }
  // "[{...},...]"
  const std::string& str() const { return text_; }

 private:
  void add_map(std::string_view pointer, bool parent_exists, const StringMap& map);
  // An operation without its value and its end.
  std::string& begin(std::string_view op, std::string_view pointer);
  std::string text_ = "[]";
};

}  // namespace tidemark::workload
