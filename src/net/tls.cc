#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <climits>
#include <ctime>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/shutdown.h"
#include "net/openssl_ptr.h"

namespace tidemark::net {
namespace {

// A chain of ten 4096-bit RSA certificates in PEM is 30 KiB; a bundle of all public roots 250 KiB.
constexpr std::size_t kMaxPemBytes = std::size_t{1} * 1024 * 1024;

using BioPtr = OpenSslPtr<BIO, BIO_free>;
using KeyPtr = OpenSslPtr<EVP_PKEY, EVP_PKEY_free>;
using X509Ptr = OpenSslPtr<X509, X509_free>;
using ContextPtr = std::shared_ptr<SSL_CTX>;

std::unexpected<Error> openssl_failure(std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return fail(ErrorKind::kInvalid,
              std::string(what) + ": " + (reason == nullptr ? "not valid PEM" : reason));
}

// Without it OpenSSL asks at the terminal for the passphrase of an encrypted key.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

Result<BioPtr> memory_bio(std::string_view pem, std::string_view what) {
  if (pem.size() > kMaxPemBytes) {
    return fail(ErrorKind::kTooLarge, std::string(what) + ": longer than 1 MiB");
  }
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return openssl_failure(what);
  return bio;
}

// All certificates of a PEM text, at least one.
Result<std::vector<X509Ptr>> parse_certificates(std::string_view pem, std::string_view what) {
  Result<BioPtr> bio = memory_bio(pem, what);
  if (!bio) return fail(bio.error());
  std::vector<X509Ptr> certificates;
  ERR_clear_error();
  for (;;) {
    X509Ptr certificate(PEM_read_bio_X509(bio->get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(std::move(certificate));
  }
  // The end of the text shows as "no start line"; anything else is a broken certificate.
  if (certificates.empty() || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return openssl_failure(what);
  }
  ERR_clear_error();
  return certificates;
}

ContextPtr new_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method), SSL_CTX_free);
  if (context == nullptr) return nullptr;
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  // No resumption: connections are few and long, and a ticket would outlive a replaced certificate.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  // An idle connection gives back its 34 KiB of record buffers.
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // For TLS 1.2 only forward-secret AEAD suites, as in TLS 1.3.
  if (SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) return nullptr;
  return context;
}

Status use_pair(SSL_CTX* context, const KeyPair& pair) {
  Result<std::vector<X509Ptr>> chain = parse_certificates(pair.certificate_pem, "certificate");
  if (!chain) return fail(chain.error());
  Result<BioPtr> key_bio = memory_bio(pair.key_pem, "key");
  if (!key_bio) return fail(key_bio.error());
  ERR_clear_error();
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio->get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) return openssl_failure("key");

  if (SSL_CTX_use_certificate(context, chain->front().get()) != 1) {
    return openssl_failure("certificate");
  }
  // Compares with the certificate set before.
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return openssl_failure("key does not belong to the certificate");
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1) {
      return openssl_failure("intermediate certificate");
    }
  }
  return {};
}

std::optional<WallTime> end_of_validity(const SSL_CTX* context) {
  const X509* leaf = SSL_CTX_get0_certificate(context);
  std::tm parts{};
  if (leaf == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &parts) != 1) return {};
  return WallTime{std::chrono::seconds{timegm(&parts)}};
}

Result<std::string> read_pem(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxPemBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || !file.is_open() || file.gcount() == 0) {
    return fail(ErrorKind::kInvalid, "cannot read " + path.string());
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  text.shrink_to_fit();
  return text;
}

Result<KeyPair> read_files(const CertificateFileWatcher::Files& files) {
  Result<std::string> certificate = read_pem(files.certificate);
  if (!certificate) return fail(certificate.error());
  Result<std::string> key = read_pem(files.key);
  if (!key) return fail(key.error());
  return KeyPair{.certificate_pem = std::move(*certificate), .key_pem = std::move(*key)};
}

