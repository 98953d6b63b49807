// TLS contexts: what this process shows to others and whom it trusts.
//
// Purpose: the only place that sets protocol versions, ciphers and verification. TLS 1.2 is the
// oldest version; renegotiation and compression are off.
// Thread-safety: ServerCertificate::load may run beside accepts; contexts are immutable once made.
// Ownership: contexts are shared_ptr<SSL_CTX>; a connection keeps the one it was made with.
// Errors: kInvalid with OpenSSL's reason and the name of what did not load (never key bytes).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"

struct ssl_ctx_st;

namespace tidemark::net {

struct KeyPair {
  std::string certificate_pem;  // leaf first, then intermediates
  std::string key_pem;

  bool operator==(const KeyPair&) const = default;
};

// The serving certificate of a Server, replaceable while it serves: each new connection takes the
// newest one, connections that are open keep theirs.
class ServerCertificate {
 public:
  // Checks that key and certificate belong together before it replaces anything.
  Status load(const KeyPair& pair);
  // nullptr until the first successful load.
  std::shared_ptr<ssl_ctx_st> context() const;
  // End of the leaf's validity; nullopt until loaded. For the certificate expiry metric.
  std::optional<WallTime> not_after() const;

 private:
  // A lock a connection, taken for a pointer's copy: libstdc++ 12's atomic<shared_ptr> locks as
  // well, in a way that ThreadSanitizer cannot follow.
  mutable std::mutex mutex_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::optional<WallTime> not_after_;
};

// Follows a certificate and key file (a mounted Secret: ..data is a symlink that is swapped) and
// loads every change into `target`. A pair that does not fit is logged and the old one stays.
// It reads both files each `interval` and compares bytes: a few KiB, and no swap, rename or write
// in place can be missed, as it can by watching one inode.
class CertificateFileWatcher {
 public:
  struct Files {
    std::filesystem::path certificate;
    std::filesystem::path key;
  };
  // A mounted Secret changes a minute after its object at the latest (the kubelet's sync period);
  // ten seconds more do not matter.
  static constexpr std::chrono::milliseconds kInterval{10'000};
  // The first load happens here and its failure is returned; afterwards failures are only logged.
  // `target` must outlive the watcher.
  static Result<std::unique_ptr<CertificateFileWatcher>> start(
      Files files, ServerCertificate& target, Logger log,
      std::chrono::milliseconds interval = kInterval);

 private:
  CertificateFileWatcher() = default;
  std::jthread thread_;
};

struct TrustOptions {
  bool system_roots = true;  // the host's CA certificates (SSL_CERT_FILE and _DIR obeyed)
  std::string ca_pem = {};   // additional roots, or the only ones
  std::optional<KeyPair> client_pair = std::nullopt;  // shown where the server asks for it
  bool insecure_skip_verify = false;  // only where a configuration says so explicitly
};
// All but the system roots: they are read from disk, decoded (some 150 certificates) and kept,
// which only a client that really makes a TLS connection should pay for.
Result<std::shared_ptr<ssl_ctx_st>> make_client_context(const TrustOptions& options);
// Before the context's first connection.
Status add_system_roots(ssl_ctx_st* context);

}  // namespace tidemark::net
