// Who may announce a push: a shared secret, shown as it is or as a signature of the body.
//
// Purpose: one check for all that registries can do. Most can only send a header or a URL that was
// given to them (kToken); GitHub, JFrog and Sonatype sign the body.
// Thread-safety: pure functions; ReplayGuard has none, its owner locks. Ownership: views live as
// long as the call. Errors: kUnauthorized, with a message that holds neither what was shown nor the
// secret. Source: GitHub "Validating webhook deliveries", JFrog "Predefined Webhooks"
// (X-JFrog-Event-Auth), Sonatype "Working with HMAC payloads", RFC 6750 (Bearer), RFC 7617 (Basic),
// RFC 2104 (HMAC).
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "push/payload.h"

namespace tidemark::push {

struct Header {
  std::string_view name;
  std::string_view value;
};
using Headers = std::span<const Header>;

enum class Proof {
  kToken,       // the secret itself
  kHmacSha256,  // hex of HMAC-SHA-256 over the raw body, with or without "sha256=" before it
  kHmacSha1,    // the same with SHA-1 and "sha1=": all that Nexus has. Forging it needs the secret.
};

// "token", "hmac-sha256", "hmac-sha1": as settings write them. kInvalid names what is allowed.
Result<Proof> parse_proof(std::string_view text);

struct Sender {
  Proof proof = Proof::kToken;
  // Any of them will do, so that one can be replaced without a gap. Empty ones never match.
  std::vector<std::string> secrets = {};
  // The header that carries the proof, compared without case. "" is default_header(proof).
  std::string header = {};
};

// X-Hub-Signature-256, X-Nexus-Webhook-Signature; Authorization for a token.
std::string_view default_header(Proof proof);

// A token may be shown in the sender's header (whole, after "Bearer ", or as the password of
// "Basic "), or as `path_token`, the last part of the URL, "" for none. A signature stands in the
// sender's header alone; the first of that name counts. Compared in constant time.
Status authenticate(const Sender& sender, Headers headers, std::string_view path_token,
                    std::string_view body);

// The bodies accepted lately. A replay makes a known reference due and so costs one question; this
// saves even that where a sender delivers twice. The body is what is remembered, for the headers
// with a delivery's number are not signed.
class ReplayGuard {
 public:
  struct Options {
    std::size_t max_bodies = 4096;  // some 200 bytes each; the oldest gives way
    std::chrono::milliseconds keep = std::chrono::minutes{10};
  };
  explicit ReplayGuard(const Options& options) : options_(options) {}

  // True where the same body was remembered within `keep`. Never for quay, artifactory and
  // generic: their payloads hold neither a number nor a time, so an equal one may be the next push
  // of the same tag.
  bool seen(Format format, std::string_view body, SteadyTime now);
  // To be called once the delivery is taken, not before: one that was refused comes again.
  void remember(Format format, std::string_view body, SteadyTime now);

 private:
  void forget_old(SteadyTime now);

  Options options_;
  std::unordered_map<std::string, SteadyTime> known_;
  std::deque<std::string> order_;  // the oldest first
};

}  // namespace tidemark::push
