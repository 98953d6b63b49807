#include "certs/issue.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>

#include "net/openssl_ptr.h"

namespace tidemark::certs {
namespace {

// A bundle holds two or three; who needs more has put something else there.
constexpr std::size_t kMaxCertificates = 64;
// A Secret is at most 1 MiB; beyond that it cannot have come from one.
constexpr std::size_t kMaxPemBytes = std::size_t{1} * 1024 * 1024;

using X509Ptr = net::OpenSslPtr<X509, X509_free>;
using KeyPtr = net::OpenSslPtr<EVP_PKEY, EVP_PKEY_free>;
using BioPtr = net::OpenSslPtr<BIO, BIO_free_all>;
using StorePtr = net::OpenSslPtr<X509_STORE, X509_STORE_free>;
using StoreContextPtr = net::OpenSslPtr<X509_STORE_CTX, X509_STORE_CTX_free>;
using ExtensionPtr = net::OpenSslPtr<X509_EXTENSION, X509_EXTENSION_free>;

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using StackPtr = net::OpenSslPtr<STACK_OF(X509), free_stack>;

std::unexpected<Error> openssl_failure(const std::string& what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  ERR_clear_error();
  return fail(ErrorKind::kInternal, what + ": " + reason.data());
}

BioPtr reader(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) pem = {};
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// The next certificate block that parses; blocks that do not are skipped.
X509Ptr next_certificate(BIO* bio) {
  while (true) {
    X509Ptr certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
    if (certificate) return certificate;
    const auto error = ERR_peek_last_error();
    const bool at_end = error == 0 || (ERR_GET_LIB(error) == ERR_LIB_PEM &&
                                       ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
    ERR_clear_error();
    if (at_end || BIO_pending(bio) == 0) return nullptr;
  }
}

std::vector<X509Ptr> read_all(std::string_view pem) {
  std::vector<X509Ptr> result;
  const BioPtr bio = reader(pem);
  while (bio && result.size() < kMaxCertificates) {
    X509Ptr certificate = next_certificate(bio.get());
    if (!certificate) break;
    result.push_back(std::move(certificate));
  }
  return result;
}

X509Ptr read_first(std::string_view pem) {
  const BioPtr bio = reader(pem);
  return bio ? next_certificate(bio.get()) : nullptr;
}

// An encrypted key would ask on the terminal for its passphrase: no.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

KeyPtr read_key(std::string_view pem) {
  const BioPtr bio = reader(pem);
  KeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
  ERR_clear_error();
  return key;
}

std::string to_pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  return bio && PEM_write_bio_X509(bio.get(), certificate) == 1 ? written(bio.get())
                                                                : std::string();
}

std::string to_pem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  return bio && PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1
             ? written(bio.get())
             : std::string();
}

std::optional<WallTime> to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string hex(const std::array<unsigned char, EVP_MAX_MD_SIZE>& bytes, unsigned size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[bytes.at(i) >> 4U];
    text += kDigits[bytes.at(i) & 0xFU];
  }
  return text;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// What CA and leaf have in common. `subject_only`: no issuer, so the certificate signs itself.
X509Ptr blank(EVP_PKEY* key, const std::string& common_name, const Validity& validity) {
  X509Ptr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1) return nullptr;
  // 16 random bytes, positive and never zero (RFC 5280, 4.1.2.2).
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return nullptr;
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7FU) | 0x40U);
  const net::OpenSslPtr<BIGNUM, BN_free> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  if (!number ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) == nullptr) {
    return nullptr;
  }
  const auto begin = std::chrono::system_clock::to_time_t(validity.not_before);
  const auto end = std::chrono::system_clock::to_time_t(validity.not_after);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool done =
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), begin) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), end) != nullptr &&
      X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
                                 // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
                                 reinterpret_cast<const unsigned char*>("tidemark"), -1, -1,
                                 0) == 1 &&
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                 // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
                                 reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                 -1, 0) == 1 &&
      X509_set_pubkey(certificate.get(), key) == 1;
  return done ? std::move(certificate) : nullptr;
}

Result<net::KeyPair> finished(X509* certificate, EVP_PKEY* key) {
  net::KeyPair pair{.certificate_pem = to_pem(certificate), .key_pem = to_pem(key)};
  if (pair.certificate_pem.empty() || pair.key_pem.empty()) return openssl_failure("writing PEM");
  return pair;
}

}  // namespace

