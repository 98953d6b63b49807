#include "support/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <stdexcept>

namespace tidemark::testing {
namespace {

void require(bool ok, const char* what) {
  if (ok) return;
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  throw std::runtime_error(std::string("test certificate: ") + what + ": " +
                           (reason == nullptr ? "no reason" : reason));
}

std::shared_ptr<EVP_PKEY> new_key() {
  std::shared_ptr<EVP_PKEY> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  require(key != nullptr, "key");
  return key;
}

template <typename Write>
std::string to_pem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  require(bio != nullptr && write(bio.get()) == 1, "PEM");
  const char* bytes = nullptr;
  const long size = BIO_ctrl(bio.get(), BIO_CTRL_INFO, 0, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

void add_name(X509* certificate, const char* field, const std::string& value) {
  if (value.empty()) return;
  require(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), -1, 0) == 1,
          "name");
}

void set_time(ASN1_TIME* field, WallTime when) {
  require(ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(when)) != nullptr, "time");
}

// What every certificate here has; the extensions and the signature are the caller's.
std::shared_ptr<X509> blank_certificate(EVP_PKEY* key, WallTime not_before, WallTime not_after) {
  std::shared_ptr<X509> certificate(X509_new(), X509_free);
  std::uint64_t serial = 0;
  require(
      certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
          RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1 &&
          ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1U) == 1 &&
          X509_set_pubkey(certificate.get(), key) == 1,
      "certificate");
  set_time(X509_getm_notBefore(certificate.get()), not_before);
  set_time(X509_getm_notAfter(certificate.get()), not_after);
  return certificate;
}

std::string certificate_to_pem(X509* certificate) {
  return to_pem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

}  // namespace

TestCa::TestCa(const std::string& common_name) : TestCa(common_name, nullptr) {}

TestCa::TestCa(const std::string& common_name, const TestCa* issuer) : key_(new_key()) {
  const WallTime now = std::chrono::system_clock::now();
  certificate_ =
      blank_certificate(key_.get(), now - std::chrono::hours{24}, now + std::chrono::hours{24});
  X509* signer = issuer == nullptr ? certificate_.get() : issuer->certificate_.get();
  add_name(certificate_.get(), "CN", common_name);
  require(X509_set_issuer_name(certificate_.get(), X509_get_subject_name(signer)) == 1, "issuer");
  add_extension(certificate_.get(), signer, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate_.get(), signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(certificate_.get(), signer, NID_subject_key_identifier, "hash");
  require(X509_sign(certificate_.get(), (issuer == nullptr ? *this : *issuer).key_.get(),
                    EVP_sha256()) > 0,
          "signature");
  certificate_pem_ = certificate_to_pem(certificate_.get());
  if (issuer != nullptr) chain_pem_ = certificate_pem_ + issuer->chain_pem_;
}

TestCa TestCa::intermediate(const std::string& common_name) const {
  return TestCa(common_name, this);
}

net::KeyPair TestCa::issue(const LeafOptions& options) const {
  const std::shared_ptr<EVP_PKEY> key = new_key();
  const std::shared_ptr<X509> leaf =
      blank_certificate(key.get(), options.not_before, options.not_after);
  add_name(leaf.get(), "O", options.organization);
  add_name(leaf.get(), "CN", options.common_name);
  require(X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get())) == 1,
          "issuer");
  add_extension(leaf.get(), certificate_.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(leaf.get(), certificate_.get(), NID_ext_key_usage,
                options.for_client ? "clientAuth" : "serverAuth");
  // Tells apart two authorities of the same name, as a bundle holds them during a rotation.
  add_extension(leaf.get(), certificate_.get(), NID_authority_key_identifier, "keyid:always");
  std::string names;
  for (const std::string& name : options.dns_names) names += ",DNS:" + name;
  for (const std::string& address : options.ip_addresses) names += ",IP:" + address;
  if (!names.empty()) {
    add_extension(leaf.get(), certificate_.get(), NID_subject_alt_name, names.substr(1));
  }
  require(X509_sign(leaf.get(), key_.get(), EVP_sha256()) > 0, "signature");
  return {.certificate_pem = certificate_to_pem(leaf.get()) + chain_pem_,
          .key_pem = to_pem([&key](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

}  // namespace tidemark::testing
