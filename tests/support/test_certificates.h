// TestCa: certificate authorities and certificates minted in memory, for tests of TLS.
//
// Purpose: no key is ever committed, and every test says what is special about its certificate.
// Keys are P-256: minting one costs well under a millisecond. A failure of OpenSSL throws.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/tls.h"

struct x509_st;
struct evp_pkey_st;

namespace tidemark::testing {

struct LeafOptions {
  std::string common_name = "leaf";
  std::string organization = {};  // Kubernetes' group of a client certificate
  std::vector<std::string> dns_names = {"localhost"};
  std::vector<std::string> ip_addresses = {"127.0.0.1", "::1"};
  WallTime not_before = std::chrono::system_clock::now() - std::chrono::hours{1};
  WallTime not_after = std::chrono::system_clock::now() + std::chrono::hours{1};
  bool for_client = false;  // extended key usage clientAuth instead of serverAuth
};

class TestCa {
 public:
  explicit TestCa(const std::string& common_name = "Test CA");

  const std::string& certificate_pem() const { return certificate_pem_; }
  // A leaf with a new key of its own, signed by this CA.
  net::KeyPair issue(const LeafOptions& options = {}) const;
  // A CA below this one. Its leaves' certificate_pem holds leaf and intermediate.
  TestCa intermediate(const std::string& common_name = "Test intermediate CA") const;

 private:
  TestCa(const std::string& common_name, const TestCa* issuer);

  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<x509_st> certificate_;
  std::string certificate_pem_;
  std::string chain_pem_;  // what a leaf must carry besides itself: empty for a root
};

}  // namespace tidemark::testing
