// Challenge: what a registry asks for in WWW-Authenticate.
//
// Purpose: all challenges of all WWW-Authenticate headers, however they are folded together.
// Thread-safety: a pure function. Errors: none; what cannot be read is left out.
// Source: RFC 9110 section 11 (one header may hold several challenges, parameters are tokens or
// quoted strings), distribution's token authentication specification (realm, service, scope).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"

namespace tidemark::registry {

struct Challenge {
  std::string scheme;                                           // lower case: "bearer", "basic"
  std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case

  // The first parameter of that name, "" for none.
  std::string_view parameter(std::string_view name) const;
};

// At most kMaxChallenges, each with at most kMaxChallengeParameters; the rest is ignored.
inline constexpr std::size_t kMaxChallenges = 8;
inline constexpr std::size_t kMaxChallengeParameters = 16;
std::vector<Challenge> parse_challenges(const net::Headers& headers);

}  // namespace tidemark::registry
