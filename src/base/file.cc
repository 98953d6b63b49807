#include "base/file.h"

#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/text.h"

namespace tidemark {

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(ErrorKind::kInvalid, path.string() + ": is a directory");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return fail(ErrorKind::kNotFound,
                path.string() + ": " + std::generic_category().message(errno == 0 ? EIO : errno));
  }
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_bytes) {
    return fail(ErrorKind::kTooLarge,
                path.string() + ": has more than " + std::to_string(max_bytes) + " bytes");
  }
  return text;
}

Result<std::string> read_secret_file(const std::filesystem::path& path) {
  constexpr std::size_t kMaxSecretBytes = std::size_t{16} * 1024;
  auto text = read_file(path, kMaxSecretBytes);
  if (!text) return text;
  const std::string_view secret = trimmed(*text);
  if (secret.empty()) return fail(ErrorKind::kInvalid, path.string() + ": holds no secret");
  return std::string(secret);
}

}  // namespace tidemark
