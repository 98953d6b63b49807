// Certificates: made, read and checked. The only file of certs/ that knows X.509.
//
// Purpose: a CA and serving certificates of our own (ECDSA P-256, SHA-256), and the questions that
// the plan asks of whatever bytes it finds. Everything is PEM text and plain values.
// Thread-safety: free functions. Errors: kInternal where OpenSSL fails, kInvalid where an input
// does not parse; questions answer false for what does not parse. Source: RFC 5280; the API
// server's verifier is Go's crypto/x509 (needs SANs, matches key ids).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/tls.h"

namespace tidemark::certs {

struct Validity {
  WallTime not_before;
  WallTime not_after;
  bool contains(WallTime time) const { return not_before <= time && time < not_after; }
  friend bool operator==(const Validity&, const Validity&) = default;
};

struct Certificate {
  std::string pem;          // this certificate alone, in OpenSSL's own form
  std::string fingerprint;  // SHA-256 of its DER, hexadecimal
  Validity validity;
  bool is_ca = false;
};

// A self-signed CA that may sign leaves and nothing else.
Result<net::KeyPair> issue_ca(const std::string& common_name, const Validity& validity);
// A leaf for TLS servers. `dns_names` must not be empty.
Result<net::KeyPair> issue_serving(const net::KeyPair& ca,
                                   const std::vector<std::string>& dns_names,
                                   const Validity& validity);

// Every certificate that parses, in order, at most 64 of them; anything else in the text is
// skipped.
std::vector<Certificate> parse_certificates(std::string_view pem);

// Whether the private key belongs to the first certificate.
bool key_fits(std::string_view certificate_pem, std::string_view key_pem);
// Whether the first certificate is good for a TLS server at that time under that bundle; further
// certificates in `chain_pem` may be intermediates.
bool chains_to(std::string_view chain_pem, std::string_view bundle_pem, WallTime at);
// Whether the first certificate was signed by the first of `ca_pem`.
bool signed_by(std::string_view certificate_pem, std::string_view ca_pem);
// Whether the first certificate names the host (SANs only, as Go does).
bool covers_host(std::string_view certificate_pem, const std::string& host);

}  // namespace tidemark::certs