Result<net::KeyPair> issue_ca(const std::string& common_name, const Validity& validity) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_failure("making a CA key");
  const X509Ptr certificate = blank(key.get(), common_name, validity);
  X509* ca = certificate.get();
  if (!ca || X509_set_issuer_name(ca, X509_get_subject_name(ca)) != 1 ||
      !add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(ca, ca, NID_subject_key_identifier, "hash") ||
      X509_sign(ca, key.get(), EVP_sha256()) <= 0) {
    return openssl_failure("making a CA certificate");
  }
  return finished(ca, key.get());
}

Result<net::KeyPair> issue_serving(const net::KeyPair& ca,
                                   const std::vector<std::string>& dns_names,
                                   const Validity& validity) {
  if (dns_names.empty()) return fail(ErrorKind::kInvalid, "a certificate needs a DNS name");
  std::string names;
  for (const std::string& name : dns_names) {
    // OpenSSL's extension syntax gives these a meaning; no DNS name has them.
    if (name.empty() || name.find_first_of(",:;= \t\r\n") != std::string::npos) {
      return fail(ErrorKind::kInvalid, "not a DNS name: " + name);
    }
    names += (names.empty() ? "DNS:" : ",DNS:") + name;
  }
  const X509Ptr issuer = read_first(ca.certificate_pem);
  const KeyPtr issuer_key = read_key(ca.key_pem);
  if (!issuer || !issuer_key) return fail(ErrorKind::kInvalid, "the CA does not parse");
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_failure("making a serving key");
  // A common name is at most 64 bytes; nobody verifies it, the names are in the SAN.
  const X509Ptr certificate = blank(key.get(), dns_names.front().substr(0, 64), validity);
  X509* leaf = certificate.get();
  if (!leaf || X509_set_issuer_name(leaf, X509_get_subject_name(issuer.get())) != 1 ||
      !add_extension(leaf, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(leaf, issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(leaf, issuer.get(), NID_ext_key_usage, "serverAuth") ||
      !add_extension(leaf, issuer.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(leaf, issuer.get(), NID_authority_key_identifier, "keyid:always") ||
      !add_extension(leaf, issuer.get(), NID_subject_alt_name, names) ||
      X509_sign(leaf, issuer_key.get(), EVP_sha256()) <= 0) {
    return openssl_failure("making a serving certificate");
  }
  return finished(leaf, key.get());
}

std::vector<Certificate> parse_certificates(std::string_view pem) {
  std::vector<Certificate> result;
  for (const X509Ptr& certificate : read_all(pem)) {
    const auto not_before = to_time(X509_get0_notBefore(certificate.get()));
    const auto not_after = to_time(X509_get0_notAfter(certificate.get()));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (!not_before || !not_after ||
        X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size) != 1) {
      continue;
    }
    result.push_back({.pem = to_pem(certificate.get()),
                      .fingerprint = hex(digest, size),
                      .validity = {.not_before = *not_before, .not_after = *not_after},
                      .is_ca = X509_check_ca(certificate.get()) == 1});
  }
  return result;
}

bool key_fits(std::string_view certificate_pem, std::string_view key_pem) {
  const X509Ptr certificate = read_first(certificate_pem);
  const KeyPtr key = read_key(key_pem);
  const bool fits = certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return fits;
}

bool chains_to(std::string_view chain_pem, std::string_view bundle_pem, WallTime at) {
  const std::vector<X509Ptr> chain = read_all(chain_pem);
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr context(X509_STORE_CTX_new());
  const StackPtr intermediates(sk_X509_new_null());
  if (chain.empty() || !store || !context || !intermediates) return false;
  for (const X509Ptr& root : read_all(bundle_pem)) {
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) return false;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (sk_X509_push(intermediates.get(), chain[i].get()) <= 0) return false;
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), intermediates.get()) != 1) {
    return false;
  }
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_time(rules, std::chrono::system_clock::to_time_t(at));
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  return good;
}

bool signed_by(std::string_view certificate_pem, std::string_view ca_pem) {
  const X509Ptr certificate = read_first(certificate_pem);
  const X509Ptr ca = read_first(ca_pem);
  const bool issued = certificate && ca &&
                      X509_check_issued(ca.get(), certificate.get()) == X509_V_OK &&
                      X509_verify(certificate.get(), X509_get0_pubkey(ca.get())) == 1;
  ERR_clear_error();
  return issued;
}

bool covers_host(std::string_view certificate_pem, const std::string& host) {
  const X509Ptr certificate = read_first(certificate_pem);
  return certificate && X509_check_host(certificate.get(), host.c_str(), host.size(),
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

}  // namespace tidemark::certs
