#include <gtest/gtest.h>
#include <yaml.h>

#include <string>

#include "gitops/yaml_scalar.h"

namespace tidemark::gitops {
namespace {

std::string plain(std::string_view text) { return yaml_scalar(text, YAML_PLAIN_SCALAR_STYLE); }

TEST(MarkersScalarTest, StringsStayPlain) {
  for (const std::string_view text : {"1.2.3",
                                      "v1",
                                      "1.10.0-rc.1",
                                      "latest",
                                      "ghcr.io/x/app:1.10",
                                      "localhost:5000/x:1",
                                      "1a",
                                      "20240102-1",
                                      "2024.01.02",
                                      "2024-01-02-1",
                                      "2024-01",
                                      "24-01-02",
                                      "2024-01-02T10-11-12Z",
                                      "1e",

                                      "0xfg",
                                      "12.30.45",
                                      "nullable",
                                      "yes1",
                                      "sha256:00ff",
                                      "a:b",
                                      "1.2e3.4",
                                      "main-1a2b3c4-1694000000",
                                      "RELEASE.2023-01-25T00-19-54Z",
                                      "3-alpine",
                                      "1.10_2x"}) {
    EXPECT_EQ(plain(text), text);
  }
}

TEST(MarkersScalarTest, WhatSomeReaderTakesForAnotherTypeIsQuoted) {
  for (const std::string_view text : {"1",
                                      "1.10",
                                      "007",
                                      "1e3",
                                      "1E-3",
                                      "1.5e+3",
                                      "1.",
                                      "0x1f",
                                      "0X1F",
                                      "0o17",
                                      "0b101",
                                      "0B1",

                                      "0x",
                                      "0x",
                                      "0b__",
                                      "1_000",
                                      "1_0.5",
                                      "0x_1f",
                                      "12:30:45",
                                      "190:20:30.15",
                                      "1:2",
                                      "2024-01-02",
                                      "2024-1-2",
                                      "2001-12-14t21:59:43.10-05:00",
                                      "2001-12-15T02:59:43Z",
                                      "true",
                                      "True",
                                      "FALSE",
                                      "yes",
                                      "No",
                                      "ON",
                                      "off",
                                      "y",
                                      "N",
                                      "null",
                                      "Null",
                                      "NULL",
                                      "+1",
                                      "-1",
                                      "-1.5",
                                      ".5",
                                      ".inf",
                                      "-.INF",
                                      ".NaN",
                                      "@x",
                                      ":x",
                                      "-x",
                                      "_1",
                                      "/x",
                                      "x:",
                                      "---",
                                      "..."}) {
    EXPECT_EQ(plain(text), "\"" + std::string(text) + "\"");
  }
}

TEST(MarkersScalarTest, QuotesStay) {
  EXPECT_EQ(yaml_scalar("1.10", YAML_SINGLE_QUOTED_SCALAR_STYLE), "'1.10'");
  EXPECT_EQ(yaml_scalar("x", YAML_DOUBLE_QUOTED_SCALAR_STYLE), "\"x\"");
}

TEST(MarkersScalarTest, WhatNeedsNoEscapes) {
  EXPECT_TRUE(needs_no_escapes("a.Z_0:/@+-"));
  for (const std::string_view text :
       {"", "a b", "a\"", "a'", "a\\", "a\n", "#", "a,", "[", "\xC3\xA4"}) {
    EXPECT_FALSE(needs_no_escapes(text)) << text;
  }
  EXPECT_FALSE(needs_no_escapes(std::string_view("a\0", 2)));
}

}  // namespace
}  // namespace tidemark::gitops
