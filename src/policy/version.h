// Version and VersionRange: semantic versions, and the ranges that people write of them.
//
// Purpose: the comparison behind `semver:` policies. Ranges have the syntax and the meaning of
// Masterminds/semver 3.4, which helm and Flux use: "1.x", "~1.2", "^1.2.3", ">=1.2 <2 || 3.*",
// "1.2 - 1.4.5". A pre-release fits only where some bound beside it, between the same "||", names
// one.
// Thread-safety: values. Errors: kInvalid.
// Source: semver.org 2.0.0 (sections 9 to 11), Masterminds/semver's documentation of constraints.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tidemark::policy {

struct Version {
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::uint64_t patch = 0;
  std::vector<std::string> prerelease{};  // its dot-separated identifiers

  // All three numbers, no leading zeros; a "v" before them is allowed, build metadata is ignored.
  static Result<Version> parse(std::string_view text);

  // Precedence: "1.0.0-rc.1" is older than "1.0.0".
  friend std::strong_ordering operator<=>(const Version& a, const Version& b);
  friend bool operator==(const Version&, const Version&) = default;
};

class VersionRange {
 public:
  static Result<VersionRange> parse(std::string_view text);
  bool contains(const Version& version) const;

 private:
  enum class Op { kEqual, kNotEqual, kGreater, kLess, kGreaterEqual, kLessEqual, kTilde, kCaret };
  // How much of the bound's version is written: of "1.x" the major number alone.
  enum class Given { kNothing, kMajor, kMinor, kAll };
  struct Bound {
    Op op = Op::kEqual;
    Version version{};
    Given given = Given::kAll;
    bool accepts(const Version& candidate) const;
  };
  using AllOf = std::vector<Bound>;

  static Result<AllOf> parse_all_of(std::string_view text);
  static Result<Bound> parse_bound(std::string_view& rest);

  std::vector<AllOf> any_of_;
};

}  // namespace tidemark::policy
