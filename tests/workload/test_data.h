// Saved objects of tests/data/workloads, and the values that occur in them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "image/digest.h"
#include "workload/kind.h"
#include "workload/stamp.h"

namespace tidemark::workload::test {

inline std::string read_workload(const std::string& name) {
  const auto path = std::filesystem::path(TIDEMARK_TEST_DATA) / "workloads" / (name + ".json");
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline const Kind& kind_of(std::string_view name) {
  const Kind* kind = KindTable().find_by_name(name);
  EXPECT_NE(kind, nullptr) << name;
  return *kind;
}

// "sha256:a1a1..." for repeated_digest("a1").
inline image::Digest repeated_digest(std::string_view two_digits) {
  std::string text = "sha256:";
  for (int i = 0; i < 32; ++i) text.append(two_digits);
  return *image::Digest::parse(text);
}

inline Stamp stamp_of(std::string_view image, std::string_view two_digits) {
  return Stamp::make(*image::Reference::parse(image), repeated_digest(two_digits));
}

}  // namespace tidemark::workload::test