Status load_from(const CertificateFileWatcher::Files& files, const KeyPair& pair,
                 ServerCertificate& target) {
  Status loaded = target.load(pair);
  if (loaded) return loaded;
  return fail(within(files.certificate.string() + ", " + files.key.string(), loaded.error()));
}

}  // namespace

Status ServerCertificate::load(const KeyPair& pair) {
  ContextPtr context = new_context(TLS_server_method());
  if (context == nullptr) return openssl_failure("TLS context");
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (Status used = use_pair(context.get(), pair); !used) return used;
  const std::optional<WallTime> end = end_of_validity(context.get());
  const std::lock_guard lock(mutex_);
  context_.swap(context);  // the old one is released outside the lock
  not_after_ = end;
  return {};
}

std::shared_ptr<ssl_ctx_st> ServerCertificate::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

std::optional<WallTime> ServerCertificate::not_after() const {
  const std::lock_guard lock(mutex_);
  return not_after_;
}

Result<std::unique_ptr<CertificateFileWatcher>> CertificateFileWatcher::start(
    Files files, ServerCertificate& target, Logger log, std::chrono::milliseconds interval) {
  Result<KeyPair> first = read_files(files);
  if (!first) return fail(first.error());
  if (Status loaded = load_from(files, *first, target); !loaded) return fail(loaded.error());

  std::unique_ptr<CertificateFileWatcher> watcher(new CertificateFileWatcher);
  watcher->thread_ = std::jthread(
      [files = std::move(files), &target, log = std::move(log), interval, last = std::move(*first),
       last_failure = std::string()](const std::stop_token& stop) mutable {
        while (sleep_for(interval, stop)) {
          Result<KeyPair> now = read_files(files);
          // The same bytes that were tried before, good or bad: nothing to do, nothing to say
          // again.
          if (now && now->certificate_pem == last.certificate_pem && now->key_pem == last.key_pem) {
            continue;
          }
          Status loaded;
          if (now) {
            last = std::move(*now);
            loaded = load_from(files, last, target);
          } else {
            loaded = fail(now.error());
          }
          if (loaded) {
            last_failure.clear();
            log.info("certificate reloaded", {{"file", files.certificate.string()}});
          } else if (loaded.error().message != last_failure) {
            last_failure = loaded.error().message;
            log.warn("certificate not reloaded, the old one stays", {{"cause", last_failure}});
          }
        }
      });
  return watcher;
}

Result<std::shared_ptr<ssl_ctx_st>> make_client_context(const TrustOptions& options) {
  ContextPtr context = new_context(TLS_client_method());
  if (context == nullptr) return openssl_failure("TLS context");
  SSL_CTX* raw = context.get();
  SSL_CTX_set_verify(raw, options.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     nullptr);
  // Any certificate that was given as trusted ends a chain, self-signed or not, as in Go and curl.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(raw), X509_V_FLAG_PARTIAL_CHAIN);

  if (!options.ca_pem.empty()) {
    Result<std::vector<X509Ptr>> roots = parse_certificates(options.ca_pem, "CA certificate");
    if (!roots) return fail(roots.error());
    X509_STORE* store = SSL_CTX_get_cert_store(raw);
    for (const X509Ptr& root : *roots) {
      // Decodes its extensions now; else the first connections would, each waiting for the others.
      (void)X509_check_purpose(root.get(), -1, 0);
      if (X509_STORE_add_cert(store, root.get()) != 1) return openssl_failure("CA certificate");
    }
  }
  if (options.client_pair) {
    if (Status used = use_pair(raw, *options.client_pair); !used) {
      return fail(within("client pair", used.error()));
    }
  }
  return context;
}

Status add_system_roots(ssl_ctx_st* context) {
  if (SSL_CTX_set_default_verify_paths(context) != 1) return openssl_failure("system roots");
  return {};
}

}  // namespace tidemark::net
