// read_file: a whole file, up to a bound.
//
// Thread-safety: a free function. Errors: kNotFound where it cannot be opened, with the system's
// reason, kInvalid for a directory, kTooLarge; each begins with the path.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace tidemark {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace tidemark
