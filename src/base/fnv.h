// fnv1a: a number that follows from a text, the same in every replica and version of the program,
// unlike std::hash. Not for what an attacker gains by collisions.
//
// Thread-safety: pure functions. Source: Fowler, Noll and Vo; FNV-1a, 64 bits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark {

inline constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325U;

// `from`: the number of what went before, so that a long text may come in parts.
std::uint64_t fnv1a(std::string_view text, std::uint64_t from = kFnvBasis);
// "18867251edfa0000": hexadecimal, lower case, without leading zeros.
std::string to_hex(std::uint64_t number);

}  // namespace tidemark
