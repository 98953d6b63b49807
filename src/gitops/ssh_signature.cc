#include "gitops/ssh_signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/text.h"

namespace tidemark::gitops {
namespace {

constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kKeyMagic{"openssh-key-v1\0", 15};
constexpr std::string_view kSignatureMagic = "SSHSIG";
constexpr std::string_view kType = "ssh-ed25519";
constexpr std::string_view kNamespace = "git";
constexpr std::string_view kHash = "sha512";
constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kArmourColumns = 70;

// Wiped when it ends.
struct Secret {
  std::string bytes;
  explicit Secret(std::string given) : bytes(std::move(given)) {}
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

// RFC 4251, 5: a length of four bytes before each string.
std::optional<std::string_view> take(std::string_view& from) {
  if (from.size() < 4) return std::nullopt;
  std::size_t size = 0;
  for (const char c : from.substr(0, 4)) size = size << 8U | static_cast<unsigned char>(c);
  if (size > from.size() - 4) return std::nullopt;
  const std::string_view out = from.substr(4, size);
  from.remove_prefix(4 + size);
  return out;
}

void put_number(std::string& to, std::uint32_t number) {
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    to += static_cast<char>(number >> shift & 0xffU);
  }
}

void put(std::string& to, std::string_view text) {
  put_number(to, static_cast<std::uint32_t>(text.size()));
  to += text;
}

struct KeyParts {
  std::string_view public_key;
  std::string_view seed;
};

// openssh-key-v1 with one Ed25519 key and no passphrase.
Result<KeyParts> read_parts(std::string_view blob) {
  const auto broken = [] { return fail(ErrorKind::kInvalid, "is no SSH key"); };
  if (!blob.starts_with(kKeyMagic)) return broken();
  blob.remove_prefix(kKeyMagic.size());
  const auto cipher = take(blob);
  const auto derivation = take(blob);
  const auto derivation_options = take(blob);
  if (!cipher || !derivation || !derivation_options || blob.size() < 4) return broken();
  if (*cipher != "none") return fail(ErrorKind::kInvalid, "is an SSH key with a passphrase");
  blob.remove_prefix(4);  // how many keys: ssh-keygen writes one
  const auto public_key = take(blob);
  auto rest = take(blob);
  if (!public_key || !rest || rest->size() < 8) return broken();
  rest->remove_prefix(8);  // the same number twice
  const auto type = take(*rest);
  if (!type) return broken();
  if (*type != kType) return fail(ErrorKind::kInvalid, "is no Ed25519 key (ssh-keygen -t ed25519)");
  const auto point = take(*rest);
  const auto both = take(*rest);
  if (!point || !both || both->size() != 2 * kSeedBytes) return broken();
  return KeyParts{.public_key = *public_key, .seed = both->substr(0, kSeedBytes)};
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Result<SshSigningKey> SshSigningKey::parse(std::string_view file) {
  const std::size_t begin = file.find(kBegin);
  const std::size_t end = file.find(kEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    return fail(ErrorKind::kInvalid, "is no private key in OpenSSH's format");
  }
  Secret text{std::string(file.substr(begin + kBegin.size(), end - begin - kBegin.size()))};
  std::erase_if(text.bytes, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  auto decoded = base64_decode(text.bytes);
  if (!decoded) return fail(ErrorKind::kInvalid, "is no SSH key");
  const Secret blob(std::move(*decoded));
  const auto parts = read_parts(blob.bytes);
  if (!parts) return fail(parts.error());
  std::shared_ptr<EVP_PKEY> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(parts->seed), kSeedBytes),
      EVP_PKEY_free);
  if (key == nullptr) return fail(ErrorKind::kInvalid, "is no Ed25519 key");
  return SshSigningKey(std::move(key), std::string(parts->public_key));
}

Result<std::string> SshSigningKey::sign(std::string_view message) const {
  const auto failed = [] { return fail(ErrorKind::kInternal, "OpenSSL does not sign"); };
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned int hash_bytes = 0;
  if (EVP_Digest(message.data(), message.size(), hash.data(), &hash_bytes, EVP_sha512(), nullptr) !=
      1) {
    return failed();
  }
  std::string signed_data(kSignatureMagic);
  put(signed_data, kNamespace);
  put(signed_data, "");
  put(signed_data, kHash);
  put(signed_data, {reinterpret_cast<const char*>(hash.data()), hash_bytes});
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  std::array<unsigned char, 64> signature{};
  std::size_t signature_bytes = signature.size();
  if (context == nullptr ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &signature_bytes, bytes_of(signed_data),
                     signed_data.size()) != 1) {
    return failed();
  }
  std::string of_key;
  put(of_key, kType);
  put(of_key, {reinterpret_cast<const char*>(signature.data()), signature_bytes});
  std::string blob(kSignatureMagic);
  put_number(blob, 1);
  put(blob, public_key_);
  put(blob, kNamespace);
  put(blob, "");
  put(blob, kHash);
  put(blob, of_key);
  const std::string encoded = base64_encode(blob);
  std::string out = "-----BEGIN SSH SIGNATURE-----\n";
  for (std::size_t at = 0; at < encoded.size(); at += kArmourColumns) {
    out += encoded.substr(at, kArmourColumns) + "\n";
  }
  return out + "-----END SSH SIGNATURE-----";
}

}  // namespace tidemark::gitops
