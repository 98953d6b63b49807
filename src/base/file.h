// read_file: a whole file, up to a bound; read_secret_file: what a mounted Secret holds.
//
// Thread-safety: free functions. Errors: kNotFound where it cannot be opened, with the system's
// reason, kInvalid for a directory, kTooLarge; each begins with the path.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace tidemark {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes);

// Without the white space around it: editors and `kubectl create secret --from-file` leave a
// newline. kInvalid where nothing is left; more than 16 KiB is no secret of anybody's.
Result<std::string> read_secret_file(const std::filesystem::path& path);

}  // namespace tidemark
