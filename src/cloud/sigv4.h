// AWS Signature Version 4: who sends a request, and that nobody changed it.
//
// Purpose: signs a request in its headers. The path is signed as it stands in the target, which
// must be percent-encoded once and hold no "." segments: the services here have "/" alone.
// Thread-safety: pure functions. Ownership: values. Errors: none. Source: AWS "Create a signed AWS
// API request" (IAM user guide) and its test suite, aws-sig-v4-test-suite.
#pragma once

#include <string>

#include "base/clock.h"
#include "net/http.h"

namespace tidemark::cloud {

struct AwsCredentials {
  std::string access_key_id{};
  std::string secret_access_key{};
  std::string session_token{};  // "" for long-term keys
};

struct SigningScope {
  std::string region{};   // "eu-west-1"
  std::string service{};  // "ecr"
  WallTime time{};        // AWS refuses what is five minutes off its own clock
};

// The first step, for tests: what the signature covers, line by line.
std::string canonical_request(const net::Request& request);
// Adds X-Amz-Date, X-Amz-Security-Token where there is one, and Authorization. Every header that
// the request has by then is signed, and Host.
void sign(net::Request& request, const AwsCredentials& credentials, const SigningScope& scope);

}  // namespace tidemark::cloud
